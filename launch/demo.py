"""Shows the whole way on a small set that it draws itself: `make demo`.

Draws landscapes and masks, paints pictures for the masks in 4 shards with the model that comes with the project, scores
them, and puts masks, references and results side by side on a page and a sheet. Then it trains on from that model: some
steps, and after a stop some more. All in demo/, in the current folder.
"""

from __future__ import annotations

import argparse
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

try:
    from launch import early  # isort: skip

    early.begin(__name__)
    from PIL import Image

    from ecgan.config import ModelConfig
    from ecgan.contact_sheet import contact_sheet
    from ecgan.data.images import read_mask, read_photo
    from ecgan.data.testset import find_test_set
    from ecgan.drawn import Styles, write_test_set, write_training_set
    from ecgan.palette import colourise
    from jobs.commands import program
    from launch.command import DONE, run
except ModuleNotFoundError as missing:
    runpy.run_path(str(Path(__file__).with_name("missing.py")))["exit_if_not_installed"](missing)
    raise

ROOT, FOLDER = Path(__file__).resolve().parents[1], Path("demo")
PICTURES, PAIRS = 8, 24
#: Of the drawn pictures: the model's own.
SIZE = (256, 192)
#: What the model has learned from (docs/quality.md); of others it has no more than the tone, by colour transfer.
STYLES = Styles(times=("noon", "dawn"), weathers=("clear",), seasons=("summer", "autumn"))
#: How many steps are taken when the training is first stopped, and at its end.
STEPS = (4, 12)


def main() -> int:
    argparse.ArgumentParser(description="Shows the whole way on a small set that it draws itself.").parse_args()
    train, test, run_dir = FOLDER / "data/train", FOLDER / "data/test", FOLDER / "training"
    if not test.exists():
        print(f"drawing {PAIRS} landscapes, to take styles from and to learn from, and {PICTURES} masks")
        write_training_set(train, PAIRS, seed=1, size=SIZE, among=STYLES)
        write_test_set(test, train, PICTURES, seed=2, size=SIZE)
    images, results = train / "imgs", FOLDER / "results"
    where = ("--input_path", test, "--img_path", images, "--output_path", results)
    # The model knows such tones; with colour transfer masks would be kept less well (docs/quality.md).
    painted = ("--checkpoint", "drawn", "--colour_transfer", "none", "--shards", 4)
    _call("generate", *painted, *where, "--overwrite")
    inputs = ("--results", results, "--input_path", test, "--img_path", images)
    _call("score", *inputs)
    _call("gallery", *inputs)
    _draw_sheet(test, images, results)
    print(f"look at {FOLDER / 'results.html'} or {FOLDER / 'contact_sheet.jpg'}")
    print("and now from there on, as with pictures of your own: a training that stops, and goes on")
    for steps in STEPS:
        how = ("--config", ROOT / "configs/demo.yaml", "--max_steps", steps)
        _call("train", *how, "--input_path", train, "--run_dir", run_dir)
    print(f"look at {FOLDER / 'results.html'}, and at what was learned from: {run_dir / 'samples.html'}")
    return DONE


def _draw_sheet(test: Path, images: Path, results: Path) -> None:
    rows = [
        [
            colourise(read_mask(item.mask, ModelConfig())),
            read_photo(item.reference),
            read_photo(results / f"{item.name}.jpg"),
        ]
        for item in find_test_set(test, images).items
    ]
    sheet: Image.Image = contact_sheet(rows)
    sheet.save(FOLDER / "contact_sheet.jpg", quality=92)


def _call(name: str, *options: object) -> None:
    script, words = program(name), [str(word) for word in options]
    python = [] if script else [sys.executable]
    words.insert(0, str(script or ROOT / "launch" / f"{name}.py"))
    print("$", shlex.join([*(["python"] if python else []), *words]), flush=True)
    status = subprocess.run([*python, *words]).returncode
    if status:
        sys.exit(status)


if __name__ == "__main__":
    run(main)
