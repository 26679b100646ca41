"""Shows the whole way on a small set that it draws itself: `make demo`.

Draws landscapes with masks, trains a small model on them for a few minutes, generates pictures for
other masks in 4 shards, scores them, and puts masks, references and results side by side on a page and a sheet:
all in demo/, in the current folder.
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
    from ecgan.drawn import write_test_set, write_training_set
    from ecgan.palette import colourise
    from jobs.commands import program
    from launch.command import DONE, run
except ModuleNotFoundError as missing:
    runpy.run_path(str(Path(__file__).with_name("missing.py")))["exit_if_not_installed"](missing)
    raise

ROOT, FOLDER = Path(__file__).resolve().parents[1], Path("demo")
PICTURES, PAIRS = 8, 120
#: Of the drawn pictures; the model's own is smaller.
SIZE = (256, 192)


def main() -> int:
    argparse.ArgumentParser(description="Shows the whole way on a small set that it draws itself.").parse_args()
    train, test, run_dir = FOLDER / "data/train", FOLDER / "data/test", FOLDER / "run"
    if not test.exists():
        print(f"drawing {PAIRS} landscapes to learn from, and {PICTURES} masks")
        write_training_set(train, PAIRS, seed=1, size=SIZE)
        write_test_set(test, train, PICTURES, seed=2, size=SIZE)
    _call("train", "--config", ROOT / "configs/demo.yaml", "--input_path", train, "--run_dir", run_dir)
    images, results = train / "imgs", FOLDER / "results"
    where = ("--input_path", test, "--img_path", images, "--output_path", results)
    _call("generate", "--checkpoint", run_dir, *where, "--shards", 4, "--overwrite")
    inputs = ("--results", results, "--input_path", test, "--img_path", images)
    _call("score", *inputs)
    _call("gallery", *inputs)
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
    print(f"look at {FOLDER / 'contact_sheet.jpg'} or {FOLDER / 'results.html'}, and how it was learned: ", end="")
    print(run_dir / "samples.html")
    return DONE


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
