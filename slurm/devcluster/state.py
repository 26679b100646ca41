"""state.json: what was started with which settings, on which ports, as which processes."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path

from ecgan.errors import UserError
from ecgan.files import read_json, write_json
from slurm.devcluster import processes
from slurm.devcluster.config import Settings
from slurm.devcluster.processes import Process


@dataclass
class ClusterState:
    """`status`: starting, up or down. `processes`: by the daemon's name, as of this start of the machine, `boot`."""

    settings: Settings
    status: str = "down"
    ports: dict[str, int] = field(default_factory=dict)
    processes: dict[str, Process] = field(default_factory=dict)
    boot: str = field(default_factory=lambda: processes.boot())

    def alive(self, daemon: str) -> bool:
        return daemon in self.processes and processes.alive(self.processes[daemon])

    @property
    def dead(self) -> list[str]:
        return [daemon for daemon in self.settings.daemons if not self.alive(daemon)]

    def write(self, path: Path) -> None:
        write_json(path, dataclasses.asdict(self))


def read(path: Path) -> ClusterState:
    """Down if there is no such file. UserError if it is not one of ours."""
    try:
        state = read_json(path, ClusterState, "the state of a cluster")
    except FileNotFoundError:
        return ClusterState(Settings())
    except UserError as error:
        raise UserError(f"{error.fact}; delete the folder, then say down") from None
    if state.boot != processes.boot():
        state.processes, state.boot = {}, processes.boot()
    return state
