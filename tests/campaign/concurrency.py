"""Several commands at once on one run: one of them works, the others look on, are kept out, or end it."""

from __future__ import annotations

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor

from tests.campaign import blows
from tests.campaign.case import Case, insist, kind
from tests.campaign.work import Generation, Scoring, Training, Work, launch
from tests.campaign.world import HERE, Undisturbed, World

_LAUNCHERS = 3


@kind("generation by several launchers", "here")
def generation(case: Case, world: World) -> None:
    work = world.generation(case.folder / "results", *HERE, "--workers", 1)
    at_once(case, work, world.undisturbed(Generation))


@kind("scoring by several launchers", "here")
def scoring(case: Case, world: World) -> None:
    at_once(case, world.scoring(case.folder / "score", *HERE, "--workers", 1), world.undisturbed(Scoring))


@kind("training by several launchers", "here")
def training(case: Case, world: World) -> None:
    work = world.training(case.folder / "run", 1, *HERE, "--ranks", 1)
    at_once(case, work, world.undisturbed(Training, 1))


def at_once(case: Case, work: Work, undisturbed: Undisturbed) -> None:
    """Each begins at its own moment: it does the work, finds it done, or is told who does it."""
    moments = [0.0, *(case.chance.uniform(0, undisturbed.seconds) for _ in range(_LAUNCHERS - 1))]
    case.note("begun after " + ", ".join(f"{moment:.2f} s" for moment in moments))

    def launcher(moment: float) -> blows.Ended:
        subprocess.run(["sleep", str(moment)], check=True)
        return blows.finish(work.command())

    with ThreadPoolExecutor(_LAUNCHERS) as pool:
        all_ended = list(pool.map(launcher, moments))
    case.note(f"status {[ended.status for ended in all_ended]}")
    for ended in all_ended:
        insist(ended.status in (0, 2), f"a launcher ended with status {ended.status}: {ended.errors[-600:]}")
        insist(ended.status == 0 or "is in use by process" in ended.errors, f"refused: {ended.errors[-600:]}")
    insist(any(ended.status == 0 for ended in all_ended), "none of them did it")
    work.insist_on_whole(undisturbed.product)


@kind("generation watched and cancelled", "here")
def generation_cancelled(case: Case, world: World) -> None:
    work = world.generation(case.folder / "results", *HERE, "--workers", 2)
    watch_and_cancel(case, work, world.undisturbed(Generation))


@kind("training watched and cancelled", "here")
def training_cancelled(case: Case, world: World) -> None:
    ranks = case.chance.randint(1, 2)
    work = world.training(case.folder / "run", ranks, *HERE, "--ranks", ranks)
    watch_and_cancel(case, work, world.undisturbed(Training, ranks))


def watch_and_cancel(case: Case, work: Work, undisturbed: Undisturbed) -> None:
    """Status, again and again, is whole JSON at every moment; cancelled, the run stops as by SIGTERM, and goes on."""
    after = case.chance.uniform(0, undisturbed.seconds)

    def meanwhile(job: subprocess.Popen[bytes]) -> None:
        while not work.run.status.exists() and blows.sleep_while_running(job, 0.05):
            pass
        for _ in range(2):
            look(work)
        if blows.sleep_while_running(job, after):
            ended = blows.finish(launch("cancel", work.run.path))
            insist(ended.status == 0, f"cancel ended with status {ended.status}: {ended.errors[-600:]}")
            case.note(f"cancelled after {after:.2f} s: {ended.output.strip()[-60:]}")
            look(work)

    ended = blows.finish(work.command(), meanwhile)
    case.note(f"status {ended.status}")
    insist(ended.status in (0, 75), f"cancelled, it ended with status {ended.status}: {ended.errors[-600:]}")
    blows.wait_until_gone(case.folder)
    work.insist_on_record()
    blows.run_to_the_end(work)
    work.insist_on_whole(undisturbed.product)


def look(work: Work) -> None:
    ended = blows.finish(launch("status", "--json", work.run.path))
    insist(ended.status == 0, f"status ended with status {ended.status}: {ended.errors[-600:]}")
    insist(len(json.loads(ended.output)) == 1, "status does not show the run")
