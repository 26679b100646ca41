"""The cluster that a campaign disturbs: four nodes on this machine, whose daemons die and come back.

Their clocks may be wrong, too.
"""

from __future__ import annotations

import os
import random
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock

from slurm.devcluster import DevCluster, daemons, processes
from tests.campaign.case import NotPossible

_NODES = 4
_FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
_AN_HOUR = ("+1h", "-1h")
#: Seconds in which a killed daemon is gone.
_DEAD = 20


class Cluster:
    """`disturb` is what happens to it; one thing at a time, since the cases of a campaign overlap."""

    def __init__(self) -> None:
        self.slurm = DevCluster(Path(tempfile.gettempdir()) / "ecgan-campaign-cluster", nodes=_NODES)
        self._lock = RLock()

    def up(self) -> None:
        """Slurm's commands find it in this process and all that it starts."""
        self.slurm.up()
        os.environ.update(self.slurm.environment)
        prolog = self.slurm.layout.task_prolog
        prolog.write_text(f"{prolog.read_text()}cat {self._clock('$SLURMD_NODENAME')} 2> /dev/null || true\n")

    def down(self) -> None:
        self.slurm.down()

    @property
    def nodes(self) -> list[str]:
        return self.slurm.settings.names

    def kill_node(self, node: str, jobs: bool) -> int:
        """Its slurmd, and with `jobs` all that runs there; returns how many processes that were."""
        with self._lock:
            return self.slurm.kill_node(node, jobs)

    def revive_node(self, node: str) -> None:
        with self._lock:
            self.slurm.revive_node(node)

    @contextmanager
    def without(self, daemon: str) -> Iterator[None]:
        """Kills slurmctld or slurmdbd; it is started again when the `with` ends."""
        with self._lock:
            state = self.slurm.state()
            processes.end([state.processes[daemon]], signal.SIGKILL, _DEAD)
            try:
                yield
            finally:
                daemons.start(self.slurm.layout, state, daemon)
                daemons.wait_ready(self.slurm.layout, state, daemon)

    @contextmanager
    def wrong_clock(self, node: str, chance: random.Random) -> Iterator[str]:
        """What jobs start there from now on has a clock that is an hour off. Slurm's and munge's own stay right: with
        theirs wrong, munge lets no job onto the node. Raises NotPossible without libfaketime."""
        if not _FAKETIME.exists():
            raise NotPossible("libfaketime is not installed")
        words = {"LD_PRELOAD": str(_FAKETIME), "FAKETIME": chance.choice(_AN_HOUR)}
        words |= {"FAKETIME_DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1"}
        clock = self._clock(node)
        clock.write_text("".join(f"export {name}={value}\n" for name, value in words.items()))
        try:
            yield words["FAKETIME"]
        finally:
            clock.unlink()

    def _clock(self, node: str) -> Path:
        return self.slurm.layout.var / f"clock.{node}"


def pause(seconds: float) -> None:
    """Lets what was disturbed go on so for a while."""
    time.sleep(seconds)
