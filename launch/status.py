"""Shows how runs stand: progress, speed, losses, shards, and what went wrong. Reads files, touches nothing.

Of runs on a cluster it adds what the scheduler says, where one answers.

python launch/status.py runs/ecgan --watch
"""

from __future__ import annotations

import json
import runpy
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

try:
    from launch import early  # isort: skip

    early.begin(__name__)
    from ecgan.errors import UserError
    from jobs.options import option
    from jobs.run.find import PLACES, find_runs, is_run, run_of, runs_here
    from jobs.run.kind import Kind
    from jobs.run.status import Status, read_status
    from jobs.run.words import describe
    from launch.command import DONE, parse, run
    from launch.scheduler import with_scheduler
except ModuleNotFoundError as missing:
    runpy.run_path(str(Path(__file__).with_name("missing.py")))["exit_if_not_installed"](missing)
    raise

_INTERVAL = 2.0
#: Moves to the upper left corner and clears what is below.
_CLEAR = "\033[H\033[J"


@dataclass(frozen=True)
class StatusSettings:
    run_dirs: tuple[str, ...] = option(
        (".",),
        f"folders of runs, or folders with runs below; by default this folder: {PLACES}",
        positional=True,
        path=True,
    )
    watch: bool = option(False, "show it anew every 2 seconds until all runs are over")
    json: bool = option(False, "print JSON: a list with an object for each run; with --watch one line each time")


def main() -> int:
    settings = parse(StatusSettings, "Shows how runs stand. Reads files alone, so it works while they run.")
    try:
        statuses = look(settings)
        show(statuses, settings)
        while settings.watch and not all(status.is_over for status in statuses):
            time.sleep(_INTERVAL)
            statuses = look(settings)
            show(statuses, settings)
    except KeyboardInterrupt:
        if not settings.watch:
            raise
    return DONE


def look(settings: StatusSettings) -> list[Status]:
    """The status of every run asked for. Raises UserError for a folder that is none and has none below."""
    paths: dict[Path, None] = {}
    for given in settings.run_dirs:
        folder = Path(given).expanduser()
        is_here = given == "." and not is_run(folder)
        found = runs_here(folder) if is_here else find_runs(run_of(folder))
        if not found and not is_here:
            raise UserError(f"{folder} is not the folder of a run, and there is none below it")
        paths |= dict.fromkeys(found)
    return with_scheduler([read_status(path) for path in paths if is_run(path)])


def show(statuses: list[Status], settings: StatusSettings) -> None:
    if settings.json:
        values = [status.to_json() | _chains(status, in_json=True) for status in statuses]
        print(json.dumps(values, indent=None if settings.watch else 1, allow_nan=False), flush=True)
        return
    text = "\n\n".join("\n".join([*describe(status), *_chains(status).get("lines", [])]) for status in statuses)
    clear = _CLEAR if settings.watch and sys.stdout.isatty() else ""
    print(clear + (text or f"no runs here: nothing of {PLACES}"), flush=True)


def _chains(status: Status, in_json: bool = False) -> dict[str, Any]:
    """What of an experiment's chains is shown; nothing of other runs, or of one whose plan can't be read."""
    if status.kind is not Kind.EXPERIMENT:
        return {}
    from jobs.experiment import tree  # which imports what other runs need not

    try:
        found = tree.standing(status)
    except UserError as error:
        return {"chains": None} if in_json else {"lines": [f"  {error}"]}
    return {"chains": tree.to_json(found)} if in_json else {"lines": tree.lines(found)}


if __name__ == "__main__":
    run(main)
