"""What the documents promise: their examples run, their options exist."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, draw_mask, draw_photo
from PIL import Image

from jobs.generate.settings import GenerateSettings

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_example_of_the_library_runs(tmp_path: Path, tiny_checkpoint: Path) -> None:
    (tmp_path / "checkpoint").symlink_to(tiny_checkpoint)
    Image.fromarray(draw_mask(0)).save(tmp_path / "mask.png")
    Image.fromarray(draw_photo(0)).save(tmp_path / "reference.jpg")
    example = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "library.md").read_text(), re.DOTALL)[0]
    done = subprocess.run([sys.executable, "-c", example], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert Image.open(tmp_path / "picture.png").size == (128, 64)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text()):
        assert (document.parent / target).exists(), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_options_of_generate_that_are_shown_exist(document: Path) -> None:
    options = {field.name for field in dataclasses.fields(GenerateSettings)} | {"config", "help"}
    for line in document.read_text().splitlines():
        if "launch/generate.py" in line:
            command = line.split("launch/generate.py", 1)[1].split("|")[0]
            shown = {name.replace("-", "_") for name in re.findall(r"--([\w-]+)", command)}
            assert shown <= options, line


def test_configuration_file_lists_every_option_with_its_default() -> None:
    written = yaml.safe_load((ROOT / "configs" / "generate.yaml").read_text())
    assert written == {field.name: field.default for field in dataclasses.fields(GenerateSettings)}
