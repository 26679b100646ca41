"""What the number of masks costs: the check, a shard's start, merge, status and a rerun, with networks left out.

python bench/growth.py [--counts 1000 10000 100000] [--masks FOLDER] [--json FILE]

Masks are hard links to a few hundred files, each with a name of its own; nothing is painted: pictures and the lines on
what became of them are put in place as the shards of a run leave them, so that merge and reruns do all of their work.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import pickle
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from measure import elapsed, in_child, masks, options, peak_memory, write
from PIL import Image

from ecgan.checkpoint import native, tensors
from ecgan.config import ModelConfig
from ecgan.data.images import encode
from ecgan.drawn import draw
from ecgan.file_notes import stamp_of
from ecgan.files import sha256_of
from jobs.generate import outcomes
from jobs.generate.outcomes import TaskOutcome
from jobs.generate.request import check
from jobs.generate.settings import GenerateSettings
from jobs.generate.shard import GenerateShare
from jobs.generate.work import examine
from jobs.run.folder import RunDir
from launch import generate, status
from launch.taking import taken

COUNTS = (1_000, 10_000, 100_000)
#: How many files of masks, photos and pictures the names share; how many masks a shard has.
_MASKS, _PHOTOS, _PICTURES, _OF_A_SHARD = 500, 4, 64, 1_000
_MODEL = ModelConfig(ngf=4, ndf=4)


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--counts", type=int, nargs="+", help="how many masks")
    parser.add_argument("--scratch", type=Path, help="where the files are made; by default where temporary ones are")
    asked = parser.parse_args()
    figures: dict[str, Any] = {}
    for count in asked.counts or ((200, 1_000) if asked.quick else COUNTS):
        with tempfile.TemporaryDirectory(dir=asked.scratch) as scratch:
            folder = Path(scratch)
            _write_inputs(folder, asked.masks, count)
            figures[str(count)] = _measure(folder)
        _show(count, figures[str(count)])
    write(figures, asked.json)


def _measure(folder: Path) -> dict[str, dict[str, float]]:
    """Each in a process of its own, in the order of a run's life."""
    found = {"check": in_child(_timed, _command, folder, "--dry_run")}
    in_child(_put_in_place, folder)
    found["shard"] = in_child(_timed, _begin_shard, folder)
    found["rerun, not merged"] = in_child(_timed, _command, folder, "--dry_run")
    found["merge"] = in_child(_timed, _merge, folder)
    found["rerun, first"] = in_child(_timed, _command, folder)
    found["rerun"] = in_child(_timed, _command, folder)
    found["status"] = in_child(_timed, _status, folder)
    return found


def _timed(step: Callable[..., object], *arguments: object) -> dict[str, float]:
    """`cpu_s` is of this process and those that it has started and waited for; what it imports is not counted."""
    before = sum(os.times()[:4])
    seconds = elapsed(lambda: step(*arguments))
    return {"s": seconds, "cpu_s": sum(os.times()[:4]) - before, "peak_bytes": peak_memory()}


def _write_inputs(folder: Path, chosen: Path | None, count: int) -> None:
    size = (_MODEL.width, _MODEL.height)
    for name in ("files", "photos", "test/labels"):
        (folder / name).mkdir(parents=True)
    for number in range(_PHOTOS):
        Image.fromarray(draw(number, size)[0]).save(folder / f"photos/{number}.jpg")
    shared = []
    for number, labels in enumerate(masks(chosen, size, min(count, _MASKS))):
        shared.append(folder / f"files/{number}.png")
        Image.fromarray(labels).save(shared[-1])
    names = {}
    for number in range(count):
        os.link(shared[number % len(shared)], folder / f"test/labels/{number:07}.png")
        names[f"{number:07}.png"] = f"{number % _PHOTOS}.jpg"
    (folder / "test/label_to_img.json").write_text(json.dumps(names))
    for number in range(min(count, _PICTURES)):
        picture = folder / f"files/{number}.jpg"
        picture.write_bytes(encode(draw(100 + number, size)[0], "jpg", 95))
    arrays = {
        network: {name: np.zeros(shape, np.float32) for name, shape in (tensors.of_file(network, _MODEL) or {}).items()}
        for network in ("G", "E")
    }
    native.save(folder / "model", arrays, _MODEL, about={"source": "zeros"})
    last = max(folder.glob("files/*"), key=lambda file: file.stat().st_ctime_ns)
    while stamp_of(last, status=True) is None:  # what has just been changed is not remembered
        time.sleep(0.1)


def _arguments(folder: Path) -> dict[str, Any]:
    count = len(json.loads((folder / "test/label_to_img.json").read_text()))
    return {
        "input_path": str(folder / "test"),
        "img_path": str(folder / "photos"),
        "checkpoint": str(folder / "model"),
        "output_path": str(folder / "results"),
        "device": "cpu",
        "cluster": "local",
        "shards": max(1, count // _OF_A_SHARD),
    }


def _command(folder: Path, *more: str) -> None:
    told = [word for name, value in _arguments(folder).items() for word in (f"--{name}", str(value))]
    sys.argv = ["generate.py", *told, *more]
    with contextlib.redirect_stdout(io.StringIO()) as said:
        if generate.main():
            sys.exit(said.getvalue())


def _run(folder: Path) -> RunDir:
    return RunDir(folder / "results.run")


def _put_in_place(folder: Path) -> None:
    """The run as its shards leave it when they have made everything."""
    request = check(GenerateSettings(**_arguments(folder)))
    files = sorted((folder / "files").glob("*.jpg"))
    digests = [sha256_of(file) for file in files]
    with taken(request.run, request.run.shards, *request.folders):
        work = examine(request)
        request.remember()
        work.lay_out()
        lines: dict[int, list[str]] = {}
        for number, task in enumerate(work.plan.tasks):
            assert task.shard is not None, "nothing is made yet"
            which = number % len(files)
            os.link(files[which], request.run.images / task.file("jpg"))
            outcome = TaskOutcome(task.name, task.inputs, task.shard, digests[which], 1.0)
            lines.setdefault(task.shard, []).append(json.dumps(vars(outcome)) + "\n")
        for shard, of_shard in lines.items():
            outcomes.shard_file(request.run, shard).write_text("".join(of_shard))
    (folder / "finish.pickle").write_bytes(pickle.dumps(work.finish()))


def _begin_shard(folder: Path) -> None:
    """What it does before it loads the networks."""
    share = GenerateShare(_run(folder), 0)
    assert not share.left(), "all of it is made"


def _merge(folder: Path) -> None:
    finish = pickle.loads((folder / "finish.pickle").read_bytes())
    with contextlib.redirect_stdout(io.StringIO()):
        assert finish() == 0, "something is missing"


def _status(folder: Path) -> None:
    sys.argv = ["status.py", str(folder / "results.run")]
    with contextlib.redirect_stdout(io.StringIO()):
        assert status.main() == 0


def _show(count: int, found: dict[str, dict[str, float]]) -> None:
    print(f"{count} masks")
    for name, each in found.items():
        per_mask = each["cpu_s"] / count * 1e6
        print(f"  {name:<20}{each['s']:9.2f} s {each['cpu_s']:9.2f} s of a core, {per_mask:7.0f} us a mask", end="")
        print(f"{each['peak_bytes'] / 2**20:9.0f} MiB", flush=True)


if __name__ == "__main__":
    main()
