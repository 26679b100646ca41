"""What tests share: the original's fixture and the real photos where they are, small test sets, commands."""

from __future__ import annotations

import contextlib
import csv
import ctypes
import importlib
import io
import json
import logging
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from PIL import Image

# Threads and ranks that wait give their core to others, for there are more of them than cores.
os.environ |= {"GOMP_SPINCOUNT": "0", "OMPI_MCA_mpi_yield_when_idle": "1"}

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
TINY_SIZE = (128, 64)


def shared(folder: str, why: str) -> Path:
    """A folder that lies beside a checkout in some places; elsewhere the test is skipped, saying why."""
    path = SHARED / folder
    if not path.is_dir():
        pytest.skip(f"{path} is not here: {why}")
    return path


@pytest.fixture(scope="session")
def original() -> Path:
    """The fixture that the original's own code wrote."""
    return shared("fixtures/original-ngf8", "agreement with the original's own output can't be tested")


@pytest.fixture(scope="session")
def landscape_mini() -> Path:
    return shared("data/landscape-mini", "real photos can't be tried")


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random networks that paint 128x64 in a fraction of a second, with all their operators compiled."""
    from ecgan.checkpoint import open_checkpoint
    from ecgan.config import ModelConfig
    from ecgan.random_model import save_random
    from ecgan.runtime.warming import warm_painting

    folder = tmp_path_factory.mktemp("tiny") / "checkpoint"
    save_random(folder, ModelConfig(*TINY_SIZE, ngf=4, ndf=4, num_upsampling_layers="normal"), seed=1)
    warm_painting(open_checkpoint(folder).model, "cpu")
    return folder


@pytest.fixture
def use_threads() -> Iterator[Callable[[int], None]]:
    """Sets how many OpenMP takes, also more than there are cores."""
    openmp = ctypes.CDLL("libgomp.so.1")
    before = openmp.omp_get_max_threads()
    yield openmp.omp_set_num_threads
    openmp.omp_set_num_threads(before)


def draw_mask(seed: int, size: tuple[int, int] = TINY_SIZE, classes: int = 29) -> np.ndarray:
    """Blobs of random classes, (H, W) uint8."""
    small = np.random.default_rng(seed).integers(0, classes, (4, 8)).astype(np.uint8)
    return np.asarray(Image.fromarray(small).resize(size, Image.Resampling.NEAREST))


def draw_photo(seed: int, size: tuple[int, int] = TINY_SIZE) -> np.ndarray:
    """Soft random colours, (H, W, 3) uint8."""
    small = np.random.default_rng(1000 + seed).integers(0, 256, (4, 8, 3)).astype(np.uint8)
    return np.asarray(Image.fromarray(small).resize(size, Image.Resampling.BICUBIC))


def in_process(command: Sequence[object], folder: Path) -> subprocess.CompletedProcess[str]:
    """What a command line of launch/ comes to, run in this process: for those that start and compute nothing.

    A start costs half a second, and is a test's only where it is what the test is of.
    """
    from launch.command import run

    words = [str(word) for word in command[1:]]
    module = importlib.import_module(f"launch.{Path(words[0]).stem}")
    logger, before = logging.getLogger("ecgan"), Path.cwd()
    logged = (logger.handlers[:], logger.level, logger.propagate)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR2)}
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.dict(os.environ),
        mock.patch.object(sys, "argv", words),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.raises(SystemExit) as ended,
    ):
        try:
            os.chdir(folder)
            run(module.main)
        finally:
            os.chdir(before)
            logger.handlers[:], logger.level, logger.propagate = logged
            for number, handler in handlers.items():
                signal.signal(number, handler)
    return subprocess.CompletedProcess(words, int(ended.value.code or 0), out.getvalue(), err.getvalue())


class DataFolder:
    """A folder in the original's layout with `count` masks; `generate` runs the command in it."""

    def __init__(self, path: Path, count: int, checkpoint: Path) -> None:
        self.path, self.checkpoint = path, checkpoint
        self.masks = path / "data/test/val_B_labels_resized"
        self.photos = path / "data/train/imgs"
        self.references = path / "data/test/label_to_img.json"
        self.results = path / "results"
        self.run = path / "results.run"
        self.masks.mkdir(parents=True)
        self.photos.mkdir(parents=True)
        for index in range(3):
            Image.fromarray(draw_photo(index)).save(self.photos / f"photo{index}.jpg", quality=95)
        for index in range(count):
            Image.fromarray(draw_mask(index)).save(self.masks / f"m{index:03}.png")
        self.references.write_text(json.dumps({f"m{i:03}.png": f"photo{i % 3}.jpg" for i in range(count)}))

    def command(self, *options: object) -> list[str]:
        script = str(ROOT / "launch" / "generate.py")
        return [sys.executable, script, "--checkpoint", str(self.checkpoint), "--device", "cpu", *map(str, options)]

    def generate(self, *options: object) -> subprocess.CompletedProcess[str]:
        command = self.command(*options)
        return subprocess.run(command, cwd=self.path, capture_output=True, text=True, timeout=600)

    def in_process(self, *options: object) -> subprocess.CompletedProcess[str]:
        """The same without a start, where nothing is painted."""
        return in_process(self.command(*options), self.path)

    def start(self, *options: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*options), cwd=self.path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def pictures(self, folder: str = "results") -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (self.path / folder).glob("*.jpg")}

    def made(self) -> list[Path]:
        return list((self.run / "images").glob("*.jpg"))

    def workers(self) -> list[int]:
        """Process ids of workers whose working directory is this folder."""
        found = []
        for process in Path("/proc").iterdir():
            try:
                command = (process / "cmdline").read_bytes()
                if b"slurm.processes.worker" in command and (process / "cwd").resolve() == self.path.resolve():
                    found.append(int(process.name))
            except OSError:
                continue
        return found


