"""Shows the whole way on a small set that it draws itself: `make demo`.

Draws landscapes with masks, makes a small random model, generates pictures in 4 shards, and puts
masks, references and results side by side on one sheet.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

try:
    from PIL import Image

    from ecgan.config import ModelConfig
    from ecgan.contact_sheet import contact_sheet
    from ecgan.data.images import read_mask, read_photo
    from ecgan.data.procedural import write_test_set, write_training_set
    from ecgan.data.testset import find_test_set
    from ecgan.palette import colourise
    from launch.command import DONE, run
except ModuleNotFoundError as missing:
    sys.exit(f"error: {missing}: run `make setup` once, then .venv/bin/python launch/demo.py")

FOLDER = Path("demo")
PICTURES, PHOTOS = 8, 16
SIZE = (256, 192)
#: The random model's size and shape: width x height, channels of the last block, seed.
MODEL = ("256x192", "8", "0")


def main() -> int:
    train, test, checkpoint = FOLDER / "data/train", FOLDER / "data/test", FOLDER / "checkpoint"
    if not test.exists():
        print(f"drawing {PHOTOS} landscapes for reference and {PICTURES} masks")
        write_training_set(train, PHOTOS, seed=1, size=SIZE)
        write_test_set(test, train, PICTURES, seed=2, size=SIZE)
    if not checkpoint.exists():
        print("making a model with random weights (its pictures have structure and colour, but are no landscapes)")
        _call([sys.executable, "-m", "ecgan.random_model", str(checkpoint), *MODEL])
    images, results = train / "imgs", FOLDER / "results"
    _call(
        [sys.executable, "launch/generate.py", "--input_path", str(test), "--img_path", str(images)]
        + ["--checkpoint", str(checkpoint), "--output_path", str(results), "--shards", "4"]
    )
    rows = [
        [
            colourise(read_mask(item.mask, ModelConfig(*SIZE))),
            read_photo(item.reference),
            read_photo(results / f"{item.name}.jpg"),
        ]
        for item in find_test_set(test, images).items
    ]
    sheet: Image.Image = contact_sheet(rows)
    sheet.save(FOLDER / "contact_sheet.jpg", quality=92)
    print(f"look at {FOLDER / 'contact_sheet.jpg'}")
    return DONE


def _call(command: list[str]) -> None:
    print("$ python", shlex.join(command[1:]), flush=True)
    status = subprocess.run(command).returncode
    if status:
        sys.exit(status)


if __name__ == "__main__":
    run(main)
