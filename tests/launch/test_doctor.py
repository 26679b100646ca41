"""`launch/doctor.py` on this machine, and on machines made poorer or odder through the PATH."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import wait_until
from made_up_cuda import driver
from made_up_programs import distribution, first_on_path, path_without, program

from ecgan.runtime.cache import cache_dir
from ecgan.runtime.devices import gpu_count
from ecgan.runtime.stamps import is_compiled
from ecgan.runtime.toolchain import find_compiler

pytestmark = pytest.mark.process

DOCTOR = Path(__file__).resolve().parents[2] / "launch" / "doctor.py"


def doctor(*options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(DOCTOR), "--device", "cpu", *options]
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, timeout=120)


def line_of(result: subprocess.CompletedProcess[str], name: str) -> str:
    """The table's line about `name`, or the verdict on it."""
    found = [line for line in result.stdout.splitlines() if name in line]
    assert found, f"nothing about {name} in:\n{result.stdout}{result.stderr}"
    return found[0]


def test_this_machine_can_generate_and_train() -> None:
    result = doctor()
    assert result.returncode == 0, result.stdout + result.stderr
    compiler = find_compiler()
    assert compiler is not None and compiler in line_of(result, "C++ compiler")
    assert str(cache_dir()) in line_of(result, "cache folder")
    assert "1.3.11" in line_of(result, "Jittor")
    assert line_of(result, "generating:").startswith("generating: can run here, on cpu")
    assert line_of(result, "one process:").startswith("training, one process: can run here, on cpu")
    assert "run here" in line_of(result, "several ranks (MPI):")
    assert "Traceback" not in result.stdout + result.stderr


def test_no_compiler(tmp_path: Path) -> None:
    result = doctor("--warm", PATH=path_without(tmp_path / "bin", "g++"), cc_path="")
    assert result.returncode == 1 and result.stderr == ""
    assert line_of(result, "C++ compiler").startswith("missing") and "no g++" in line_of(result, "C++ compiler")
    assert "apt install g++" in result.stdout
    assert line_of(result, "generating:") == "generating: can't run here: C++ compiler: no g++ on the PATH"
    assert "warming up" not in result.stdout  # it could only fail


def test_hardly_any_program_and_no_place_to_write(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = doctor(PATH=str(tmp_path), ECGAN_CACHE=str(tmp_path / "file" / "cache"), cc_path="/nowhere/g++")
    assert result.returncode == 1 and result.stderr == ""
    assert "cc_path is /nowhere/g++" in line_of(result, "C++ compiler")
    assert line_of(result, "cache folder").startswith("missing")
    assert "ECGAN_CACHE" in result.stdout


def compiler_that(folder: Path, compiles: str) -> dict[str, str]:
    """A g++ in `folder` that tells its version and runs the commands `compiles` instead of compiling."""
    real = find_compiler()
    program(folder, "g++", f'case "$1" in *version) exec {real} "$@";; esac\n{compiles}')
    return {"cc_path": str(folder / "g++"), "ECGAN_CACHE": str(folder / "cache")}


def test_warming_that_fails_is_told_in_the_table(tmp_path: Path) -> None:
    result = doctor("--warm", **compiler_that(tmp_path, "echo 'fatal error: no space left' >&2\nexit 1"))
    assert result.returncode == 1
    assert "no space left" in line_of(result, "warming up") and "compile-cpu.log" in line_of(result, "warming up")
    assert "can't run here: warming up" in line_of(result, "generating:")
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
        _, errors = process.communicate(timeout=10)
    assert process.returncode == 75 and "Traceback" not in errors
    compiler = Path("/proc", (tmp_path / "pid").read_text().strip(), "cmdline")
    wait_until(lambda: not compiler.exists() or not compiler.read_bytes(), seconds=10)  # gone, or dead and not reaped


@pytest.mark.skipif(not is_compiled("cpu"), reason="Jittor is not compiled here, which takes minutes")
def test_warming_what_is_warm() -> None:
    result = doctor("--warm")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "starts on cpu" in line_of(result, "warming up")
    assert line_of(result, "compiled Jittor").startswith("ok")


def test_cuda_that_is_asked_for_in_vain(tmp_path: Path) -> None:
    result = doctor("--device", "cuda", PATH=path_without(tmp_path / "bin", "nvidia-smi", "nvcc"))
    if gpu_count():
        pytest.skip("there is a GPU")
    assert result.returncode == 1
    assert line_of(result, "GPU").startswith("missing")
    assert line_of(result, "generating:").startswith("generating: can't run here: GPU: none")


def test_driver_without_nvidia_smi(tmp_path: Path) -> None:
    driver(tmp_path)
    result = doctor(PATH=path_without(tmp_path / "bin", "nvidia-smi"), LD_LIBRARY_PATH=str(tmp_path))
    assert result.returncode == 0, result.stdout + result.stderr
    assert "driver for CUDA up to 12.4, 2 x Paper Card (24576 MiB); 2 for this process" in line_of(result, "GPU")


def test_slurm_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(
        first_on_path(tmp_path, monkeypatch),
        "sinfo",
        "echo 'slurm_load_partitions: Unable to contact slurm controller' >&2; exit 1",
    )
    result = doctor()
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Unable to contact slurm controller" in line_of(result, "Slurm")
    assert line_of(result, "Slurm").startswith("note")


@pytest.mark.parametrize(
    ("package", "version", "place"), [("numpy", "2.2.6", "plain"), ("jittor", "1.3.11.0", "with a blank")]
)
def test_installation_on_which_the_start_refuses(package: str, version: str, place: str, tmp_path: Path) -> None:
    installed = distribution(tmp_path / place, package, version)
    result = doctor(PYTHONPATH=f"{installed}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    assert result.returncode == 1
    assert "can't run here" in line_of(result, "generating:")


def test_cache_in_which_jittor_can_not_compile(tmp_path: Path) -> None:
    result = doctor(ECGAN_CACHE=str(tmp_path / "my cache"))
    assert result.returncode == 1
    assert line_of(result, "cache folder").startswith("missing")


def test_wrong_usage() -> None:
    no_warm = doctor("--checkpoint", "anything")
    assert no_warm.returncode == 2 and "--warm" in no_warm.stderr
    nothing_there = doctor("--warm", "--checkpoint", "/no/such/checkpoint")
    assert nothing_there.returncode == 2 and "/no/such/checkpoint does not exist" in nothing_there.stderr
