"""state.json: what was started with which settings, on which ports, as which processes."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path

from ecgan.errors import UserError
from ecgan.files import write_json
from slurm.devcluster import processes
from slurm.devcluster.config import Settings
from slurm.devcluster.processes import Process


@dataclass
class State:
    """`status`: starting, up or down. `processes`: by the daemon's name, as of this start of the machine."""

    settings: Settings
    status: str = "down"
    ports: dict[str, int] = field(default_factory=dict)
    processes: dict[str, Process] = field(default_factory=dict)

    def alive(self, daemon: str) -> bool:
        return daemon in self.processes and processes.alive(self.processes[daemon])

    @property
    def dead(self) -> list[str]:
        return [daemon for daemon in self.settings.daemons if not self.alive(daemon)]

    def write(self, path: Path) -> None:
        write_json(path, dataclasses.asdict(self) | {"boot": processes.boot()})


def read(path: Path) -> State:
    """Down if there is no such file. UserError if it is not one of ours."""
    try:
        value = json.loads(path.read_text())
        state = State(Settings(**value["settings"]), value["status"], dict(value["ports"]))
        if value["boot"] == processes.boot():
            state.processes = {name: Process(**process) for name, process in value["processes"].items()}
    except FileNotFoundError:
        return State(Settings())
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: not the state of a cluster ({error}); delete the folder, then say down") from None
    return state
