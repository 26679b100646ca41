"""`launch/doctor.py` on this machine, and on machines made poorer or odder through the PATH."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import wait_until
from made_up_cuda import cudnn, driver, nvcc, toolkit

from ecgan import cuda, runtime
from ecgan.cuda import search
from launch import checks, cuda_checks
from slurm import controller

DOCTOR = Path(__file__).resolve().parents[2] / "launch" / "doctor.py"


def doctor(*options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(DOCTOR), "--device", "cpu", *options]
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, timeout=120)


def line_of(result: subprocess.CompletedProcess[str], name: str) -> str:
    """The table's line about `name`, or the verdict on it."""
    found = [line for line in result.stdout.splitlines() if name in line]
    assert found, f"nothing about {name} in:\n{result.stdout}{result.stderr}"
    return found[0]


def program(folder: Path, name: str, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


def path_without(folder: Path, *hidden: str) -> str:
    """A PATH with every program that there is but the `hidden`: links to all others in `folder`."""
    folder.mkdir()
    for source in map(Path, os.environ["PATH"].split(os.pathsep)):
        for tool in source.iterdir() if source.is_dir() else ():
            if tool.name not in hidden and not (folder / tool.name).is_symlink():
                (folder / tool.name).symlink_to(tool)
    return str(folder)


@pytest.fixture
def first_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose programs come before all others, also for this process."""
    folder = tmp_path / "a 'bin' folder"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


@pytest.mark.process
def test_this_machine_can_generate_and_train() -> None:
    result = doctor()
    assert result.returncode == 0, result.stdout + result.stderr
    compiler = runtime.find_compiler()
    assert compiler is not None and compiler in line_of(result, "C++ compiler")
    assert str(runtime.cache_dir()) in line_of(result, "cache folder")
    assert "1.3.11" in line_of(result, "Jittor")
    assert line_of(result, "generating:").startswith("generating: can run here, on cpu")
    assert line_of(result, "one process:").startswith("training, one process: can run here, on cpu")
    assert "run here" in line_of(result, "several ranks (MPI):")
    assert "Traceback" not in result.stdout + result.stderr


@pytest.mark.process
def test_no_compiler(tmp_path: Path) -> None:
    result = doctor("--warm", PATH=path_without(tmp_path / "bin", "g++"), cc_path="")
    assert result.returncode == 1 and result.stderr == ""
    assert line_of(result, "C++ compiler").startswith("missing") and "no g++" in line_of(result, "C++ compiler")
    assert "apt install g++" in result.stdout
    assert line_of(result, "generating:") == "generating: can't run here: C++ compiler: no g++ on the PATH"
    assert "warming up" not in result.stdout  # it could only fail


@pytest.mark.process
def test_hardly_any_program_and_no_place_to_write(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = doctor(PATH=str(tmp_path), ECGAN_CACHE=str(tmp_path / "file" / "cache"), cc_path="/nowhere/g++")
    assert result.returncode == 1 and result.stderr == ""
    assert "cc_path is /nowhere/g++" in line_of(result, "C++ compiler")
    assert line_of(result, "cache folder").startswith("missing")
    assert "ECGAN_CACHE" in result.stdout


def test_compiler_that_hangs(first_on_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("cc_path", raising=False)
    monkeypatch.setattr(checks, "PATIENCE", 1)
    program(first_on_path, "g++", "exec sleep 60")
    started = time.monotonic()
    row = checks.compiler()
    assert (row.state, row.found) == ("missing", "g++ did not answer within 1 s")
    assert time.monotonic() - started < 10


def compiler_that(folder: Path, compiles: str) -> dict[str, str]:
    """A g++ in `folder` that tells its version and runs the commands `compiles` instead of compiling."""
    real = runtime.find_compiler()
    program(folder, "g++", f'case "$1" in *version) exec {real} "$@";; esac\n{compiles}')
    return {"cc_path": str(folder / "g++"), "ECGAN_CACHE": str(folder / "cache")}


@pytest.mark.process
def test_warming_that_fails_is_told_in_the_table(tmp_path: Path) -> None:
    result = doctor("--warm", **compiler_that(tmp_path, "echo 'fatal error: no space left' >&2\nexit 1"))
    assert result.returncode == 1
    assert "no space left" in line_of(result, "warming up") and "compile-cpu.log" in line_of(result, "warming up")
    assert "can't run here: warming up" in line_of(result, "generating:")
    assert "Traceback" not in result.stdout + result.stderr


@pytest.mark.process
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


@pytest.mark.process
@pytest.mark.skipif(not runtime.is_compiled("cpu"), reason="Jittor is not compiled here, which takes minutes")
def test_warming_what_is_warm() -> None:
    result = doctor("--warm")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "starts on cpu" in line_of(result, "warming up")
    assert line_of(result, "compiled Jittor").startswith("ok")


@pytest.mark.process
def test_cuda_that_is_asked_for_in_vain(tmp_path: Path) -> None:
    result = doctor("--device", "cuda", PATH=path_without(tmp_path / "bin", "nvidia-smi", "nvcc"))
    if runtime.gpu_count():
        pytest.skip("there is a GPU")
    assert result.returncode == 1
    assert line_of(result, "GPU").startswith("missing")
    assert line_of(result, "generating:").startswith("generating: can't run here: GPU: none")


@pytest.mark.process
def test_driver_without_nvidia_smi(tmp_path: Path) -> None:
    driver(tmp_path)
    result = doctor(PATH=path_without(tmp_path / "bin", "nvidia-smi"), LD_LIBRARY_PATH=str(tmp_path))
    assert result.returncode == 0, result.stdout + result.stderr
    assert "driver for CUDA up to 12.4, 2 x Paper Card (24576 MiB); 2 for this process" in line_of(result, "GPU")


def test_gpus_that_nvidia_smi_lists(first_on_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(first_on_path, "nvidia-smi", "echo '535.1, Paper Card, 24576 MiB'; echo '535.1, Paper Card, 24576 MiB'")
    monkeypatch.setattr(runtime, "gpu_count", lambda: 1)
    assert cuda_checks.gpus().found == "driver 535.1, 2 x Paper Card (24576 MiB); 1 for this process"

    monkeypatch.setattr(runtime, "gpu_count", lambda: 0)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    row = cuda_checks.gpus()
    assert row.state == "note" and "none for this process: CUDA_VISIBLE_DEVICES is ''" in row.found

    program(first_on_path, "nvidia-smi", "echo 'NVIDIA-SMI has failed: no driver'; exit 9")
    assert cuda_checks.gpus().found == "nvidia-smi failed: NVIDIA-SMI has failed: no driver"


@pytest.fixture
def made_up_cuda(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A CUDA_HOME without anything in it, on a machine that has no other CUDA."""
    for variable in ("CUDA_PATH", "CONDA_PREFIX", "CUDNN_PATH", "CUDNN_HOME", "CUDNN_ROOT"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(search, "_DEFAULT_TOOLKIT", tmp_path / "none")
    monkeypatch.setattr(search, "_SYSTEM", tmp_path / "none")
    monkeypatch.setattr(search, "_site_packages", list)
    monkeypatch.setenv("PATH", path_without(tmp_path / "bin", "nvcc", "nvidia-smi"))
    monkeypatch.setenv("CUDA_HOME", str(tmp_path / "cuda"))
    return tmp_path / "cuda"


def rows_of_cuda(device: runtime.Device = "auto") -> dict[str, checks.Row]:
    return {row.name: row for row in cuda_checks.cuda_parts(device)}


def test_pieces_of_cuda_are_told_one_by_one(made_up_cuda: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert rows_of_cuda()["nvcc"].state == "note" and ".[gpu]" in rows_of_cuda()["nvcc"].how
    nvcc(made_up_cuda / "bin").write_text("#!/bin/sh\necho 'Cuda compilation tools, release 12.1, V12.1.105'\n")
    toolkit(made_up_cuda / "include", made_up_cuda / "lib64", 12)
    rows = rows_of_cuda()
    assert rows["nvcc"].found == f"12.1, {made_up_cuda / 'bin/nvcc'} (found by CUDA_HOME)"
    assert rows["cuBLAS"].state == "ok" and "libcublas.so" in rows["cuBLAS"].found
    assert rows["CUDA's libraries"].state == "note" and "no cuDNN with" in rows["CUDA's libraries"].found
    assert "standing in" not in rows
    assert rows_of_cuda("cuda")["CUDA's libraries"].state == "missing"

    cudnn(made_up_cuda / "include", made_up_cuda / "lib64", 8)
    rows = rows_of_cuda()
    assert rows["cuDNN"].found == f"8.2.1, {made_up_cuda / 'lib64/libcudnn.so.8'}"
    assert rows["NCCL"].state == "note" and "MPI" in rows["NCCL"].how
    assert rows["standing in"].found == "nothing: Jittor finds and knows all of it"

    cudnn(made_up_cuda / "include", made_up_cuda / "lib64", 9)
    assert "cuDNN 9 dropped functions" in rows_of_cuda()["standing in"].found


def test_cuda_that_does_not_go_with_the_rest(made_up_cuda: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nvcc(made_up_cuda / "bin").write_text("#!/bin/sh\necho 'Cuda compilation tools, release 13.1, V13.1.115'\n")
    toolkit(made_up_cuda / "include", made_up_cuda / "lib64", 13)
    assert cuda_checks.nvcc(cuda.find()).state == "ok"
    (made_up_cuda / "include/crt").mkdir()
    (made_up_cuda / "include/crt/host_config.h").write_text("#if __GNUC__ > 5\n")
    row = cuda_checks.nvcc(cuda.find())
    assert row.state == "note" and "g++ up to 5" in row.how and "cc_path" in row.how
    monkeypatch.setattr(runtime, "gpu_archs", lambda: [86])
    monkeypatch.setattr(cuda_checks, "_driver_version", lambda: (12, 4))
    assert "driver is older than CUDA 13" in cuda_checks.nvcc(cuda.find()).how
    monkeypatch.setattr(runtime, "gpu_archs", lambda: [70])
    assert "compute capability 7.0 behind" in cuda_checks.nvcc(cuda.find()).how


def test_convolution_on_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def answers(output: str, status: int = 0) -> None:
        program = f"import sys; sys.stderr.write({output!r}) if {status} else print({output!r}); sys.exit({status})"
        monkeypatch.setattr(cuda_checks, "_COMPUTE", program)

    answers("1.5e-06")
    assert cuda_checks.convolution().found == "the GPU computes what the CPU does, to 1.5e-06"
    for wrong in ("0.3", "nan"):
        answers(wrong)
        assert cuda_checks.convolution().state == "missing"
    answers("Traceback\nno kernel image", 1)
    assert cuda_checks.convolution().found == "no kernel image"
    monkeypatch.setattr(cuda_checks, "_COMPUTE", "import time; time.sleep(60)")
    monkeypatch.setattr(cuda_checks, "_PATIENCE", 1)
    assert "did not answer" in cuda_checks.convolution().found


def test_convolution_is_held_against_the_cpu() -> None:
    from ecgan.probe import convolution_error

    if not runtime.gpu_count():
        assert convolution_error() == 0


@pytest.mark.process
def test_slurm_that_fails(first_on_path: Path) -> None:
    program(first_on_path, "sinfo", "echo 'slurm_load_partitions: Unable to contact slurm controller' >&2; exit 1")
    result = doctor()
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Unable to contact slurm controller" in line_of(result, "Slurm")
    assert line_of(result, "Slurm").startswith("note")


def test_slurm_that_hangs(first_on_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controller, "_PATIENCE", 1)
    program(first_on_path, "sinfo", "exec sleep 60")
    started = time.monotonic()
    [row] = checks.slurm_parts()
    assert row.state == "note" and "did not answer within 1 s" in row.found
    assert time.monotonic() - started < 10


def test_slurm_command_that_is_no_program(first_on_path: Path) -> None:
    (first_on_path / "sinfo").write_bytes(b"\x7fELF for another machine")
    (first_on_path / "sinfo").chmod(0o755)
    [row] = checks.slurm_parts()
    assert row.state == "note" and "Exec format error" in row.found


def test_slurm_that_answers(first_on_path: Path) -> None:
    program(first_on_path, "sinfo", "echo 'gpu* up infinite 4 idle n[1-4]'")
    program(first_on_path, "srun", "printf 'MPI plugin types are...\\n\\tnone\\n\\tpmix\\n'")
    program(first_on_path, "sacct", "echo 'Slurm accounting storage is disabled' >&2; exit 1")
    slurm, pmix, sacct = checks.slurm_parts()
    assert slurm.state == "ok" and pmix.state == "ok"
    assert sacct.state == "note" and "accounting storage is disabled" in sacct.found

    program(first_on_path, "srun", "printf 'MPI plugin types are...\\n\\tnone\\n\\tpmi2\\n'")
    assert checks.pmix().state == "note" and "none, pmi2" in checks.pmix().found


def test_what_stops_ranks_stops_nothing_else() -> None:
    row = checks.Row("mpirun", "note", "none", stops_ranks=True)
    generating, training, ranks = checks.verdicts([row], "on cpu")
    assert generating.can_run and training.can_run and not ranks.can_run and "mpirun" in ranks.reason


@pytest.mark.process
def test_wrong_usage() -> None:
    no_warm = doctor("--checkpoint", "anything")
    assert no_warm.returncode == 2 and "--warm" in no_warm.stderr
    nothing_there = doctor("--warm", "--checkpoint", "/no/such/checkpoint")
    assert nothing_there.returncode == 2 and "/no/such/checkpoint does not exist" in nothing_there.stderr


@pytest.mark.process
def test_python_without_the_project() -> None:
    answer = subprocess.run([sys.executable, "-I", "-S", str(DOCTOR)], capture_output=True, text=True, timeout=60)
    assert answer.returncode == 1 and answer.stdout == ""
    assert len(answer.stderr.splitlines()) == 1 and "make setup" in answer.stderr
