"""What sharding costs, and starting: whole commands on this machine, from the shell to the last picture.

python bench/scale.py [--quick] [--masks FOLDER] [--json FILE]
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from measure import ROOT, Times, elapsed, in_child, masks, options, write
from PIL import Image

from ecgan.checkpoint import open_checkpoint
from ecgan.config import ModelConfig
from ecgan.cores import cores
from ecgan.drawn import draw
from ecgan.runtime import starting

SHARDS = (1, 2, 4, 8)


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--pictures", type=int, help="how many are painted for each number of shards")
    asked = parser.parse_args()
    model = ModelConfig(256, 192, ngf=16, ndf=16) if asked.quick else ModelConfig()
    count = asked.pictures or (64 if asked.quick else 24)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        _write_inputs(folder, model, asked.masks, count)
        size, ngf = f"{model.width}x{model.height}", str(model.ngf)
        subprocess.run([sys.executable, "-m", "ecgan.random_model", folder / "model", size, ngf, "0"], check=True)
        _generate(folder, 1, 1)  # compiles what is not compiled yet
        figures: dict[str, Any] = {"size": f"{model.width}x{model.height}", "ngf": model.ngf, "pictures": count}
        figures["start"] = _start(folder, asked.repeats or 3)
        figures["shards"] = _shards(folder, count)
    write(figures, asked.json)


def _write_inputs(folder: Path, model: ModelConfig, chosen: Path | None, count: int) -> None:
    size = (model.width, model.height)
    (folder / "photos").mkdir()
    (folder / "test/masks").mkdir(parents=True)
    for number in range(4):
        Image.fromarray(draw(number, size)[0]).save(folder / "photos" / f"{number}.jpg")
    names = {}
    for number, labels in enumerate(masks(chosen, size, count)):
        Image.fromarray(labels).save(folder / "test/masks" / f"{number:04d}.png")
        names[f"{number:04d}.png"] = f"{number % 4}.jpg"
    (folder / "test/label_to_img.json").write_text(json.dumps(names))


def _generate(folder: Path, shards: int, count: int, *more: str) -> None:
    shutil.rmtree(folder / "results.run", ignore_errors=True)
    shutil.rmtree(folder / "results", ignore_errors=True)
    command = [sys.executable, str(ROOT / "launch/generate.py"), "--cluster", "local", "--shards", str(shards)]
    command += ["--input_path", str(folder / "test"), "--img_path", str(folder / "photos"), "--how_many", str(count)]
    command += [
        "--checkpoint",
        str(folder / "model"),
        "--output_path",
        str(folder / "results"),
        "--device",
        "cpu",
        *more,
    ]
    job = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if job.returncode:
        sys.exit(job.stderr)


def _start(folder: Path, repeats: int) -> dict[str, Any]:
    """From the command to its end for one picture, less what the networks take in a process that has begun."""
    whole = Times.of([elapsed(lambda: _generate(folder, 1, 1)) for _ in range(repeats)])
    networks = in_child(_seconds_of_networks, folder, repeats)
    print(f"one picture: {whole} from the command to its end, of which the networks take {networks:.3f} s")
    print(f"all else: {whole.median - networks:.3f} s\n")
    return {"command_s": whole, "networks_s": networks, "all_else_s": whole.median - networks}


def _seconds_of_networks(folder: Path, repeats: int) -> float:
    starting.start("cpu")
    from ecgan.synthesis import Synthesiser

    painter = Synthesiser(open_checkpoint(folder / "model"))
    photo = np.asarray(Image.open(folder / "photos/0.jpg"))[None]
    seconds = []
    for number in range(repeats + 1):  # another mask each time, or its tables would be kept
        mask = np.asarray(Image.open(folder / f"test/masks/{number:04d}.png"))[None]
        seconds.append(elapsed(lambda mask=mask: painter.generate(mask, photo, ["any"], [0], 1.0)))
    return Times.of(seconds[1:]).median


def _shards(folder: Path, count: int) -> dict[str, float]:
    """Pictures a second of one process with all cores, and of shards over as many workers as there are cores."""
    found = {"1 process": count / elapsed(lambda: _generate(folder, 1, count, "--workers", "1"))}
    for shards in SHARDS:
        workers = str(min(shards, cores()))
        found[f"{shards} shard(s)"] = count / elapsed(
            lambda s=shards, w=workers: _generate(folder, s, count, "--workers", w)
        )
    for name, speed in found.items():
        print(f"{name:<12}{speed:8.3f} pictures/s {speed / found['1 process']:8.2f} of one process")
    return found


if __name__ == "__main__":
    main()
