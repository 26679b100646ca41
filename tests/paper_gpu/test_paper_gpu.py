"""The product on two GPUs on paper: that all it does there compiles, links and is called, not what comes out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from paper_gpu import build

pytestmark = pytest.mark.process


@pytest.fixture
def paper(tmp_path: Path) -> dict[str, str]:
    try:
        return os.environ | build(tmp_path / "paper")
    except LookupError as error:
        pytest.skip(f"{error} (pip install '.[gpu]')")


def test_paper_gpus_are_found(paper: dict[str, str]) -> None:
    program = "from ecgan.runtime.devices import *; print(gpu_archs(), choose_device('auto'))"
    done = subprocess.run([sys.executable, "-c", program], env=paper, capture_output=True, text=True)
    assert done.stdout == "[86, 86] cuda\n", done.stderr


@pytest.mark.skipif(not os.environ.get("ECGAN_TEST_CUDA"), reason="half an hour of compiling; ECGAN_TEST_CUDA=1")
def test_painting_and_training_compile(paper: dict[str, str], tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "bench/gpu.py"), "--device", "cuda", "--quick", "--out", str(tmp_path)]
    done = subprocess.run([*command, "--parts", "painting", "training"], env=paper, capture_output=True, text=True)
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert done.returncode == 0 and all("seconds" in each for each in figures.values()), done.stdout
