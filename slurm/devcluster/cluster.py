"""The cluster as a whole: up, down, and nodes that die and come back."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType

from ecgan.errors import UserError
from ecgan.files import exclusive_lock, write_atomically
from slurm.devcluster import config, daemons, members, ports, processes, releases, requirements
from slurm.devcluster import state as states
from slurm.devcluster.config import Settings
from slurm.devcluster.layout import Layout, default_folder
from slurm.devcluster.members import Member
from slurm.devcluster.processes import Process
from slurm.devcluster.state import ClusterState

#: Seconds that tasks of jobs have to end by themselves when the cluster goes down.
_GRACE = 2
_PATIENCE = 20
_ROUNDS = 10
_MIB = 1 << 20


class DevCluster:
    """A Slurm cluster whose nodes n1, n2, … are all this machine.

        with DevCluster(folder, nodes=4) as cluster:
            subprocess.run(["sbatch", …], env=os.environ | cluster.environment)

    Partitions: gpu (default), short (2 minutes at most), preempt (its jobs are requeued when a job
    in high needs their place) and high. Everything is in `folder`; one that was killed at any
    moment is cleared away by `down` or the next `up` with the same folder. Methods raise UserError
    with what is missing or the end of the log that tells what went wrong.
    """

    def __init__(
        self,
        folder: Path | str | None = None,
        nodes: int = 4,
        accounting: bool = True,
        gpus: int = 1,
        user_signal: bool = False,
    ) -> None:
        self.layout = Layout(default_folder() if folder is None else Path(folder))
        self.settings = Settings(nodes, accounting, gpus, user_signal)
        self._started_here = False

    @property
    def environment(self) -> dict[str, str]:
        """What Slurm's commands need in their environment to talk to this cluster."""
        return {"SLURM_CONF": str(self.layout.slurm_conf)}

    def __enter__(self) -> DevCluster:
        self._started_here = self.up()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._started_here:
            self.down()

    def up(self) -> bool:
        """Starts the cluster and waits until every node is idle; False if it was up already."""
        requirements.check(self.settings.accounting)
        self.layout.check()
        self.layout.folder.mkdir(parents=True, exist_ok=True)
        with self._locked():
            state = states.read(self.layout.state)
            if state.status == "up" and len(state.dead) < len(state.settings.daemons):
                self._insist_on_same(state)
                return False
            self._sweep(state)
            try:
                self._start()
            except BaseException:
                self._sweep(states.read(self.layout.state))
                ClusterState(self.settings).write(self.layout.state)
                raise
        return True

    def down(self) -> int:
        """Ends every daemon and every process of a job; returns how many there were."""
        requirements.insist_on_root()
        if not self.layout.folder.exists():  # deleted under running daemons, perhaps
            return self._sweep(ClusterState(self.settings))
        self.layout.check()
        with self._locked():
            state = states.read(self.layout.state)
            ended = self._sweep(state)
            if self.layout.state.exists():
                shutil.rmtree(self.layout.var, ignore_errors=True)
                ClusterState(state.settings).write(self.layout.state)
        return ended

    def state(self) -> ClusterState:
        """What runs, as of now."""
        return states.read(self.layout.state)

    def kill_node(self, name: str, jobs: bool = True) -> int:
        """Kills a node's slurmd and all its processes, as if its power were cut; returns how many there were.

        Without `jobs` slurmd alone, as if its network were cut: what jobs run there goes on.
        Slurm notices after SlurmdTimeout (30 s).
        """
        with self._locked():
            state = self._running(name)
            if jobs:
                return len(self._kill(state, lambda member: member.node == name))
            daemon = state.processes[name]
            if not processes.alive(daemon):
                return 0
            processes.end([daemon], signal.SIGKILL, _PATIENCE)
            return 1

    def revive_node(self, name: str) -> bool:
        """Starts a killed node's slurmd and waits until it can be used; False if it runs already.

        It starts empty, like a machine that was switched on, unless steps of its jobs still run.
        """
        with self._locked():
            state = self._running(name)
            if state.alive(name):
                return False
            here = [member for member in self._members(state) if member.node == name]
            if not any(member.kind == "step" for member in here):
                daemons.clear_node(self.layout, name)
            before = daemons.slurmd_start(self.layout, name)
            time.sleep(1.1)  # the controller tells starts apart by their seconds
            daemons.start(self.layout, state, name)
            registered = lambda: daemons.slurmd_start(self.layout, name) != before  # noqa: E731
            daemons.wait(self.layout, state, [name], registered, "has not registered")
            daemons.wait_nodes(self.layout, state, [name])
        return True

    def stop_controller(self) -> None:
        """Ends slurmctld in good order; jobs go on, Slurm's commands get no answer."""
        with self._locked():
            controller = self._running("slurmctld").processes["slurmctld"]
            if processes.end([controller], signal.SIGTERM, _PATIENCE):
                processes.end([controller], signal.SIGKILL, _PATIENCE)

    def start_controller(self) -> None:
        """Starts slurmctld with the state that the last one saved."""
        with self._locked():
            state = self._running("slurmctld")
            if not state.alive("slurmctld"):
                daemons.start(self.layout, state, "slurmctld")
                daemons.wait_ready(self.layout, state, "slurmctld")

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Keeps other commands from the folder meanwhile."""
        if not self.layout.folder.is_dir():
            raise UserError(f"no cluster is up in {self.layout.folder}: say up first")
        waiting = lambda: print(f"waiting for another command on {self.layout.folder} …", file=sys.stderr)  # noqa: E731
        with exclusive_lock(self.layout.lock, "folder", waiting):
            yield

    def _start(self) -> None:
        layout, settings = self.layout, self.settings
        for folder in (layout.log, layout.var):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
        for node in settings.names:
            daemons.clear_node(layout, node)
        with ports.reserved(settings.ports_needed) as numbers:
            state = ClusterState(settings, "starting", numbers)
            state.write(layout.state)
            self._configure(numbers)
            for daemon in settings.daemons:
                daemons.start(layout, state, daemon)
                if daemon not in settings.names:
                    daemons.wait_ready(layout, state, daemon)
                if daemon == "mariadbd":
                    daemons.create_database(layout)
                elif daemon == "slurmdbd":
                    self._register()
            daemons.wait_nodes(layout, state, settings.names)
        state.status = "up"
        state.write(layout.state)

    def _configure(self, numbers: dict[str, int]) -> None:
        layout, settings = self.layout, self.settings
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // _MIB
        write_atomically(layout.slurm_conf, config.slurm_conf(layout, settings, numbers, memory))
        write_atomically(layout.gres_conf, config.gres_conf(settings))
        write_atomically(layout.cgroup_conf, releases.cgroup_conf(releases.installed()))
        write_atomically(layout.task_prolog, config.task_prolog(layout))
        layout.task_prolog.chmod(0o755)
        if settings.accounting:
            write_atomically(layout.slurmdbd_conf, config.slurmdbd_conf(layout, numbers))
            layout.slurmdbd_conf.chmod(0o600)  # slurmdbd refuses any other

    def _register(self) -> None:
        """Makes the cluster and an account known to the accounting database."""
        name = self.layout.cluster_name
        for words in (["cluster", name], ["account", "dev", f"Cluster={name}"], ["user", "root", "Account=dev"]):
            made = daemons.ask(self.layout, ["sacctmgr", "--immediate", "add", *words])
            if made.returncode:
                raise UserError(f"sacctmgr add {' '.join(words)} failed: {(made.stdout + made.stderr).strip()}")

    def _insist_on_same(self, state: ClusterState) -> None:
        central = [daemon for daemon in state.dead if daemon not in state.settings.names]
        if central:
            log = self.layout.log_of(central[0])
            raise UserError(
                f"the cluster in {self.layout.folder} has lost {', '.join(central)}: "
                f"say down, then up; the end of {log}:\n{daemons.tail(log)}"
            )
        if state.settings != self.settings:
            raise UserError(
                f"another cluster is up in {self.layout.folder} ({state.settings}): "
                "say down first, or choose another --folder"
            )

    def _running(self, daemon: str) -> ClusterState:
        """The state of a cluster that is up and has such a daemon."""
        requirements.insist_on_root()
        state = states.read(self.layout.state)
        if state.status != "up":
            raise UserError(f"no cluster is up in {self.layout.folder}: say up first")
        if daemon not in state.settings.daemons:
            raise UserError(f"{daemon}: no such node; there are {', '.join(state.settings.names)}")
        return state

    def _members(self, state: ClusterState) -> list[Member]:
        return members.find(self.layout, state.processes.values())

    def _sweep(self, state: ClusterState) -> int:
        """Ends everything: daemons at once, so that nothing is started any more, then jobs."""
        ended = self._kill(state, lambda member: member.kind == "daemon")
        tasks = [member.process for member in self._members(state) if member.kind == "task"]
        processes.end(tasks, signal.SIGTERM, _GRACE)
        return len(ended.union(tasks, self._kill(state, lambda _: True)))

    def _kill(self, state: ClusterState, chosen: Callable[[Member], bool]) -> set[Process]:
        """Kills the chosen ones, and those that they started while we looked."""
        ended: set[Process] = set()
        for _ in range(_ROUNDS):
            found = [member.process for member in self._members(state) if chosen(member)]
            if not found:
                return ended
            processes.end(found, signal.SIGKILL, _PATIENCE)
            ended.update(found)
        raise UserError(f"processes of {self.layout.folder} can't be ended: {[process.pid for process in found]}")