@pytest.fixture
def data_folder(tmp_path: Path, tiny_checkpoint: Path) -> Callable[[int], DataFolder]:
    return lambda count: DataFolder(tmp_path / "job with a 'quoted' name", count, tiny_checkpoint)


class Teller:
    """A command of the user's, for `notify`, that writes down what it is called with, and then does as `conduct` says.

    `told`: of each call the last three words: state, folder, text.
    """

    def __init__(self, folder: Path, conduct: str = "") -> None:
        script, self._told = folder / "tell us", folder / "told"
        script.write_text(f"#!/bin/sh\nprintf '%s|' \"$@\" >> {shlex.quote(str(self._told))}\n{conduct}\n")
        script.chmod(0o755)
        self.command = f"{shlex.quote(str(script))} --to me"

    @property
    def told(self) -> list[list[str]]:
        words = self._told.read_text().split("|")[:-1] if self._told.exists() else []
        calls = [words[start : start + 5] for start in range(0, len(words), 5)]
        assert all(call[:2] == ["--to", "me"] for call in calls)
        return [call[2:] for call in calls]


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Mounts file systems of so many MiB; needs root."""
    mounted = []

    def small_disk(megabytes: int) -> Path:
        folder = tmp_path / f"small disk {len(mounted)}"
        folder.mkdir()
        options = ["-o", f"size={megabytes}m"]
        if subprocess.run(["mount", "-t", "tmpfs", *options, "tmpfs", folder], capture_output=True).returncode:
            pytest.skip("a small file system can't be mounted here (it needs root)")
        mounted.append(folder)
        return folder

    yield small_disk
    for folder in mounted:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(disk: Path) -> Path:
    """Leaves no room on `disk`; the file that does it can be removed."""
    filler = disk / "filler"
    with pytest.raises(OSError), open(filler, "wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    return filler


#: For launch/score.py: scores a picture by its mean grey level, notes that it did, and takes its time.
_AESTHETIC = """
import pathlib
import time

def load(weights):
    def score(picture):
        with pathlib.Path(__file__).with_name("calls.txt").open("a") as file:
            file.write("x")
        time.sleep(float(weights and open(weights).read() or 0))
        return picture.mean() / 255
    return score
