"""What the doctor says of GPU and CUDA: each piece, what stands in for what Jittor looks for, and whether it computes.

Optional, all of it, unless the GPU is asked for.
"""

from __future__ import annotations

import ctypes
import dataclasses
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence

from ecgan.runtime import cuda, devices, flags
from ecgan.runtime.cache import log_dir
from ecgan.runtime.devices import DeviceChoice
from ecgan.runtime.programs import ask, first_line
from ecgan.runtime.requirements import INSTALL_GPU
from launch.checks.rows import Row, guarded

#: Names that people know the parts by; those that Jittor loads only for another part have no row of their own.
_NAMES = {
    "cudart": "CUDA runtime",
    "cublas": "cuBLAS",
    "curand": "cuRAND",
    "cufft": "cuFFT",
    "cusparse": "cuSPARSE",
    "cudnn": "cuDNN",
}
#: The oldest compute capability, times ten, that nvcc of each CUDA still compiles for.
_OLDEST_ARCH = {11: 35, 12: 50, 13: 75}
#: Above this the GPU does not compute what the CPU does; TF32's rounding stays below.
_TOLERANCE = 5e-3
#: Seconds for a convolution, compilation of its operators included.
_PATIENCE = 300

_HOW = f"needed with a GPU only: a CUDA toolkit (11, 12 or 13) with cuDNN, or NVIDIA's wheels: {INSTALL_GPU}"
#: A convolution on the GPU in a process of its own.
_COMPUTE = [sys.executable, "-m", "ecgan.runtime.child", "compare", "cuda"]


def rows(device: DeviceChoice) -> list[Row]:
    """GPU and CUDA: optional, unless `device` is "cuda"."""
    found = cuda.find()
    rows = [guarded("GPU", "note", gpus), guarded("nvcc", "note", lambda: nvcc(found))]
    if found is not None:
        rows += [_part(found.parts[name], _NAMES[name]) for name in _NAMES if name in found.parts]
        rows += [_missing(found)] if found.missing else []
    if device == "cuda":
        rows = [dataclasses.replace(row, state="missing") if row.state == "note" else row for row in rows]
    if found is not None:
        rows += [_nccl(found)]
    if found is not None and not found.missing:
        rows += [guarded("standing in", "note", lambda: standing_in(found))]
    return rows


def gpus() -> Row:
    """GPUs that nvidia-smi lists, and whether the driver offers them to this process."""
    offered = devices.gpu_count()
    listed, trouble = _ask_nvidia_smi()
    if not offered:
        if listed:
            hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
            why = "the driver's libcuda.so.1 offers none" if hidden is None else f"CUDA_VISIBLE_DEVICES is {hidden!r}"
            return Row("GPU", "note", f"{listed}, but none for this process: {why}", "let this process have one")
        how = "an NVIDIA GPU and its driver make it faster; --device cpu does without"
        return Row("GPU", "note", trouble or "none: no NVIDIA driver", how)
    if not listed:
        listed = _ask_driver(offered)
    return Row("GPU", "ok", f"{listed}; {offered} for this process")


def _ask_nvidia_smi() -> tuple[str, str]:
    """(driver and GPUs with their memory, "") or ("", why there are none); both empty without nvidia-smi."""
    path = shutil.which("nvidia-smi")
    if path is None:
        return "", ""
    works, answer = ask([path, "--query-gpu=driver_version,name,memory.total", "--format=csv,noheader"])
    fields = [tuple(field.strip() for field in line.split(",")) for line in answer.splitlines()]
    if not works or not fields or any(len(each) != 3 for each in fields):
        return "", first_line(answer) or "nvidia-smi lists none"
    return f"driver {fields[0][0]}, {_counted([f'{name} ({memory})' for _, name, memory in fields])}", ""


def _ask_driver(count: int) -> str:
    """Driver and GPUs with their memory, from the driver's library itself; it has been initialised."""
    driver = ctypes.CDLL("libcuda.so.1")
    name, memory = ctypes.create_string_buffer(256), ctypes.c_size_t(0)
    names = []
    for index in range(count):
        device = ctypes.c_int(0)
        driver.cuDeviceGet(ctypes.byref(device), index)
        driver.cuDeviceGetName(name, len(name), device)
        driver.cuDeviceTotalMem_v2(ctypes.byref(memory), device)
        names.append(f"{name.value.decode(errors='replace')} ({memory.value >> 20} MiB)")
    major, minor = _driver_version()
    return f"driver for CUDA up to {major}.{minor}, {_counted(names)}"


