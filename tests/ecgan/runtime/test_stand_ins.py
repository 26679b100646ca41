"""What Jittor runs in the place of Python and of mpicc."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from made_up_programs import program

from ecgan.runtime import mpi, stand_ins


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Changes of the process's variables end with the test."""
    monkeypatch.setattr(os, "environ", os.environ.copy())


def said_by(*command: object) -> list[str]:
    done = subprocess.run(list(map(str, command)), env=os.environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("marked", [False, True])
def test_operator_is_compiled_at_once_unless_it_is_marked(
    marked: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path / "bin", "g++", 'printf "%s\\n" compiler "$@"')
    program(tmp_path / "bin", "python", 'printf "%s\\n" python "$PYTHONPATH" "$HOME" "$@"')
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin/python"))
    os.environ["PYTHONPATH"] = "/mine"
    source = tmp_path / "an_op.cc"
    source.write_text('//@begin replace "a" "b"\n' if marked else "int a;\n")
    tuner = tmp_path / "copy/jittor/utils/asm_tuner.py"
    words = [f"--cc_path={tmp_path}/bin/g++", str(source), "-D", "A='b c'", "-o", "an_op.so"]
    said = said_by(stand_ins.python(tmp_path), tuner, *words)
    if marked:
        assert said == ["python", f"{tmp_path}/copy:/mine", str(tmp_path), str(tuner), *words]
    else:
        assert said == ["compiler", *words[1:]]


def test_one_script_serves_all_environments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for environment in ("one", "other"):
        program(tmp_path / environment, "python", f"echo {environment}")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "one/python"))
    script = stand_ins.python(tmp_path)
    written = script.stat().st_mtime_ns, script.stat().st_ino
    assert said_by(script, "x.py") == ["one"]
    monkeypatch.setattr(sys, "executable", str(tmp_path / "other/python"))
    assert stand_ins.python(tmp_path) == script
    assert (script.stat().st_mtime_ns, script.stat().st_ino) == written
    assert said_by(script, "x.py") == ["other"]


def test_mpi_of_an_environment_has_a_place_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    home.mkdir()
    answers = []
    for name in ("one", "other"):
        environment = tmp_path / name
        program(environment / "bin", "mpicc", 'echo "mpicc: Open MPI 4.1.8"')
        (environment / "include").mkdir()
        (environment / "include/mpi.h").touch()
        (environment / "lib").mkdir()
        (environment / "lib/libmpi.so.40").touch()
        monkeypatch.setattr(sys, "prefix", str(environment))
        mpicc, libraries = stand_ins.mpicc(home)
        assert libraries == (environment / "lib/libmpi.so.40",)
        assert (home / "mpi/include/mpi.h").samefile(environment / "include/mpi.h")
        answers.append([said_by(mpicc, f"--showme:{what}") for what in ("compile", "link", "version")])
    assert answers[0] == answers[1]
    assert answers[0] == [
        [f"-I{home}/mpi/include -pthread"],
        [f"-pthread -L{home}/mpi/lib -lmpi"],
        ["mpicc: Open MPI 4.1.8"],
    ]


def test_mpi_of_the_system_is_asked_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its headers lie where it alone knows."""
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert stand_ins.mpicc(tmp_path) == (None, ())
    program(tmp_path / "bin", "mpicc", "")
    assert stand_ins.mpicc(tmp_path) == (Path(str(mpi.own_program("mpicc"))), ())
