"""Recipes of training against each other: the same drawn landscapes, the same processor time and the same steps.

python bench/recipes.py [--recipes FILE] [--only NAME,NAME] [--seeds N] [--minutes M] [--steps S] [--folder DIR]

It can be killed and called again: it goes on. Each training has one thread, and --at_once of them run side by side.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml
from curves import curves
from measure import ROOT, write
from one_recipe import PHOTOS, Judged, Task

from ecgan.checkpoint import list_states
from ecgan.contact_sheet import contact_sheet
from ecgan.data.images import read_mask, read_photo
from ecgan.data.trainset import find_training_set
from ecgan.drawn import write_training_set
from ecgan.errors import UserError
from ecgan.files import write_atomically, write_json
from ecgan.lines import read_records
from ecgan.palette import colourise
from jobs.train.settings import TrainSettings

#: Seeds of the sets: what one network sees no other does, and nobody the held-out pairs.
_SEEDS = {"train": 101, "held_out": 202, "judge": 303, "guide": 404}
#: In how many equal parts of the time a training is judged.
_MOMENTS = 6
#: What is shown of it, with how many digits; more is better but for the last.
_COLUMNS = {"mask_accuracy": 3, "mean_iou": 3, "style": 3, "style_transferred": 3, "fsd": 2}
_GUIDE = "GUIDE"
_SHOWN = 6


@dataclass(frozen=True)
class Recipe:
    name: str
    options: dict[str, Any]


def main() -> None:
    asked = _options().parse_args()
    try:
        recipes = read_recipes(asked.recipes, asked.only, asked.size)
        size = TrainSettings(**recipes[0].options).picture_size
        folder = asked.folder.absolute() / f"{size[0]}x{size[1]}"
        train = _drawn(folder, "train", size, asked.pairs)
        held_out = _drawn(folder, "held_out", size, asked.held_out)
        judge = asked.judge or _segmenter(folder, "judge", size, asked)
        guided = any(_GUIDE in recipe.options.values() for recipe in recipes)
        guide = asked.guide or (_segmenter(folder, "guide", size, asked) if guided else None)
        tasks = _tasks(recipes, asked, folder, train, held_out, judge, guide)
    except UserError as error:
        sys.exit(f"error: {error}")
    _run_all(tasks, asked.at_once)
    _report(recipes, tasks, asked, folder, held_out)


def read_recipes(path: Path, only: Sequence[str] = (), size: str | None = None) -> list[Recipe]:
    """The file's recipes with what all have in common, or those of them that are named `only`; `size`: WIDTHxHEIGHT
    instead of the file's. Raises UserError."""
    try:
        content = yaml.safe_load(path.read_text())
        base, named = content["base"] | ({"size": size} if size else {}), content["recipes"]
        recipes = [Recipe(str(name), base | (options or {})) for name, options in named.items()]
    except (OSError, yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path}: base and recipes, each a mapping of options, can't be read from it: {error!r}"
        ) from None
    if strangers := set(only) - {recipe.name for recipe in recipes}:
        raise UserError(f"--only {','.join(sorted(strangers))}: {path} has no such recipe")
    for recipe in recipes:
        try:
            TrainSettings(**recipe.options)
        except (TypeError, UserError) as error:
            raise UserError(f"{path}: recipe {recipe.name!r}: {error}") from None
    return [recipe for recipe in recipes if not only or recipe.name in only]


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--recipes", type=Path, default=ROOT / "bench/recipes.yaml", help="file with base and recipes")
    parser.add_argument("--only", type=lambda text: text.split(","), default=(), metavar="NAMES", help="of its recipes")
    parser.add_argument("--seeds", type=int, default=1, help="trainings of each recipe")
    parser.add_argument("--minutes", type=float, default=8.0, help="processor time of each training's steps")
    parser.add_argument("--steps", type=int, default=150, help="where all are compared after as many steps, too")
    parser.add_argument("--pairs", type=int, default=800, help="drawn pairs to learn from")
    parser.add_argument("--held_out", type=int, default=100, help="drawn pairs to judge with")
    parser.add_argument("--size", metavar="WxH", help="of the pictures, if not that of the recipes' file")
    parser.add_argument("--judge", help="run of a segmentation network instead of one that is trained here")
    parser.add_argument("--guide", help="likewise, for recipes that have one")
    parser.add_argument("--steps_of_networks", type=int, default=3000, help="how long these two are trained")
    parser.add_argument("--at_once", type=int, default=1, help="trainings side by side, of one thread each")
    parser.add_argument(
        "--folder", type=Path, default=Path("build/recipes"), help="of all that is made, in one below it for each size"
    )
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    return parser


