"""Bad input: spoiled masks, photos, lists, settings and weights, and values that no option means.

Whatever it is, a command takes it or refuses it with status 2 and a line; never a traceback, never a failure later.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import yaml

from tests.campaign import blows
from tests.campaign.case import Case, insist, kind
from tests.campaign.storage import spoil
from tests.campaign.work import Generation, launch
from tests.campaign.world import HERE, World
from tests.conftest import ROOT, DataFolder, TrainFolder

_MASKS = 4
#: Given to each case.
_INPUTS = 8
#: As YAML has them.
_VALUES = (
    *("", "null", "~", ".nan", ".inf", "-1", "0", "1e308", "-0.0", "9" * 400, "true", "[]", "{}", "[1, 2]", "{a: 1}"),
    *("'0x10'", "'" + "a" * 5000 + "'", "~nosuchuser/x", "/dev/null", "/dev/zero", "/", ".", "' '", '"\\0"', "ä"),
    *("3.5", "1_000", "2026-11-26", "!!binary aGk=", "&a [*a]", "<<: 1", "@", "- 1", "'1x1'", "99999x99999", "0x0"),
)


@kind("bad input to generate", "here", share=2)
def generate(case: Case, world: World) -> None:
    data = DataFolder(case.folder / "data", _MASKS, world.checkpoint)
    shutil.copytree(world.checkpoint, checkpoint := case.folder / "checkpoint")
    data.checkpoint = checkpoint
    config = case.folder / "options.yaml"
    config.write_text("seed: 3\nnoise: 0.5\nsize: 128x64\nquality: 90\nshards: 2\nformat: jpg\n")
    work = Generation(data, case.folder / "results", (*HERE, "--config", config))
    files = [*data.masks.iterdir(), *data.photos.iterdir(), *checkpoint.iterdir(), data.references, config]
    for _ in range(_INPUTS):
        give(case, case.chance.choice(sorted(files)), lambda *more: work.command(*more))


@kind("bad input to train", "here")
def train(case: Case, world: World) -> None:
    data = TrainFolder(case.folder / "data", 6)
    for _ in range(_INPUTS):
        path = case.chance.choice(sorted(data.data.rglob("p*.*")))
        give(case, path, lambda *more: data.command(*HERE, *more))


def give(case: Case, path: Path, command: Callable[..., list[str]]) -> None:
    """Spoils one file, asks for the plan, which looks at all input, and mends the file."""
    whole = path.read_bytes()
    words = f"{path.relative_to(case.folder)}: {spoil(path, case.chance)}"
    ended = judge(case, words, command("--dry-run"))
    if ended.status == 2:
        named = path.name in ended.errors or path.parent.name in ended.errors
        named = named or (path.suffix == ".yaml" and "--" in ended.errors)  # the option that it has wrong
        insist(named, f"{words}: the refusal does not name it: {ended.errors[-600:]}")
    elif case.chance.random() < 0.3:
        done = judge(case, f"{words}, in earnest", command("--overwrite") if "generate" in command()[1] else command())
        insist(done.status == 0, f"{words}: planned, and then it failed: {done.errors[-600:]}")
    path.write_bytes(whole)


def judge(case: Case, words: str, command: list[str], left_out: str | None = None) -> blows.Ended:
    """It takes what it is given (0) or refuses it (2), or does without what it names as `left_out` (1)."""
    case.inputs += 1
    try:
        ended = blows.finish(command)
    except AssertionError as fault:
        raise AssertionError(f"{words}: {fault}") from None
    insist(ended.status in (0, 1, 2), f"{words}: status {ended.status}: {ended.errors[-600:]}")
    does_without = left_out is not None and left_out in ended.errors
    insist(ended.status != 1 or does_without, f"{words}: status 1, not 2: {ended.errors[-600:]}")
    return ended


@kind("bad options", "here")
def options(case: Case, world: World) -> None:
    """A value that no option means, for an option of any command, in a file or on the command line."""
    for _ in range(_INPUTS):
        command, preset = case.chance.choice([("generate", "generate"), ("train", "ecgan")])
        known = yaml.safe_load((ROOT / f"configs/{preset}.yaml").read_text())
        name, value = case.chance.choice(sorted(known)), case.chance.choice(_VALUES)
        if case.chance.random() < 0.5:
            config = case.folder / "options.yaml"
            config.write_text(f"{name}: {value}\n")
            given: tuple[object, ...] = ("--config", config)
        else:
            given = (f"--{name}={value}",)
        masks, pairs = world.generation(case.folder / "results", *HERE), world.pairs
        line = masks.command(*given) if command == "generate" else pairs.command(*HERE, *given, run="bad options")
        judge(case, f"{command} {name}={value[:60]} ({given[0] if len(given) > 1 else 'typed'})", [*line, "--dry-run"])


@kind("what others read, damaged", "here")
def readers(case: Case, world: World) -> None:
    """Commands that read a finished run and its results, of which a file is damaged."""
    world.undisturbed(Generation)
    theirs = world.folder / "undisturbed"
    for _ in range(_INPUTS):
        shutil.rmtree(case.folder / "copy", ignore_errors=True)
        copy = case.folder / "copy"
        for folder in (theirs / "Generation-1", theirs / "Generation-1.run"):
            shutil.copytree(folder, copy / folder.name.replace("Generation-1", "results"))
        files = sorted(path for path in copy.rglob("*") if path.is_file() and "code" not in path.parts)
        path = case.chance.choice(files)
        words = f"{path.relative_to(copy)}: {spoil(path, case.chance)}"
        read(case, words, path, world)


def read(case: Case, words: str, damaged: Path, world: World) -> None:
    copy, masks = case.folder / "copy", world.masks
    test = ("--input_path", masks.path / "data/test", "--img_path", masks.photos)
    of = {
        "status": (copy / "results.run", "--json"),
        "cancel": (copy / "results.run",),
        "pack": ("--results", copy / "results", "--output", copy / "results.zip"),
        "gallery": ("--results", copy / "results", *test, "--output", copy / "results.html"),
        "score": ("--results", copy / "results", *test, *HERE, "--dry-run"),
    }
    command = case.chance.choice(sorted(of))
    left_out = damaged.name if command == "gallery" else None
    ended = judge(case, f"{command}: {words}", launch(command, *of[command]), left_out)
    if command == "status" and ended.status == 0:
        json.loads(ended.output)