"""


class ScoreFolder(DataFolder):
    """Masks, photos and pictures, as if generated; `score` runs the command beside them."""

    def __init__(self, path: Path, count: int) -> None:
        super().__init__(path, count, path)  # nothing is generated here
        self.results.mkdir()
        for index in range(count):
            Image.fromarray(draw_photo(50 + index)).save(self.results / f"m{index:03}.jpg", quality=95)
        (path / "aesthetic.py").write_text(_AESTHETIC)
        (path / "slow.txt").write_text("0.1")

    def command(self, *options: object) -> list[str]:
        return [sys.executable, str(ROOT / "launch/score.py"), "--device", "cpu", *map(str, options)]

    def score(self, *options: object) -> subprocess.CompletedProcess[str]:
        return self.generate(*options)

    def json(self, folder: str = "results.score") -> dict[str, Any]:
        return dict(json.loads((self.path / folder / "score.json").read_text()))

    def rows(self) -> list[dict[str, str]]:
        with open(self.path / "results.score/images.csv", newline="") as file:
            return list(csv.DictReader(file))

    def parts(self) -> list[Path]:
        return list((self.path / "results.score/parts").glob("*.npz"))

    def calls(self) -> int:
        """Pictures that the aesthetic has scored, and forgets."""
        file = self.path / "calls.txt"
        count = len(file.read_text()) if file.exists() else 0
        file.unlink(missing_ok=True)
        return count


class TrainFolder:
    """A small training set, and the command that trains tiny networks on it for six steps."""

    def __init__(self, path: Path, pairs: int) -> None:
        self.path, self.data = path, path / "set"
        write_pairs(self.data, pairs)

    def command(self, *options: object, run: str = "run") -> list[str]:
        model = ["--size", "64x32", "--ngf", 4, "--ndf", 4, "--num_upsampling_layers", "normal", "--lambda_vgg", 0]
        steps = ["--batch_size", 4, "--max_steps", 6, "--print_every_steps", 1, "--display_every_steps", 0]
        where = ["--input_path", self.data, "--run_dir", self.path / run, "--device", "cpu"]
        return [sys.executable, str(ROOT / "launch/train.py"), *map(str, [*where, *model, *steps, *options])]

    def train(self, *options: object, run: str = "run") -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.command(*options, run=run), capture_output=True, text=True, timeout=600)

    def in_process(self, *options: object, run: str = "run") -> subprocess.CompletedProcess[str]:
        """The same without a start, where nothing is trained."""
        return in_process(self.command(*options, run=run), self.path)

    def start(self, *options: object, run: str = "run") -> subprocess.Popen[str]:
        command = self.command(*options, run=run)
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def states(self, run: str = "run") -> list[str]:
        return sorted(path.name for path in (self.path / run / "states").glob("step-*"))

    def digests(self, run: str = "run") -> dict[str, str]:
        """Of every tensor file of the last state."""
        state = self.path / run / "states" / self.states(run)[-1]
        return dict(json.loads((state / "checkpoint.json").read_text())["sha256"])

    def metrics(self, run: str = "run") -> list[dict[str, float]]:
        return [json.loads(line) for line in (self.path / run / "metrics.jsonl").read_text().splitlines()]

    def ranks(self) -> list[int]:
        """Process ids of ranks that train in this folder."""
        return [pid for pid, command in commands() if "slurm.processes.rank" in command and str(self.path) in command]


@pytest.fixture
def train_folder(tmp_path: Path) -> Callable[[int], TrainFolder]:
    return lambda pairs: TrainFolder(tmp_path / "with 'quotes'", pairs)


def write_pairs(folder: Path, count: int, labels: str = "labels") -> Path:
    """A training set of drawn photos and masks."""
    (folder / "imgs").mkdir(parents=True)
    (folder / labels).mkdir()
    for index in range(count):
        Image.fromarray(draw_photo(index)).save(folder / "imgs" / f"p{index}.jpg", quality=95)
        Image.fromarray(draw_mask(index)).save(folder / labels / f"p{index}.png")
    return folder


def commands() -> list[tuple[int, str]]:
    """Process id and command line of everything that runs."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with contextlib.suppress(OSError):
                found.append((int(process.name), (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()))
    return found


def wait_until(condition: Callable[[], object], seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


@pytest.fixture(autouse=True, scope="session")
def _no_surprises() -> None:
    """Tests run on the CPU, whatever the machine has, and Ctrl-C reaches what they start.

    A shell starts what is in its background with SIGINT ignored, and a command would inherit that.
    """
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
