"""Killed runs on this machine: struck several times at random moments, then run to the end."""

from __future__ import annotations

import shutil
from typing import Any

from tests.campaign import blows
from tests.campaign.case import Case, insist, kind
from tests.campaign.work import Generation, Scoring, Training, Work
from tests.campaign.world import HERE, Undisturbed, World


@kind("generation killed", "here", share=10)
def generation(case: Case, world: World) -> None:
    workers = ("--shards", case.chance.randint(1, 5), "--workers", case.chance.choice([1, 1, 1, 2]))
    work = world.generation(case.folder / "results", *HERE, *workers, "--batch", case.chance.randint(1, 3))
    kill_and_go_on(case, work, world.undisturbed(Generation), case.chance.randint(4, 8))


@kind("generation over old results killed", "here", share=3)
def generation_over_old_results(case: Case, world: World) -> None:
    """Pictures of another seed are to be replaced: at every moment the old ones or the new ones are there."""
    work = world.generation(case.folder / "results", *HERE, "--overwrite", "--workers", case.chance.randint(1, 2))
    blows.run_to_the_end(work, "--seed", 7)
    kill_and_go_on(case, work, world.undisturbed(Generation), case.chance.randint(2, 4), old=work.product())


@kind("scoring killed", "here", share=5)
def scoring(case: Case, world: World) -> None:
    workers = ("--shards", case.chance.randint(1, 4), "--workers", case.chance.randint(1, 2))
    work = world.scoring(case.folder / "score", *HERE, *workers)
    kill_and_go_on(case, work, world.undisturbed(Scoring), case.chance.randint(5, 9))


@kind("training killed", "here", share=3)
def training(case: Case, world: World) -> None:
    ranks = case.chance.randint(1, 2)
    work = world.training(case.folder / "run", ranks, *HERE, "--ranks", ranks)
    kill_and_go_on(case, work, world.undisturbed(Training, ranks), case.chance.randint(2, 3))


def kill_and_go_on(
    case: Case, work: Work, undisturbed: Undisturbed, times: int, old: dict[str, Any] | None = None
) -> None:
    """`old`: what was there before, and may still be."""
    before: dict[str, object] = {}
    of_old = work.kept()
    for turn in range(times):
        ended = blows.strike_and_check(case, work, undisturbed.seconds * (0.9 if turn == 0 else 0.7))
        before = {name: value for name, value in still_kept(work, before).items() if of_old.get(name) != value}
        if old is not None and work.output.exists() and work.product() == old:
            continue
        there = work.output.exists() or work.run.replaced.exists()  # aside, until the next start
        insist(old is None or there, "neither the old results nor the new ones are there")
        work.insist_on_no_half(undisturbed.product)
        if ended.status == 0:
            if old is not None:
                break
            begin_anew(work)
            before = {}
    blows.run_to_the_end(work)
    still_kept(work, before)
    blows.wait_until_gone(case.folder)
    work.insist_on_whole(undisturbed.product)


def begin_anew(work: Work) -> None:
    for path in (work.output, work.run.path):
        shutil.rmtree(path, ignore_errors=True)


def still_kept(work: Work, before: dict[str, object]) -> dict[str, object]:
    """Raises Fault if something that was done is done no more, or was done again."""
    after = work.kept()
    gone = sorted(name for name in before if after.get(name) != before[name])
    insist(not gone, f"lost, or made again: {gone[:5]} ({len(gone)} such)")
    return after