def _drawn(folder: Path, name: str, size: tuple[int, int], count: int) -> Path:
    """The set of pairs that is called so; drawn, unless it has been."""
    path = folder / "data" / name
    if len(list((path / "labels").glob("*.png"))) < count:
        write_training_set(path, count, _SEEDS[name], size)
    return path


def _segmenter(folder: Path, name: str, size: tuple[int, int], asked: argparse.Namespace) -> str:
    """The run of the network that is called so; trained on a set of its own, unless it has been."""
    data, run = _drawn(folder, name, size, asked.pairs), folder / name
    command = [sys.executable, ROOT / "launch/train.py", "--config", ROOT / "configs/segmenter.yaml"]
    command += ["--input_path", data, "--run_dir", run, "--size", f"{size[0]}x{size[1]}", "--seed", _SEEDS[name]]
    command += ["--held_out", 16, "--batch_size", 4, "--niter_decay", 0, "--niter", 1000]
    command += ["--max_steps", asked.steps_of_networks, "--eval_every_epochs", 1, "--display_every_steps", 0]
    command += ["--cluster", "local", "--device", "cpu"]
    if subprocess.run(list(map(str, command))).returncode or not list_states(run / "states"):
        raise UserError(f"the segmentation network in {run} could not be trained")
    return str(run)


def _tasks(
    recipes: Sequence[Recipe],
    asked: argparse.Namespace,
    folder: Path,
    train: Path,
    held_out: Path,
    judge: str,
    guide: str | None,
) -> dict[tuple[str, int], Task]:
    moments = [60 * asked.minutes * (part + 1) / _MOMENTS for part in range(_MOMENTS)]
    tasks = {}
    for seed in range(asked.seeds):  # seed by seed, so that all are there as early as can be
        for recipe in recipes:
            options = {name: guide if value == _GUIDE else value for name, value in recipe.options.items()}
            options |= {"input_path": str(train), "seed": seed, "niter": 10**6, "niter_decay": 0}
            place = folder / "runs" / f"{recipe.name.replace('/', 'over').replace(' ', '-')}-{seed}"
            tasks[recipe.name, seed] = Task(str(place), options, str(held_out), judge, moments, asked.steps)
    return tasks


def _run_all(tasks: Mapping[tuple[str, int], Task], at_once: int) -> None:
    began, missing = time.monotonic(), [key for key, task in tasks.items() if not _is_over(task)]
    done = 0

    def run(key: tuple[str, int]) -> None:
        nonlocal done
        task = tasks[key]
        folder = Path(task.folder)
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "task.json", asdict(task))
        with open(folder / "log", "a") as log:
            command = ["nice", "-n", "10", sys.executable, str(ROOT / "bench/one_recipe.py"), str(folder / "task.json")]
            threads = {"OMP_NUM_THREADS": "1", "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
            status = subprocess.run(command, stdout=log, stderr=log, env=os.environ | threads).returncode
        done += 1
        left = (time.monotonic() - began) / done * (len(missing) - done)
        how = "done" if not status else f"failed, see {folder / 'log'}"
        print(f"{key[0]}, seed {key[1]}: {how}; {done} of {len(missing)}, {left / 60:.0f} min left", flush=True)

    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(run, missing))


def _is_over(task: Task) -> bool:
    judged = read_judged(Path(task.folder))
    return bool(judged) and judged[-1].seconds >= task.moments[-1] and judged[-1].step >= task.steps


def read_judged(folder: Path) -> list[Judged]:
    """In the order of their steps; one that was judged twice, before a kill and after it, counts once."""
    path = folder / "judged.jsonl"
    found = read_records(path, Judged) if path.exists() else ()
    return [each for _, each in sorted({each.step: each for each in found}.items())]


def at_time(judged: Sequence[Judged], seconds: float) -> Judged | None:
    """The first that has had so much processor time."""
    return next((each for each in judged if each.seconds >= seconds), None)


def in_second_half(judged: Sequence[Judged], seconds: float) -> Judged | None:
    """The mean of all from half of so much processor time on, for one moment of a training says little of the next;
    None before the training has had that time."""
    if (last := at_time(judged, seconds)) is None:
        return None
    those = [asdict(each) for each in judged if seconds / 2 <= each.seconds <= last.seconds]
    means = {name: statistics.fmean(each[name] for each in those) for name in those[0] if name != "step"}
    return replace(last, **means)


