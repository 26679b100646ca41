"""What of the trial on a fresh machine needs no root: what it reads, how it judges, what it prints."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

import pytest
from conftest import ROOT

from tests.fresh.__main__ import commands
from tests.fresh.machine import script
from tests.fresh.messages import can_be_told, fault_of
from tests.fresh.report import VERSIONS, Outcome, counts, row
from tests.fresh.root import packages_of
from tests.fresh.ways import Ways, local_paths

VENV = "you need to install the python3-venv\npackage …\n    apt install python3.13-venv\n"


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("https://packages.example/simple", []),
        ("index-url = https://user@packages.example/simple\ncert = /etc/ssl/own.crt", ["/etc/ssl/own.crt"]),
        ("/srv/wheels", ["/srv/wheels"]),
        ("extra-index-url = file:///srv/pypi/simple file:///srv/more/simple", ["/srv/pypi", "/srv/more"]),
        ("file:///srv", ["/srv"]),
    ],
)
def test_local_paths_are_found(text: str, paths: list[str]) -> None:
    assert [str(path) for path in local_paths([text])] == paths


def test_packages_are_the_readme_s_and_each_can_be_missed() -> None:
    packages = packages_of((ROOT / "README.md").read_text())
    assert {"g++", "make", "python3-dev"} <= set(packages)
    for package in can_be_told(packages):
        assert fault_of(package, 1, f"apt install {package}") is None


@pytest.mark.parametrize(
    ("package", "status", "said", "well"),
    [
        ("python3-venv", 2, VENV, True),
        ("python3-venv", 0, VENV, False),
        ("python3-venv", 2, f"Traceback (most recent call last):\n{VENV}", False),
        ("python3-dev", 2, "error: Python headers: no Python.h; install python3.13-dev (Debian; …)", True),
        ("python3-dev", 2, "fatal error: Python.h: No such file or directory", False),
        ("g++", 2, "error: C++ compiler: no g++ on the PATH; install g++ (Debian: apt install g++; …)", True),
        ("g++", 2, "make: g++: No such file or directory", False),
    ],
)
def test_messages_are_judged(package: str, status: int, said: str, well: bool) -> None:
    assert (fault_of(package, status, said) is None) == well


def test_commands_run_in_their_order() -> None:
    assert commands("messages,demo") == ("demo", "messages")
    with pytest.raises(argparse.ArgumentTypeError):
        commands("demo,tests")


def test_a_command_reaches_the_shell_inside_as_it_was_given() -> None:
    ways = Ways("", "", {"PIP_FIND_LINKS": "/with 'quotes'"}, (Path("/a 'file'"),), (Path("/a folder"),), None)
    entering = shlex.split(script("echo 'a  b' \"$HOME\"", "../base", ways, False).splitlines()[-2])
    assert entering[-1] == "cd && echo 'a  b' \"$HOME\""
    assert entering[entering.index("env") + 1] == "-i" and "PIP_FIND_LINKS=/with 'quotes'" in entering
    assert "HOME=/home/newcomer" in entering


def test_a_row_fits_the_table_of_the_document() -> None:
    said = "FAILED tests/a.py\n====== 1 failed, 20 passed, 3 skipped in 71.30s (0:01:11) ======\n"
    assert counts(said) == "1 failed, 20 passed, 3 skipped" and counts("made 8 pictures") == ""
    outcomes = [
        Outcome("make demo", 61),
        Outcome("make test", 600, "it ended with 2", counts(said)),
        Outcome("without g++", 5),
        Outcome("without python3-dev", 5, "it ended with 0"),
    ]
    written = row(dict.fromkeys(VERSIONS, "1.2"), "abc1234, 2026-01-02", outcomes)
    assert written.startswith("| 1.2 |") and "| 1:01 |" in written and "failed: without python3-dev" in written
    assert "failed: it ended with 2, 1 failed, 20 passed" in written
    table = (ROOT / "docs/fresh-machines.md").read_text()
    header = next(line for line in table.splitlines() if line.startswith("| Debian |"))
    assert header.count("|") == written.count("|")
    assert header.split(" | ")[:5] == ["| Debian", *list(VERSIONS)[1:]]
