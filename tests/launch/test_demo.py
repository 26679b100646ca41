"""launch/demo.py from another folder than the project's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import draw_photo
from PIL import Image

from ecgan.data.testset import find_test_set
from launch import demo


def test_the_demo_finds_what_it_needs_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands are looked at instead of run, and pictures drawn in their place."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["demo.py"])
    monkeypatch.setattr(demo, "PAIRS", 2)
    monkeypatch.setattr(demo, "PICTURES", 1)
    scripts = []

    def look(command: list[str]) -> subprocess.CompletedProcess[Any]:
        script, options = Path(command[1]), dict(zip(command[2::2], command[3::2], strict=False))
        assert script.is_file() and Path(options.get("--config", script)).is_file()
        scripts.append(script.stem)
        if script.stem == "generate":
            results = Path(options["--output_path"])
            results.mkdir()
            for item in find_test_set(Path(options["--input_path"]), Path(options["--img_path"])).items:
                Image.fromarray(draw_photo(0)).save(results / f"{item.name}.jpg")
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(demo.subprocess, "run", look)
    assert demo.main() == 0
    assert scripts == ["generate", "score", "gallery", "train", "train"]
    assert (tmp_path / "demo/contact_sheet.jpg").is_file()
