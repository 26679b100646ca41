"""What happens to a command from its first line on: signals, outputs that take nothing, being started several times."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT, fill, wait_until

pytestmark = pytest.mark.process

COMMANDS = sorted(path for path in (ROOT / "launch").glob("*.py") if path.read_text().endswith("\n    run(main)\n"))
PATHS = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])


def environment(**variables: str) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": PATHS} | variables


def status(*words: object, shell: str = "", **variables: str) -> subprocess.CompletedProcess[bytes]:
    """Of launch/status.py; `shell`: what becomes of its outputs."""
    command = ["sh", "-c", f'exec "$@" {shell}', "sh", sys.executable, ROOT / "launch/status.py", *words]
    return subprocess.run([str(word) for word in command], env=environment(**variables), capture_output=True)


@pytest.mark.parametrize(
    ("command", "number"),
    [
        *((command, signal.SIGINT) for command in COMMANDS),
        *((ROOT / "launch/train.py", number) for number in (signal.SIGTERM, signal.SIGUSR2)),
    ],
    ids=lambda value: getattr(value, "stem", None) or value.name,
)
def test_a_signal_during_the_imports_is_a_line(command: Path, number: signal.Signals, tmp_path: Path) -> None:
    stopped = f"stopped by {number.name}; the same command goes on from here\n"
    code, said = (130, "interrupted\n") if number is signal.SIGINT else (75, stopped)
    there = tmp_path / "there"
    stand_in = f"import pathlib, time\npathlib.Path({str(there)!r}).touch()\ntime.sleep(60)\n"
    (tmp_path / "jsonargparse.py").write_text(stand_in)  # which all of them import
    job = subprocess.Popen(
        [sys.executable, command],
        env=environment(PYTHONPATH=f"{tmp_path}{os.pathsep}{PATHS}"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until(there.exists, 30)
    job.send_signal(number)
    assert job.communicate(timeout=600) == ("", said) and job.returncode == code


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR2], ids=lambda number: number.name)
def test_a_signal_while_python_ends_does_not_change_the_status(number: signal.Signals) -> None:
    late = f"class Late:\n def __del__(self, kill=os.kill, me=os.getpid()): kill(me, {int(number)})\n"
    program = f"import os, sys\nfrom launch import early\nearly.begin('__main__')\n{late}late = Late()\nsys.exit(75)\n"
    job = subprocess.run([sys.executable, "-c", program], env=environment(), capture_output=True, text=True)
    assert (job.returncode, job.stderr) == (75, "")


def test_every_command_is_tried() -> None:
    assert {"train", "generate", "score", "status"} <= {path.stem for path in COMMANDS} and len(COMMANDS) >= 12


@pytest.mark.parametrize("shell", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize(("folder", "code"), [(".", 0), ("nowhere", 2)])
def test_closed_outputs(tmp_path: Path, shell: str, folder: str, code: int) -> None:
    (tmp_path / "runs").mkdir()
    done = status(tmp_path / folder, shell=shell)
    assert done.returncode in (code, 2) and b"Traceback" not in done.stderr + done.stdout
    if "2>" not in shell and code:
        assert done.stderr.startswith(b"error: ")


def test_names_that_the_terminal_can_not_show_are_escaped(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"M\xc3\xbcller \xe6\x97\xa5 \xff")
    (folder / "logs").mkdir(parents=True)
    (folder / "status.json").write_text('{"kind": "training", "state": "done"}')
    for variables in ({"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}):
        done = status(folder, **variables)
        assert done.returncode == 0 and b"Traceback" not in done.stderr
    assert rb"M\xfcller" in status(folder, PYTHONIOENCODING="ascii").stdout
    assert b"Traceback" not in status(folder / "none", PYTHONIOENCODING="ascii").stderr


def test_an_output_that_is_full_ends_nothing(tmp_path: Path, mount: Callable[[int], Path]) -> None:
    disk = mount(1)
    fill(disk)
    done = status(tmp_path, shell=f'> "{disk}/out"')
    assert done.returncode == 2 and b"No space" not in done.stderr  # there is no run
    (tmp_path / "status.json").write_text('{"kind": "training", "state": "done"}')
    assert status(tmp_path, shell=f'> "{disk}/out"').returncode == 0


@pytest.mark.parametrize(
    ("variables", "starter"),
    [
        ({"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "1"}, "mpirun"),
        ({"PMI_SIZE": "2", "PMI_RANK": "0"}, "mpiexec"),
        ({"SLURM_STEP_NUM_TASKS": "2", "SLURM_PROCID": "0"}, "srun"),
    ],
)
@pytest.mark.parametrize(("command", "option"), [("train", "ranks"), ("generate", "workers"), ("score", "workers")])
def test_one_of_several_says_what_to_do_instead(
    tmp_path: Path, variables: dict[str, str], starter: str, command: str, option: str
) -> None:
    words = [sys.executable, str(ROOT / f"launch/{command}.py")]
    done = subprocess.run(words, env=environment(**variables), cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"error: this is one of 2 processes; use --{option} 2 instead of {starter}\n"
    assert not list(tmp_path.iterdir())
