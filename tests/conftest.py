"""What tests share: the original's fixture and the real photos where they are, small test sets, commands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

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
    from ecgan.warm import warm_painting

    folder = tmp_path_factory.mktemp("tiny") / "checkpoint"
    save_random(folder, ModelConfig(*TINY_SIZE, ngf=4, ndf=4, num_upsampling_layers="normal"), seed=1)
    warm_painting(open_checkpoint(folder).model, "cpu")
    return folder


def draw_mask(seed: int, size: tuple[int, int] = TINY_SIZE, classes: int = 29) -> np.ndarray:
    """Blobs of random classes, (H, W) uint8."""
    small = np.random.default_rng(seed).integers(0, classes, (4, 8)).astype(np.uint8)
    return np.asarray(Image.fromarray(small).resize(size, Image.Resampling.NEAREST))


def draw_photo(seed: int, size: tuple[int, int] = TINY_SIZE) -> np.ndarray:
    """Soft random colours, (H, W, 3) uint8."""
    small = np.random.default_rng(1000 + seed).integers(0, 256, (4, 8, 3)).astype(np.uint8)
    return np.asarray(Image.fromarray(small).resize(size, Image.Resampling.BICUBIC))


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
        return subprocess.run(command, cwd=self.path, capture_output=True, text=True, timeout=300)

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
                if b"slurm.worker" in command and (process / "cwd").resolve() == self.path.resolve():
                    found.append(int(process.name))
            except OSError:
                continue
        return found


@pytest.fixture
def data_folder(tmp_path: Path, tiny_checkpoint: Path) -> Callable[[int], DataFolder]:
    return lambda count: DataFolder(tmp_path / "job with a 'quoted' name", count, tiny_checkpoint)


def wait_until(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


@pytest.fixture(autouse=True, scope="session")
def _no_surprises() -> None:
    """Tests run on the CPU, whatever the machine has."""
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
