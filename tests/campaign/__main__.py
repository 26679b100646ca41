"""Plays the cases of a campaign, and keeps the report."""

from __future__ import annotations

import argparse
import itertools
import os
import shutil
import signal
import sys
import tempfile
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import NoReturn

import tests.campaign.bad_input
import tests.campaign.concurrency
import tests.campaign.kills
import tests.campaign.slurm_cases
import tests.campaign.storage  # noqa: F401  they register their kinds
from ecgan.errors import UserError
from tests.campaign import disks
from tests.campaign.case import Case, Fault, NotPossible, Verdict, Where, kind_of
from tests.campaign.report import Outcome, Report, version
from tests.campaign.world import World

#: Cases at a time: most of each is waiting.
AT_ONCE: dict[Where, int] = {"here": 2, "slurm": 3}


def main() -> NoReturn:
    asked = options()
    # A shell starts what is in its background with SIGINT ignored, and commands would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
    try:
        report = Report.open(asked.report, asked.seed, asked.where)
    except UserError as error:
        sys.exit(f"error: {error}")
    folder = asked.folder or Path(tempfile.gettempdir()) / f"ecgan-campaign-{asked.seed}-{asked.where}"
    world = World(folder / "world")
    if asked.where == "slurm":
        world.prepare_for_slurm()
    try:
        if asked.only is not None:
            play(report, asked.only, folder, world)
        else:
            campaign(report, asked, folder, world)
    finally:
        if asked.where == "slurm":
            world.cluster.down()
    show(report)
    sys.exit(any(outcome.verdict == "fault" for outcome in report.outcomes.values()))


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.campaign", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="decides all cases (default: 1)")
    parser.add_argument("--kills", type=int, default=200, help="go on until so many have hit (default: 200)")
    parser.add_argument("--where", choices=("here", "slurm"), default="here", help="(default: here)")
    parser.add_argument("--cases", type=int, metavar="N", help="end after so many cases, though fewer kills have hit")
    parser.add_argument("--kind", default="", metavar="WORDS", help="only cases whose kind has these words in its name")
    parser.add_argument("--only", type=int, metavar="N", help="play this case alone, whatever the report has")
    parser.add_argument("--report", type=Path, default=Path("campaign.json"), help="continued if it is there")
    parser.add_argument("--folder", type=Path, help="where runs go; those of faults stay (default: in TMPDIR)")
    return parser.parse_args()


def campaign(report: Report, asked: argparse.Namespace, folder: Path, world: World) -> None:
    """Until so many kills have hit, in this campaign and those that it goes on from, or there are no cases left."""
    began, before = time.monotonic(), report.kills
    wanted = (number for number in itertools.count() if asked.kind in kind_of(number, report.where).name)
    numbers = itertools.islice((number for number in wanted if number not in report.outcomes), asked.cases)
    playing: set[Future[None]] = set()
    with ThreadPoolExecutor(AT_ONCE[report.where]) as pool:
        while report.kills < asked.kills:
            for number in itertools.islice(numbers, AT_ONCE[report.where] - len(playing)):
                playing.add(pool.submit(play, report, number, folder, world))
            if not playing:
                return
            ended, playing = wait(playing, return_when=FIRST_COMPLETED)
            for each in ended:
                each.result()
            hit = report.kills - before
            left = f"{(time.monotonic() - began) / hit * (asked.kills - report.kills) / 60:.0f}" if hit else "?"
            print(f"{report.kills}/{asked.kills} kills, about {left} minutes left", flush=True)


def play(report: Report, number: int, folder: Path, world: World) -> None:
    """One case, from its own folder to its line in the report."""
    kind = kind_of(number, report.where)
    case = Case(report.seed, number, kind.name, folder / f"case-{number}")
    disks.unmount(case.folder / "disk")  # of a campaign that was killed
    shutil.rmtree(case.folder, ignore_errors=True)
    case.folder.mkdir(parents=True)
    verdict: Verdict = "held"
    began, words = time.monotonic(), ""
    try:
        kind.act(case, world)
        shutil.rmtree(case.folder)
    except NotPossible as why:
        verdict, words = "not possible", str(why)
    except (Fault, AssertionError, OSError, ValueError, LookupError) as fault:
        verdict, words = "fault", f"{type(fault).__name__}: {fault}"
    seconds = round(time.monotonic() - began, 1)
    report.add(Outcome(number, kind.name, verdict, case.kills, case.inputs, case.notes, seconds, version(), words))
    told = f": {words}" if words else ""
    print(f"{number}: {kind.name}, {len(case.kills)} kills, {seconds} s: {verdict}{told}", flush=True)


def show(report: Report) -> None:
    for kind, counts in report.by_kind().items():
        print(f"{kind:<40}" + ", ".join(f"{count} {name}" for name, count in counts.items() if count))


if __name__ == "__main__":
    main()
