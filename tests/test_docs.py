"""What the documents promise: their examples run, their options exist."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, draw_mask, draw_photo, write_pairs
from PIL import Image

from jobs.audit import AuditSettings
from jobs.generate.settings import GenerateSettings
from jobs.results.gallery.make import GallerySettings
from jobs.results.pack import PackSettings
from jobs.results.pick import PickSettings
from jobs.score.settings import ScoreSettings
from jobs.train.settings import TrainSettings
from launch.doctor import DoctorSettings
from launch.slurm_options import SlurmOptions
from slurm.site import read_site

#: Of commands that always run on this machine.
HERE_ALONE = (AuditSettings, GallerySettings, PickSettings, PackSettings)
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_example_of_the_library_runs(tmp_path: Path, tiny_checkpoint: Path) -> None:
    (tmp_path / "checkpoint").symlink_to(tiny_checkpoint)
    Image.fromarray(draw_mask(0)).save(tmp_path / "mask.png")
    Image.fromarray(draw_photo(0)).save(tmp_path / "reference.jpg")
    example = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "library.md").read_text(), re.DOTALL)[0]
    done = subprocess.run([sys.executable, "-c", example], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert Image.open(tmp_path / "picture.png").size == (128, 64)


def test_example_of_training_runs(tmp_path: Path) -> None:
    write_pairs(tmp_path / "train", 3)
    example = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "library.md").read_text(), re.DOTALL)[1]
    done = subprocess.run([sys.executable, "-c", example], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.count("GAN_Feat") == 3, done.stderr


def test_example_of_a_cluster_is_one(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text(
        re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/slurm.md").read_text(), re.DOTALL)[0]
    )
    assert read_site(tmp_path / "site.yaml").partition == "gpu"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text()):
        assert (document.parent / target).exists(), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
@pytest.mark.parametrize(
    ("script", "settings"),
    [
        ("launch/generate.py", GenerateSettings),
        ("launch/train.py", TrainSettings),
        ("launch/audit.py", AuditSettings),
        ("launch/doctor.py", DoctorSettings),
        ("launch/score.py", ScoreSettings),
        ("launch/gallery.py", GallerySettings),
        ("launch/pick.py", PickSettings),
        ("launch/pack.py", PackSettings),
    ],
)
def test_options_that_are_shown_exist(document: Path, script: str, settings: type) -> None:
    shared = set() if settings in HERE_ALONE else {field.name for field in dataclasses.fields(SlurmOptions)}
    options = {field.name for field in dataclasses.fields(settings)} | shared | {"config", "help", "no_resume"}
    for line in document.read_text().splitlines():
        if script in line:
            command = re.split(r"[|#]", line.split(script, 1)[1])[0]
            shown = {name.replace("-", "_") for name in re.findall(r"--([\w-]+)", command)}
            assert shown <= options, line


def test_configuration_file_lists_every_option_with_its_default() -> None:
    written = yaml.safe_load((ROOT / "configs" / "generate.yaml").read_text())
    assert written == {field.name: field.default for field in dataclasses.fields(GenerateSettings)}
