"""Storage that fails: full disks, disks that turn read-only, files of a run that are damaged between two starts."""

from __future__ import annotations

import random
import shutil
from contextlib import ExitStack
from pathlib import Path

from tests.campaign import blows, disks
from tests.campaign.case import Case, insist, kind
from tests.campaign.work import Generation, Training, Work
from tests.campaign.world import HERE, Undisturbed, World

#: A training's check asks for room for five states.
_MEGABYTES = 224


@kind("generation on a full disk", "here", share=2)
def full_disk_generation(case: Case, world: World) -> None:
    with disks.in_memory(case.folder / "disk", _MEGABYTES) as disk:
        work = world.generation(disk / "results", *HERE, "--workers", case.chance.randint(1, 2))
        full(case, work, disk, world.undisturbed(Generation))


@kind("training on a full disk", "here")
def full_disk_training(case: Case, world: World) -> None:
    ranks = case.chance.randint(1, 2)
    with disks.in_memory(case.folder / "disk", _MEGABYTES) as disk:
        work = world.training(disk / "run", ranks, *HERE, "--ranks", ranks)
        full(case, work, disk, world.undisturbed(Training, ranks))


def full(case: Case, work: Work, disk: Path, undisturbed: Undisturbed) -> None:
    """Something else takes all room at a random moment; later it is given back."""
    after, left = case.chance.uniform(0, undisturbed.seconds), case.chance.choice([0, 0, 5_000, 50_000])
    case.note(f"full after {after:.2f} s but for {left} bytes")
    ended = blows.finish(work.command(), lambda job: blows.sleep_while_running(job, after) and disks.fill(disk, left))
    insist_on_words(case, ended, ("space left", "make room"))
    work.insist_on_no_half(undisturbed.product)
    (disk / "filler").unlink(missing_ok=True)
    finally_whole(case, work, undisturbed)


@kind("generation on a disk that turns read-only", "here")
def read_only_generation(case: Case, world: World) -> None:
    with disks.failing(case.folder / "image", case.folder / "disk", _MEGABYTES) as disk:
        work = world.generation(disk.folder / "results", *HERE, "--workers", case.chance.randint(1, 2))
        read_only(case, work, disk, world.undisturbed(Generation))


@kind("training on a disk that turns read-only", "here")
def read_only_training(case: Case, world: World) -> None:
    ranks = case.chance.randint(1, 2)
    with disks.failing(case.folder / "image", case.folder / "disk", _MEGABYTES) as disk:
        work = world.training(disk.folder / "run", ranks, *HERE, "--ranks", ranks)
        read_only(case, work, disk, world.undisturbed(Training, ranks))


def read_only(case: Case, work: Work, disk: disks.Failing, undisturbed: Undisturbed) -> None:
    after = case.chance.uniform(0, undisturbed.seconds)
    case.note(f"read-only after {after:.2f} s")
    ended = blows.finish(work.command(), lambda job: blows.sleep_while_running(job, after) and disk.fail())
    insist_on_words(case, ended, ("read-only",))
    disk.mend()
    finally_whole(case, work, undisturbed)


def insist_on_words(case: Case, ended: blows.Ended, words: tuple[str, ...]) -> None:
    """A command that failed says why, in the words of the system."""
    case.note(f"status {ended.status}")
    insist(ended.status in (0, 1, 2), f"it ended with status {ended.status}: {ended.errors[-600:]}")
    said = any(word in ended.errors.lower() for word in words)
    insist(ended.status == 0 or said, f"it failed, and did not say {words[0]!r}: {ended.errors[-800:]}")


def finally_whole(case: Case, work: Work, undisturbed: Undisturbed) -> None:
    blows.wait_until_gone(case.folder)
    blows.run_to_the_end(work)
    blows.wait_until_gone(case.folder)
    work.insist_on_whole(undisturbed.product)


@kind("generation with damaged files", "here", share=3)
def damaged_generation(case: Case, world: World) -> None:
    undisturbed = world.undisturbed(Generation)
    work = world.generation(case.folder / "results", *HERE, "--workers", 2, "--shards", case.chance.randint(1, 4))
    blows.strike_and_check(case, work, undisturbed.seconds)
    damaged = damage(case, [path for path in (work.output, work.run.path) if path.exists()])
    go_on(case, work, undisturbed, damaged, "--overwrite")


@kind("training with damaged files", "here")
def damaged_training(case: Case, world: World) -> None:
    """Steps that are in no state any more are taken again, so of the metrics only their steps are asked."""
    undisturbed = world.undisturbed(Training, 1)
    work = world.training(case.folder / "run", 1, *HERE, "--ranks", 1)
    blows.strike_and_check(case, work, undisturbed.seconds)
    damaged = damage(case, [work.run.path] if work.run.path.exists() else [])
    go_on(case, work, undisturbed, damaged, "--no_resume")


def damage(case: Case, folders: list[Path]) -> list[Path]:
    """Spoils one to three files of a run, but for the copy of the code, which is taken anew."""
    files = sorted(
        path for folder in folders for path in folder.rglob("*") if path.is_file() and "code" not in path.parts
    )
    chosen = case.chance.sample(files, min(len(files), case.chance.randint(1, 3)))
    for path in chosen:
        case.note(f"{path.relative_to(case.folder)}: {spoil(path, case.chance)}")
    return chosen


def spoil(path: Path, chance: random.Random) -> str:
    """Damages a file in one of the ways in which disks and people do; says how."""
    content = bytearray(path.read_bytes())
    how = chance.choice(["cut", "flipped", "emptied", "zeroed", "removed", "noise"])
    if how == "removed":
        path.unlink()
        return how
    if how == "emptied" or not content:
        path.write_bytes(b"")
        return "emptied"
    start = chance.randrange(len(content))
    if how == "cut":
        del content[start:]
    elif how == "flipped":
        for _ in range(chance.randint(1, 8)):
            content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    else:
        end = min(len(content), start + 512)
        content[start:end] = bytes(end - start) if how == "zeroed" else chance.randbytes(end - start)
    path.write_bytes(content)
    return how


def go_on(case: Case, work: Work, undisturbed: Undisturbed, damaged: list[Path], anew: str) -> None:
    """The same command ends with the same bytes, or says which file it can't use; with `anew` it does without."""
    ended = blows.finish(work.command())
    case.note(f"status {ended.status}")
    if ended.status != 0:
        insist(ended.status in (1, 2), f"it ended with status {ended.status}: {ended.errors[-600:]}")
        named = any(part in ended.errors for path in damaged for part in (path.name, path.parent.name))
        insist(named, f"it does not name what is damaged: {ended.errors[-600:]}")
        if blows.finish(work.command(anew)).status != 0:
            case.note(f"not even with {anew}")
            with ExitStack() as stack:
                stack.callback(shutil.rmtree, work.run.path, ignore_errors=True)
            blows.run_to_the_end(work)
    blows.wait_until_gone(case.folder)
    found = work.product()
    digests = {name: value for name, value in undisturbed.product.items() if not name.startswith("metrics of")}
    differing = [name for name, value in digests.items() if found.get(name) != value]
    insist(not differing, f"differs from the undisturbed run in {differing[:5]}")
