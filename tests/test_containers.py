"""The definitions of images: both have what the package is made of, and the same of it. No image is built here."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT

CONTAINERS = ROOT / "containers"
DOCKERFILE, APPTAINER = (CONTAINERS / name for name in ("Dockerfile", "ecgan.def"))
#: What pip makes a wheel of, beside the folders that are in it; and with what versions it is installed.
FILES = {"pyproject.toml", "constraints.txt", "README.md", "LICENSE"}


def folders() -> set[str]:
    """Those that a wheel is made of."""
    (listed,) = re.findall(r"^only-include = \[(.+)\]$", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    return set(re.findall(r'"(\w+)"', listed))


def copied(definition: Path) -> set[str]:
    """What of the project's folder gets into the image."""
    text = definition.read_text()
    if definition == DOCKERFILE:
        return {name for line in re.findall(r"^COPY (?!--)(.+) \S+$", text, re.MULTILINE) for name in line.split()}
    (section,) = re.findall(r"^%files\n(.+?)\n\n", text, re.MULTILINE | re.DOTALL)
    pairs = [line.split() for line in section.splitlines()]
    assert all(target == f"/src/{source}" for source, target in pairs)
    return {source for source, _ in pairs}


@pytest.mark.parametrize("definition", [DOCKERFILE, APPTAINER], ids=lambda path: path.name)
def test_an_image_has_all_that_the_package_is_made_of(definition: Path) -> None:
    assert copied(definition) == folders() | FILES | {"containers/system.sh", "containers/build.sh"}
    assert all((ROOT / name).exists() for name in copied(definition))


@pytest.mark.parametrize("what", [r"debian:[\w-]+", r"/opt/ecgan/bin", r"ECGAN_CACHE\S*[=-](/\w+/\w+/\w+)"])
def test_both_images_have_the_same(what: str) -> None:
    docker, apptainer = (set(re.findall(what, path.read_text())) for path in (DOCKERFILE, APPTAINER))
    assert docker == apptainer and len(docker) == 1


@pytest.mark.parametrize("script", sorted(CONTAINERS.glob("*.sh")), ids=lambda path: path.name)
def test_scripts_are_scripts(script: Path) -> None:
    assert subprocess.run(["sh", "-n", str(script)]).returncode == 0
