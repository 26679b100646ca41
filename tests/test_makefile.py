"""Setting up by make goes on from what an earlier try left."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT

#: What `-m venv` makes here: a Python whose pip installs whatever it is told.
_PYTHON = """#!/bin/sh
test "$*" = "-m venv .venv" || exit 0
printf '#!/bin/sh\\n' > .venv/bin/python
"""


@pytest.mark.process
def test_an_environment_without_pip_is_made_again(tmp_path: Path) -> None:
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    programs = {tmp_path / ".venv/bin/python": "#!/bin/sh\nexit 1\n", tmp_path / "python": _PYTHON}
    (tmp_path / ".venv/bin").mkdir(parents=True)
    for path, text in programs.items():
        path.write_text(text)
        path.chmod(0o755)
    done = subprocess.run(["make", "setup", "PYTHON=./python"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and (tmp_path / ".venv/.installed").is_file(), done.stderr
