"""`launch/doctor.py` on this machine, and on machines made poorer or odder through the PATH."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
from conftest import wait_until
from made_up_cuda import driver
from made_up_programs import distribution, first_on_path, path_without, program

from ecgan.runtime.cache import cache_dir
from ecgan.runtime.devices import gpu_count
from ecgan.runtime.stamps import is_compiled
from ecgan.runtime.toolchain import find_compiler
from launch.checks.rows import Mark, Row
from launch.checks.verdicts import Verdict

pytestmark = pytest.mark.process

DOCTOR = Path(__file__).resolve().parents[2] / "launch" / "doctor.py"


def doctor(*options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(DOCTOR), "--device", "cpu", *options]
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, timeout=600)


def rows(result: subprocess.CompletedProcess[str]) -> dict[str, Row]:
    """The table that was printed, by name."""
    found: list[Row] = []
    for line in result.stdout.splitlines():
        if told := re.match(r"(\w+) {2,}(\S.*?) {2,}(.*)", line):
            [state] = [each for each in get_args(Mark) if each == told[1]]
            found.append(Row(told[2], state, told[3]))
        elif how := re.match(r" {7,}-> (.*)", line):
            found[-1] = dataclasses.replace(found[-1], how=how[1])
    assert found, result.stdout + result.stderr
    return {row.name: row for row in found}


def verdicts(result: subprocess.CompletedProcess[str]) -> tuple[Verdict, Verdict, Verdict]:
    """On generating, training in one process, and on several ranks."""
    said = re.findall(r"^(.+): (can|can't) run here[,:] (.*)$", result.stdout, re.MULTILINE)
    generating, training, ranks = (Verdict(work, can == "can", reason) for work, can, reason in said)
    return generating, training, ranks


def test_this_machine_can_generate_and_train() -> None:
    result = doctor()
    assert result.returncode == 0, result.stdout + result.stderr
    compiler = find_compiler()
    assert compiler is not None and compiler in rows(result)["C++ compiler"].found
    assert str(cache_dir()) in rows(result)["cache folder"].found
    assert "1.3.11" in rows(result)["Jittor"].found
    generating, training, _ = verdicts(result)
    assert generating.can_run and generating.reason.startswith("on cpu")
    assert training.can_run and training.reason.startswith("on cpu")
    assert "Traceback" not in result.stdout + result.stderr


def test_no_compiler(tmp_path: Path) -> None:
    result = doctor("--warm", PATH=path_without(tmp_path / "bin", "g++"), cc_path="")
    assert result.returncode == 1 and result.stderr == ""
    row = rows(result)["C++ compiler"]
    assert row.state == "missing" and "g++" in row.found and "apt install g++" in row.how
    generating, training, ranks = verdicts(result)
    assert generating.reason == f"{row.name}: {row.found}"
    assert not (generating.can_run or training.can_run or ranks.can_run)
    assert "warming up" not in rows(result)  # it could only fail


def test_hardly_any_program_and_no_place_to_write(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = doctor(PATH=str(tmp_path), ECGAN_CACHE=str(tmp_path / "file" / "cache"), cc_path="/nowhere/g++")
    assert result.returncode == 1 and result.stderr == ""
    compiler, cache = rows(result)["C++ compiler"], rows(result)["cache folder"]
    assert compiler.state == "missing" and "cc_path" in compiler.found and "/nowhere/g++" in compiler.found
    assert cache.state == "missing" and "ECGAN_CACHE" in cache.how


def compiler_that(folder: Path, compiles: str) -> dict[str, str]:
    """A g++ in `folder` that tells its version and runs the commands `compiles` instead of compiling."""
    real = find_compiler()
    program(folder, "g++", f'case "$1" in *version) exec {real} "$@";; esac\n{compiles}')
    return {"cc_path": str(folder / "g++"), "ECGAN_CACHE": str(folder / "cache")}


def test_warming_that_fails_is_told_in_the_table(tmp_path: Path) -> None:
    result = doctor("--warm", **compiler_that(tmp_path, "echo 'fatal error: no space left' >&2\nexit 1"))
    assert result.returncode == 1
    row = rows(result)["warming up"]
    assert row.state == "missing" and "no space left" in row.found and "compile-cpu.log" in row.found
    generating, *_ = verdicts(result)
    assert not generating.can_run and generating.reason.startswith(row.name)
    assert "Traceback" not in result.stdout + result.stderr


def test_warming_that_is_stopped_ends_its_compilers(tmp_path: Path) -> None:
    environment = compiler_that(
        tmp_path, f"echo $$ >{tmp_path}/pid.new\nmv {tmp_path}/pid.new {tmp_path}/pid\nexec sleep 300"
    )
    command = [sys.executable, str(DOCTOR), "--device", "cpu", "--warm"]
    with subprocess.Popen(
        command, env=os.environ | environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        wait_until((tmp_path / "pid").exists)
        process.terminate()
        _, errors = process.communicate(timeout=600)
    assert process.returncode == 75 and "Traceback" not in errors
    compiler = Path("/proc", (tmp_path / "pid").read_text().strip(), "cmdline")
    wait_until(lambda: not compiler.exists() or not compiler.read_bytes(), seconds=10)  # gone, or dead and not reaped


@pytest.mark.skipif(not is_compiled("cpu"), reason="Jittor is not compiled here, which takes minutes")
def test_warming_what_is_warm() -> None:
    result = doctor("--warm")
    assert result.returncode == 0, result.stdout + result.stderr
    assert rows(result)["warming up"].state == "ok" and " cpu" in rows(result)["warming up"].found
    assert rows(result)["compiled Jittor"].state == "ok"


def test_cuda_that_is_asked_for_in_vain(tmp_path: Path) -> None:
    result = doctor("--device", "cuda", PATH=path_without(tmp_path / "bin", "nvidia-smi", "nvcc"))
    if gpu_count():
        pytest.skip("there is a GPU")
    assert result.returncode == 1
    row, (generating, *_) = rows(result)["GPU"], verdicts(result)
    assert row.state == "missing"
    assert not generating.can_run and f"{row.name}: {row.found}" in generating.reason


def test_driver_without_nvidia_smi(tmp_path: Path) -> None:
    driver(tmp_path)
    result = doctor(PATH=path_without(tmp_path / "bin", "nvidia-smi"), LD_LIBRARY_PATH=str(tmp_path))
    assert result.returncode == 0, result.stdout + result.stderr
    found = rows(result)["GPU"].found
    assert " 12.4, 2 x Paper Card (24576 MiB); 2 " in found  # the last: as many are this process's


def test_slurm_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(
        first_on_path(tmp_path, monkeypatch),
        "sinfo",
        "echo 'slurm_load_partitions: Unable to contact slurm controller' >&2; exit 1",
    )
    result = doctor()
    assert result.returncode == 0, result.stdout + result.stderr
    row = rows(result)["Slurm"]
    assert row.state == "note" and "Unable to contact slurm controller" in row.found


@pytest.mark.parametrize(
    ("package", "version", "place"), [("jittor", "1.4.0.0", "plain"), ("jittor", "1.3.11.0", "with a blank")]
)
def test_installation_on_which_the_start_refuses(package: str, version: str, place: str, tmp_path: Path) -> None:
    installed = distribution(tmp_path / place, package, version)
    result = doctor(PYTHONPATH=f"{installed}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    assert result.returncode == 1
    generating, training, _ = verdicts(result)
    assert not generating.can_run and not training.can_run


def test_cache_in_which_jittor_can_not_compile(tmp_path: Path) -> None:
    result = doctor(ECGAN_CACHE=str(tmp_path / "my cache"))
    assert result.returncode == 1
    assert rows(result)["cache folder"].state == "missing"


def test_wrong_usage() -> None:
    no_warm = doctor("--checkpoint", "anything")
    assert no_warm.returncode == 2 and "--warm" in no_warm.stderr
    nothing_there = doctor("--warm", "--checkpoint", "/no/such/checkpoint")
    assert nothing_there.returncode == 2 and "/no/such/checkpoint" in nothing_there.stderr