def _driver_version() -> tuple[int, int]:
    """The newest CUDA that the driver knows."""
    version = ctypes.c_int(0)
    ctypes.CDLL("libcuda.so.1").cuDriverGetVersion(ctypes.byref(version))
    return version.value // 1000, version.value % 1000 // 10


def _counted(names: Sequence[str]) -> str:
    return ", ".join(f"{count} x {name}" for name, count in Counter(names).items())


def nvcc(found: cuda.Cuda | None) -> Row:
    """CUDA's compiler, and whether it goes with the driver, the GPUs and the C++ compiler."""
    if found is None:
        return Row("nvcc", "note", "none in CUDA_HOME, on the PATH, in wheels, conda or /usr/local/cuda", _HOW)
    works, answer = ask([str(found.nvcc), "--version"])
    release = re.search(r"release (\d+\.\d+)", answer)
    if not works or release is None:
        return Row("nvcc", "note", answer if works else f"{found.nvcc}: {answer}", _HOW)
    where = f"{release[1]}, {found.nvcc} (found by {found.source})"
    trouble = _mismatch(found)
    return Row("nvcc", "note" if trouble else "ok", where, trouble)


def _mismatch(found: cuda.Cuda) -> str:
    """Why this CUDA can't be used here though it is complete, and what to do; "" if it can."""
    major = found.version[0]
    archs = devices.gpu_archs()
    oldest = _OLDEST_ARCH.get(major, 0)
    if archs and min(archs) < oldest:
        return f"CUDA {major} has left the GPU's compute capability {min(archs) / 10} behind: use an older CUDA"
    if archs and _driver_version()[0] < major:
        return f"the driver is older than CUDA {major}: update the driver, or use an older CUDA"
    newest, gcc = cuda.newest_gcc(found), flags.gcc_version()
    if newest is not None and gcc > newest:
        return f"it works with g++ up to {newest}, and g++ is {gcc} here: set cc_path to an older one"
    return ""


def _part(part: cuda.Part, name: str) -> Row:
    return Row(name, "ok", f"{part.version or 'of unknown version'}, {part.library}")


def _missing(found: cuda.Cuda) -> Row:
    names = ", ".join(_NAMES[name] for name in found.missing if name in _NAMES)
    return Row("CUDA's libraries", "note", f"no {names} with headers that go with {found.nvcc}", _HOW)


def _nccl(found: cuda.Cuda) -> Row:
    part = found.parts.get("nccl")
    if part is None:
        return Row("NCCL", "note", "none", "optional: without it gradients of several GPUs travel through MPI")
    return Row("NCCL", "ok", f"{part.version}, {part.library}")


def standing_in(found: cuda.Cuda) -> Row:
    """What is laid over what was found, because Jittor would not find or know it."""
    overlays = cuda.overlays(found, devices.gpu_archs())
    if not overlays:
        return Row("standing in", "ok", "nothing: Jittor finds and knows all of it")
    return Row("standing in", "ok", "; ".join(f"{each.what} ({each.why})" for each in overlays))


def convolution() -> Row:
    """A convolution and its gradients on the GPU against the CPU, in a child; compiles what it needs."""
    name = "convolution"
    try:
        child = subprocess.run(_COMPUTE, capture_output=True, text=True, timeout=_PATIENCE)
    except subprocess.TimeoutExpired:
        return Row(name, "missing", f"the GPU did not answer within {_PATIENCE} s")
    if child.returncode:
        lines = child.stderr.strip().splitlines() or [f"status {child.returncode}"]
        return Row(name, "missing", lines[-1][:300], f"the logs are in {log_dir()}")
    error = float(child.stdout.split()[-1])
    if not error <= _TOLERANCE:
        return Row(name, "missing", f"the GPU is {error:.1e} off what the CPU computes", "use --device cpu")
    return Row(name, "ok", f"the GPU computes what the CPU does, to {error:.1e}")
