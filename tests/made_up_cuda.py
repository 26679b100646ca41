"""CUDA as a tree of files alone, in any layout, and a driver that claims to have GPUs."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from ecgan.runtime.toolchain import find_compiler

#: Part -> the header it is known by.
HEADERS = {
    "cudart": "cuda_runtime_api.h",
    "cublas": "cublas_v2.h",
    "cublasLt": "cublasLt.h",
    "curand": "curand.h",
    "cufft": "cufft.h",
    "cusparse": "cusparse.h",
}
#: Major versions of libraries that come with a CUDA.
MAJORS = {
    11: {"cudart": "11.0", "cublas": "11", "cublasLt": "11", "curand": "10", "cufft": "10", "cusparse": "11"},
    12: {"cudart": "12", "cublas": "12", "cublasLt": "12", "curand": "10", "cufft": "11", "cusparse": "12"},
    13: {"cudart": "13", "cublas": "13", "cublasLt": "13", "curand": "10", "cufft": "12", "cusparse": "12"},
}
CUDNN = {
    8: ("", "_ops_infer", "_ops_train", "_cnn_infer", "_cnn_train"),
    9: ("", "_graph", "_ops", "_cnn", "_engines_precompiled"),
}


def header(include: Path, name: str, text: str = "") -> None:
    include.mkdir(parents=True, exist_ok=True)
    (include / name).write_text(text)


def library(folder: Path, name: str, major: str | int, to_link_with: bool = True) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"lib{name}.so.{major}").write_text(name)
    if to_link_with:
        (folder / f"lib{name}.so").unlink(missing_ok=True)
        (folder / f"lib{name}.so").symlink_to(f"lib{name}.so.{major}")


def nvcc(folder: Path) -> Path:
    """A compiler that says how it was called."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "nvcc").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (folder / "nvcc").chmod(0o755)
    return folder / "nvcc"


def toolkit(include: Path, lib: Path, major: int, to_link_with: bool = True, parts: Sequence[str] = ()) -> None:
    """Headers and libraries of CUDA `major`.1, all or `parts`."""
    header(include, "npp.h")
    for part in parts or HEADERS:
        version = f"#define CUDART_VERSION  {major}010\n" if part == "cudart" else ""
        header(include, HEADERS[part], version)
        library(lib, part, MAJORS[major][part], to_link_with)


def cudnn(include: Path, lib: Path, major: int, to_link_with: bool = True) -> None:
    header(include, "cudnn.h")
    numbers = f"#define CUDNN_MAJOR {major}\n#define CUDNN_MINOR 2\n#define CUDNN_PATCHLEVEL 1\n"
    header(include, "cudnn_version.h", numbers)
    for suffix in CUDNN[major]:
        library(lib, f"cudnn{suffix}", major, to_link_with)


def nccl(include: Path, lib: Path, to_link_with: bool = True) -> None:
    header(include, "nccl.h", "#define NCCL_MAJOR 2\n#define NCCL_MINOR 20\n#define NCCL_PATCH 3\n")
    library(lib, "nccl", 2, to_link_with)


_DRIVER = """
#include <cstring>
extern "C" {
int cuInit(unsigned) { return 0; }
int cuDriverGetVersion(int* version) { *version = VERSION; return 0; }
int cuDeviceGetCount(int* count) { *count = GPUS; return 0; }
int cuDeviceGet(int* device, int index) { *device = index; return 0; }
int cuDeviceGetAttribute(int* value, int attribute, int) { *value = attribute == 75 ? 8 : 6; return 0; }
int cuDeviceGetName(char* name, int length, int) { strncpy(name, "Paper Card", length); return 0; }
int cuDeviceTotalMem_v2(size_t* bytes, int) { *bytes = size_t(24) << 30; return 0; }
}
"""


def driver(folder: Path, version: int = 12040, gpus: int = 2) -> None:
    """Puts a libcuda.so.1 with GPUs of compute capability 8.6 into `folder`, to be on LD_LIBRARY_PATH."""
    compiler = find_compiler()
    assert compiler is not None
    command = [compiler, "-shared", "-fPIC", f"-DVERSION={version}", f"-DGPUS={gpus}", "-x", "c++", "-"]
    subprocess.run([*command, "-o", str(folder / "libcuda.so.1")], input=_DRIVER, text=True, check=True)
