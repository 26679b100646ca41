"""What the documents promise: their examples run, what they show and cite exists; what docstrings cite, too."""

from __future__ import annotations

import ast
import dataclasses
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, draw_mask, draw_photo, write_pairs
from PIL import Image

import ecgan
from jobs.audit import AuditSettings
from jobs.generate.settings import GenerateSettings
from jobs.results.gallery.make import GallerySettings
from jobs.results.pack import PackSettings
from jobs.results.pick import PickSettings
from jobs.score.settings import ScoreSettings
from jobs.train.settings import TrainSettings
from launch.cluster_options import RunOptions
from launch.doctor import DoctorSettings
from launch.experiment import ExperimentSettings
from slurm.site import read_site

#: Of commands that always run on this machine.
HERE_ALONE = (AuditSettings, GallerySettings, PickSettings, PackSettings)
DOCUMENTS = [*sorted(ROOT.glob("README*.md")), ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
#: Other files whose words are held to what is there. Not CHANGELOG.md, which says what was.
OTHERS = [ROOT / "pyproject.toml", ROOT / "Makefile", ROOT / ".ci/run"]
OTHERS += [*sorted((ROOT / "configs").rglob("*.yaml")), *sorted((ROOT / "containers").iterdir())]

PACKAGES = ("ecgan", "jobs", "slurm", "launch")
SOURCES = [path for folder in (*PACKAGES, "tests", "bench") for path in sorted((ROOT / folder).rglob("*.py"))]
#: Files and folders of ours, as "jobs/run/" or "configs/cluster/*.yaml"; what has capitals is made up.
PATH = re.compile(rf"(?<![\w/.$~>-])(?:{'|'.join(PACKAGES)}|tests|docs|bench|configs|containers|\.ci)/[\w./*-]*")
#: Modules, and what is in them, as `jobs.run.attempts`.
MODULE = re.compile(rf"`(?:{'|'.join(PACKAGES)})(?:\.\w+)+")
CITATION = re.compile(r"([\w./-]+\.md)\)?, section (\d+)")
#: Names of documents that lie elsewhere: what they say is in docs/ now.
ELSEWHERE = re.compile(r"\b(SPEC|DESIGN|FACTS)\b")


@pytest.mark.process
def test_example_of_the_library_runs(tmp_path: Path, tiny_checkpoint: Path) -> None:
    (tmp_path / "checkpoint").symlink_to(tiny_checkpoint)
    Image.fromarray(draw_mask(0)).save(tmp_path / "mask.png")
    Image.fromarray(draw_photo(0)).save(tmp_path / "reference.jpg")
    example = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "library.md").read_text(), re.DOTALL)[0]
    done = subprocess.run([sys.executable, "-c", example], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert Image.open(tmp_path / "picture.png").size == (128, 64)


@pytest.mark.process
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
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text()):
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
        ("launch/experiment.py", ExperimentSettings),
        ("launch/gallery.py", GallerySettings),
        ("launch/pick.py", PickSettings),
        ("launch/pack.py", PackSettings),
    ],
)
def test_options_that_are_shown_exist(document: Path, script: str, settings: type) -> None:
    shared = (
        set()
        if settings in HERE_ALONE
        else {field.name for each in (RunOptions, *RunOptions.along) for field in dataclasses.fields(each)}
    )
    options = {field.name for field in dataclasses.fields(settings)} | shared | {"config", "help", "no_resume"}
    for line in document.read_text().splitlines():
        if script in line:
            command = re.split(r"[|#]", line.split(script, 1)[1])[0]
            shown = {name.replace("-", "_") for name in re.findall(r"--([\w-]+)", command)}
            assert shown <= options, line


def test_configuration_file_lists_every_option_with_its_default() -> None:
    written = yaml.safe_load((ROOT / "configs" / "generate.yaml").read_text())
    assert written == {field.name: field.default for field in dataclasses.fields(GenerateSettings)}


@cache
def spoken(path: Path) -> str:
    """Everything in `path` that is said to people, in one line: of Python its docstrings and comments."""
    text = path.read_text()
    return " ".join((" ".join(_remarks(text)) if path.suffix == ".py" else text).split())


def _remarks(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
            yield ast.get_docstring(node) or ""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.string.lstrip("#: ")


@pytest.mark.parametrize("files", [DOCUMENTS, SOURCES, OTHERS], ids=["documents", "sources", "others"])
def test_paths_that_are_named_exist(files: list[Path]) -> None:
    missing = []
    for file in files:
        for found in PATH.findall(spoken(file)):
            path = found.rstrip(".-")
            if not re.search(r"[A-Z]{2}", path) and not any(ROOT.glob(path)):
                missing.append(f"{file.relative_to(ROOT)}: {path}")
    assert not missing


@pytest.mark.parametrize("files", [DOCUMENTS, SOURCES, OTHERS], ids=["documents", "sources", "others"])
def test_modules_that_are_named_exist(files: list[Path]) -> None:
    missing = []
    for file in files:
        for found in MODULE.findall(spoken(file)):
            path, names = ROOT, found.strip("`").split(".")
            while names and (path / names[0]).is_dir():
                path /= names.pop(0)
            if names and (path / f"{names[0]}.py").is_file():
                path /= f"{names.pop(0)}.py"
            inside = (path / "__init__.py" if path.is_dir() else path).read_text()
            if names and not re.search(rf"\b{names[0]}\b", inside):
                missing.append(f"{file.relative_to(ROOT)}: {found.strip('`')}")
    assert not missing


def test_sections_that_are_cited_exist() -> None:
    missing = []
    for file in [*DOCUMENTS, *SOURCES, *OTHERS]:
        for cited, section in CITATION.findall(spoken(file)):
            document = next((path for path in (ROOT / cited, file.parent / cited) if path.is_file()), None)
            headings = document.read_text() if document else ""
            if f"\n## {section}. " not in headings:
                missing.append(f"{file.relative_to(ROOT)}: {cited}, section {section}")
        missing += [f"{file.relative_to(ROOT)}: {name}" for name in ELSEWHERE.findall(spoken(file))]
    assert not missing


def test_sections_are_cited_with_their_document() -> None:
    for file in SOURCES:
        sections = re.findall(r"\bsection \d", spoken(file))
        assert len(sections) == len(CITATION.findall(spoken(file))), file


def test_the_plan_of_the_house_has_every_room() -> None:
    plan = (ROOT / "docs/structure.md").read_text()
    for package in PACKAGES:
        for room in (ROOT / package).glob("*/__init__.py"):
            assert re.search(rf"^ +{room.parent.name}/ ", plan, re.MULTILINE), room.parent.relative_to(ROOT)


def test_markers_are_explained() -> None:
    registered = re.findall(r'^    "(\w+): ', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert len(registered) >= 2
    for marker in registered:
        assert f"| `{marker}` |" in (ROOT / "CONTRIBUTING.md").read_text(), marker


def test_the_changes_are_of_this_version() -> None:
    assert ecgan.__version__ in (ROOT / "CHANGELOG.md").read_text()
