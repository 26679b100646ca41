"""The NumPy that is not installed here gives the same: 2 where it is 1."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.process

#: Prints a digest of one picture, painted from the checkpoint in the first argument.
PAINT = """
import hashlib, sys
from pathlib import Path
import numpy as np
from conftest import draw_mask, draw_photo
from ecgan.checkpoint import open_checkpoint
from ecgan.synthesis import Synthesiser
[picture] = Synthesiser(open_checkpoint(Path(sys.argv[1]))).paint([draw_mask(1)], [draw_photo(1)], ["1"])
print(np.__version__, hashlib.sha256(picture.tobytes()).hexdigest())
"""


@pytest.fixture(scope="module")
def numpy_2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with NumPy 2, and OpenCV which goes with it, to come before what is installed."""
    if np.__version__.startswith("2."):
        pytest.skip("NumPy 2 is installed: all other tests try it")
    folder = tmp_path_factory.mktemp("numpy2")
    packages = ["numpy==2.2.6", "opencv-python-headless==4.13.0.92"]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), *packages]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    if done.returncode:
        pytest.skip(f"NumPy 2 can't be had here: {done.stderr.strip().splitlines()[-1]}")
    return folder


def run(command: list[str], *folders: Path) -> str:
    here = Path(__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (*folders, here.parent, here)))}
    done = subprocess.run([sys.executable, *command], env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_arrays(numpy_2: Path) -> None:
    said = run(
        ["-m", "pytest", "-q", "-p", "no:cacheprovider", str(Path(__file__).with_name("test_arrays.py"))], numpy_2
    )
    assert "passed" in said and "skipped" not in said


def test_pictures(numpy_2: Path, tiny_checkpoint: Path) -> None:
    (old, before), (new, after) = (run(["-c", PAINT, str(tiny_checkpoint)], *each).split() for each in ((), (numpy_2,)))
    assert old.startswith("1.") and new.startswith("2.") and before == after
