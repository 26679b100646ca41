"""What the doctor says of GPU and CUDA, on made-up ones."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from made_up_cuda import cudnn, nvcc, toolkit
from made_up_programs import first_on_path, path_without, program

from ecgan.runtime import cuda, devices
from ecgan.runtime.cuda import search
from ecgan.runtime.devices import DeviceChoice
from launch.checks import cuda as checks
from launch.checks.rows import Row


def test_gpus_that_nvidia_smi_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = first_on_path(tmp_path, monkeypatch)
    program(folder, "nvidia-smi", "echo '535.1, Paper Card, 24576 MiB'; echo '535.1, Paper Card, 24576 MiB'")
    monkeypatch.setattr(devices, "gpu_count", lambda: 1)
    assert checks.gpus().found == "driver 535.1, 2 x Paper Card (24576 MiB); 1 for this process"

    monkeypatch.setattr(devices, "gpu_count", lambda: 0)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    row = checks.gpus()
    assert row.state == "note" and "none for this process: CUDA_VISIBLE_DEVICES is ''" in row.found

    program(folder, "nvidia-smi", "echo 'NVIDIA-SMI has failed: no driver'; exit 9")
    assert checks.gpus().found == "nvidia-smi failed: NVIDIA-SMI has failed: no driver"


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


def rows_of_cuda(device: DeviceChoice = "auto") -> dict[str, Row]:
    return {row.name: row for row in checks.rows(device)}


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


def test_cuda_that_does_not_go_with_the_rest(
    made_up_cuda: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nvcc(made_up_cuda / "bin").write_text("#!/bin/sh\necho 'Cuda compilation tools, release 13.1, V13.1.115'\n")
    toolkit(made_up_cuda / "include", made_up_cuda / "lib64", 13)
    assert checks.nvcc(cuda.find()).state == "ok"
    (made_up_cuda / "include/crt").mkdir()
    (made_up_cuda / "include/crt/host_config.h").write_text("#if __GNUC__ > 5\n")
    row = checks.nvcc(cuda.find())
    assert row.state == "note" and "g++ up to 5" in row.how and "cc_path" in row.how
    program(tmp_path, "clang++", 'test "$1" = -dumpversion && echo 17')
    with monkeypatch.context() as patch:
        patch.setenv("cc_path", str(tmp_path / "clang++"))
        assert checks.nvcc(cuda.find()).state == "ok"
    monkeypatch.setattr(devices, "gpu_archs", lambda: [86])
    monkeypatch.setattr(checks, "_driver_version", lambda: (12, 4))
    assert "driver is older than CUDA 13" in checks.nvcc(cuda.find()).how
    monkeypatch.setattr(devices, "gpu_archs", lambda: [70])
    assert "compute capability 7.0 behind" in checks.nvcc(cuda.find()).how


def test_convolution_on_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def answers(output: str, status: int = 0) -> None:
        program = f"import sys; sys.stderr.write({output!r}) if {status} else print({output!r}); sys.exit({status})"
        monkeypatch.setattr(checks, "_COMPUTE", [sys.executable, "-c", program])

    answers("1.5e-06")
    assert checks.convolution().found == "the GPU computes what the CPU does, to 1.5e-06"
    for wrong in ("0.3", "nan"):
        answers(wrong)
        assert checks.convolution().state == "missing"
    answers("Traceback\nno kernel image", 1)
    assert checks.convolution().found == "no kernel image"
    monkeypatch.setattr(checks, "_COMPUTE", ["sleep", "60"])
    monkeypatch.setattr(checks, "_PATIENCE", 1)
    assert "did not answer" in checks.convolution().found


def test_convolution_is_held_against_the_cpu() -> None:
    from ecgan.runtime.probe import convolution_error

    if not devices.gpu_count():
        assert convolution_error() == 0
