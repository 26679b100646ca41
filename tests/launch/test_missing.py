"""Commands whose imports fail: what is not installed is one line, a mistake of ours a traceback."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from conftest import ROOT

pytestmark = pytest.mark.process

COMMANDS = sorted(
    path for path in (ROOT / "launch").glob("*.py") if "ModuleNotFoundError as missing" in path.read_text()
)


def run(*command: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, command)], env=os.environ | environment, capture_output=True, text=True, timeout=60
    )


def missing(done: subprocess.CompletedProcess[str], command: str) -> str:
    """The module that the only line names."""
    how = re.escape(f": run `make setup` once, then .venv/bin/python launch/{command}")
    line = re.fullmatch(rf"error: No module named '(\w+)'{how}\n", done.stderr)
    assert line is not None and (done.returncode, done.stdout) == (1, ""), done.stderr
    return line[1]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda path: path.name)
def test_nothing_is_installed(command: Path) -> None:
    assert missing(run("-I", "-S", command), command.name)


def test_something_that_we_need_is_not_installed(tmp_path: Path) -> None:
    """An environment of links to all that is in this one, but for one distribution."""
    for entry in Path(sysconfig.get_paths()["purelib"]).iterdir():
        if not entry.name.startswith("safetensors"):
            (tmp_path / entry.name).symlink_to(entry)
    paths = f"{ROOT}{os.pathsep}{tmp_path}"
    assert missing(run("-S", ROOT / "launch/doctor.py", PYTHONPATH=paths), "doctor.py") == "safetensors"


@pytest.mark.parametrize("wrong", ["jobs.results.pakc", "nunpy", "PIL.Imagee"])
def test_mistake_of_ours_keeps_its_traceback(wrong: str, tmp_path: Path) -> None:
    for name in ("pack.py", "missing.py"):
        shutil.copy(ROOT / "launch" / name, tmp_path)
    script = tmp_path / "pack.py"
    script.write_text(script.read_text().replace("from jobs.results.pack import", f"from {wrong} import"))
    done = run(script, PYTHONPATH=f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    assert done.returncode == 1 and "make setup" not in done.stderr
    assert done.stderr.startswith("Traceback")
    assert done.stderr.endswith(f"ModuleNotFoundError: No module named '{wrong}'\n")
    assert "missing.py" not in done.stderr