def at_steps(judged: Sequence[Judged], steps: int) -> Judged | None:
    return next((each for each in judged if each.step == steps), None)


def _report(
    recipes: Sequence[Recipe],
    tasks: Mapping[tuple[str, int], Task],
    asked: argparse.Namespace,
    folder: Path,
    held_out: Path,
) -> None:
    judged = {key: read_judged(Path(task.folder)) for key, task in tasks.items()}
    end = 60 * asked.minutes
    ways = {
        f"after {asked.minutes:g} minutes": {key: at_time(each, end) for key, each in judged.items()},
        f"in the mean of the moments between {asked.minutes / 2:g} and {asked.minutes:g} minutes": {
            key: in_second_half(each, end) for key, each in judged.items()
        },
        f"after {asked.steps} steps": {key: at_steps(each, asked.steps) for key, each in judged.items()},
    }
    photos = next((found for task in tasks.values() if (found := _of_photos(Path(task.folder)))), {})
    text = "\n".join(f"{way}\n\n{table(recipes, found, photos)}\n" for way, found in ways.items())
    print(f"\n{text}")
    write_atomically(folder / "table.md", text)
    for column in ("mask_accuracy", "fsd"):
        lines = {
            recipe.name: [(each.seconds / 60, getattr(each, column)) for each in judged.get((recipe.name, 0), ())]
            for recipe in recipes
        }
        write_atomically(folder / f"{column}.svg", curves(lines, "minutes of processor time", column))
    _sheet(recipes, tasks, folder, held_out)
    write(
        {
            "ways": {
                way: [asdict(each) | {"recipe": key[0], "seed": key[1]} for key, each in found.items() if each]
                for way, found in ways.items()
            }
        },
        asked.json,
    )
    print(f"table.md, mask_accuracy.svg, fsd.svg and sheet.jpg are in {folder}")


def _of_photos(folder: Path) -> dict[str, float]:
    """What the judge finds in the held-out photos themselves; empty before the training has begun."""
    try:
        return dict(json.loads((folder / PHOTOS).read_text()))
    except FileNotFoundError:
        return {}


def table(
    recipes: Sequence[Recipe],
    found: Mapping[tuple[str, int], Judged | None],
    photos: Mapping[str, float] = MappingProxyType({}),
) -> str:
    """Means over the seeds, and how far these lie apart. `photos`: by column, the figures of the photos themselves."""
    rows = ["| recipe | seeds | steps | " + " | ".join(_COLUMNS) + " |", "| --- " * (3 + len(_COLUMNS)) + "|"]
    for recipe in recipes:
        those = [each for (name, _), each in found.items() if name == recipe.name and each is not None]
        if not those:
            rows.append(f"| {recipe.name} | 0 |" + "  |" * (1 + len(_COLUMNS)))
            continue
        cells = [recipe.name, str(len(those)), f"{statistics.mean(each.step for each in those):.0f}"]
        for column, digits in _COLUMNS.items():
            values = [getattr(each, column) for each in those]
            spread = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
            cells.append(f"{statistics.mean(values):.{digits}f}{spread}")
        rows.append("| " + " | ".join(cells) + " |")
    if photos:
        cells = [f"{photos[column]:.{digits}f}" if column in photos else "" for column, digits in _COLUMNS.items()]
        rows.append("| the photos themselves |  |  | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def _sheet(recipes: Sequence[Recipe], tasks: Mapping[tuple[str, int], Task], folder: Path, held_out: Path) -> None:
    """The same masks painted by each recipe's first training; a row for each mask."""
    pairs = find_training_set(held_out).pairs
    there = [recipe for recipe in recipes if (Path(tasks[recipe.name, 0].folder) / f"shown-{_SHOWN - 1}.png").is_file()]
    model, rows = TrainSettings(**recipes[0].options).model, []
    for place, pair in enumerate(pairs[:_SHOWN]):
        painted = [read_photo(Path(tasks[recipe.name, 0].folder) / f"shown-{place}.png") for recipe in there]
        style = read_photo(pairs[(place + 1) % len(pairs)].photo)
        rows.append([colourise(read_mask(pair.mask, model)), style, *painted])
    if rows:
        headings = ["mask", "style", *(recipe.name for recipe in there)]
        contact_sheet(rows, (128, 96), headings).save(folder / "sheet.jpg", quality=90)


if __name__ == "__main__":
    main()
