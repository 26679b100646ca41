"""Makes of a CUDA that was found the one that Jittor 1.3.11 looks for: a folder of links beside its compiled code.

Jittor takes the folder above nvcc's for CUDA's home and expects headers in its `include`, libraries in its `lib64`,
under the names of CUDA 12 and cuDNN 8. Where all is so already, nothing is made.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ecgan.files import TEMPORARY_SUFFIX, clear_leftovers, hold
from ecgan.runtime.cuda.search import _MACHINE, _SYSTEM, Cuda, Part

_SOURCES = Path(__file__).parent / "overlay"
#: The folder within a home of Jittor's.
_NAME = "cuda"
#: What `prepare` adds to cc_flags.
_OUR_FLAG = re.compile(rf' *-iquote"[^"]*/{_NAME}/quoted"')

#: The newest GPU (compute capability times ten) that Jittor compiles for.
_NEWEST_ARCH = 90
#: The first nvcc that knows a newer one.
_FIRST_NVCC = {100: (12, 8), 101: (12, 8), 120: (12, 8), 103: (12, 9), 121: (12, 9), 110: (13, 0)}

#: Jittor's names for what cuDNN 9 calls otherwise.
_CUDNN_8_NAMES = {
    "libcudnn_ops_infer.so": "ops",
    "libcudnn_ops_train.so": "ops",
    "libcudnn_cnn_infer.so": "cnn",
    "libcudnn_cnn_train.so": "cnn",
}
#: Libraries of cuDNN 9 that the others find only where they are loaded already.
_CUDNN_9_LIBRARIES = ("graph", "ops", "cnn")


@dataclass(frozen=True)
class Overlay:
    """Something that stands in for what Jittor would look for, and why."""

    what: str
    why: str


@dataclass(frozen=True)
class Settings:
    """How to start Jittor: variables of its environment, a flag for cc_flags, libraries to load before, in order."""

    environment: dict[str, str]
    cc_flag: str
    preload: tuple[Path, ...]


def overlays(cuda: Cuda, archs: Sequence[int]) -> list[Overlay]:
    """What has to stand in, and why; empty if Jittor finds and knows everything by itself.

    `archs`: the GPUs' compute capabilities times ten.
    """
    found = []
    if cuda.version >= (13, 0):
        found.append(Overlay("helper_cuda.h", "Jittor's own reads fields that CUDA 13 dropped"))
        found.append(Overlay("nvcc -std=c++17", "CUDA 13's headers no longer compile as C++14"))
    if cuda.parts["cudnn"].major >= 9:
        found.append(Overlay("cudnn.h", "cuDNN 9 dropped functions for recurrent networks that Jittor compiles"))
        found.append(Overlay("libcudnn_*_infer.so, _train.so", "cuDNN 9's libraries have other names"))
    if not _has_npp(cuda):
        found.append(Overlay("npp.h", "is not installed, and Jittor takes a few constants from it"))
    newer = [arch for arch in archs if arch > _NEWEST_ARCH]
    if newer:
        codes = " ".join(_codes(newer, cuda.version))
        found.append(Overlay(f"nvcc {codes}", f"Jittor knows GPUs up to compute capability {_NEWEST_ARCH / 10}"))
    strays = _not_where_jittor_looks(cuda)
    if found or strays:
        why = f"not where Jittor looks: {', '.join(strays)}" if strays else "to hold the above"
        found.append(Overlay("folder of links", why))
    return found


def fingerprint(cuda: Cuda, archs: Sequence[int]) -> str:
    """Differs when anything that decides what is compiled does: versions, files, overlays, GPUs."""
    parts = [str(cuda.version), *map(str, sorted(set(archs))), *map(str, overlays(cuda, archs)), _stat(cuda.nvcc)]
    parts += [f"{part} {_stat(part.library)}" for part in cuda.parts.values()]
    parts += [file.read_text() for file in sorted(_SOURCES.iterdir())]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def _stat(path: Path) -> str:
    status = path.stat()
    return f"{path} {status.st_size} {int(status.st_mtime)}"


def prepare(cuda: Cuda, archs: Sequence[int], home: Path) -> Settings:
    """Settings with which Jittor starts on `cuda`; makes the folder that stands in for it in `home`, if one has to.

    `home` must be used for one fingerprint only. Raises OSError where it can't be written.
    """
    environment = {
        "nvcc_path": str(cuda.nvcc),
        "use_cutt": "0",  # Jittor would download it, for transpositions that it also has an operator of its own for
        "use_cutlass": "0",  # would be downloaded, and is used for nothing here
        "use_nccl": "1" if "nccl" in cuda.parts else "0",
    }
    flag = ""
    standing_in = overlays(cuda, archs)
    if standing_in:
        folder = home / _NAME
        if not folder.is_dir():
            _make(folder, cuda, archs)
        environment["nvcc_path"] = str(folder / "bin" / "nvcc")
        if cuda.version >= (13, 0):
            flag = f' -iquote"{folder}/quoted"'  # in one word: Jittor takes others for files to compile
    if "nccl" in cuda.parts:
        nccl = cuda.parts["nccl"]
        environment["nccl_include_path"] = str(folder / "include" if standing_in else nccl.include)
        environment["nccl_lib_path"] = str(folder / "lib64" if standing_in else nccl.library.parent)
    return Settings(environment, flag, tuple(_preload(cuda)))


def without_our_flags(cc_flags: str) -> str:
    """What a user set; a parent process of ours may have added to it."""
    return _OUR_FLAG.sub("", cc_flags)


def _not_where_jittor_looks(cuda: Cuda) -> list[str]:
    """Names of parts that Jittor, left alone, would miss."""
    root = cuda.root
    includes = (root / "include", root / f"targets/{_MACHINE}-linux/include", _SYSTEM / "include")
    folders = (root / "lib64", root / f"targets/{_MACHINE}-linux/lib", _SYSTEM / f"lib/{_MACHINE}-linux-gnu")
    strays = []
    for part in cuda.parts.values():
        if part.name in ("nvJitLink", "nvrtc"):
            continue  # Jittor never looks for them itself
        if part.name == "nccl":
            fits = (part.library.parent / "libnccl.so").is_file()  # its folders are given to Jittor
        elif part.name == "cudart":
            fits = (root / "lib64/libcudart.so").is_file() and part.include == root / "include"
        else:
            fits = any((folder / f"lib{part.name}.so").is_file() for folder in (*folders, _SYSTEM / "lib"))
            fits = fits and part.include in includes
        if not fits:
            strays.append(part.name)
    return strays


def _has_npp(cuda: Cuda) -> bool:
    return (cuda.parts["cudart"].include / "npp.h").is_file()


def _preload(cuda: Cuda) -> list[Path]:
    """Libraries, each after what it needs; by their real places, beside which they look for more."""
    files = []
    for part in cuda.parts.values():
        if part.name == "nccl":
            continue  # ranks alone need it; Jittor loads it there
        files.append(part.library)
        if part.name == "cudnn" and part.major >= 9:
            files += [file for name in _CUDNN_9_LIBRARIES if (file := _of_cudnn(part, name)).is_file()]
    return files


def _of_cudnn(cudnn: Part, name: str) -> Path:
    return cudnn.library.with_name(f"libcudnn_{name}{cudnn.library.name.removeprefix('libcudnn')}")


def _make(folder: Path, cuda: Cuda, archs: Sequence[int]) -> None:
    """Under another name first, so that other processes see all of it or nothing."""
    clear_leftovers(folder.parent)
    new = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}{TEMPORARY_SUFFIX}")
    for name in ("bin", "include", "lib64", "quoted"):
        (new / name).mkdir(parents=True)
    held = os.open(new, os.O_RDONLY)
    hold(held)
    for part in cuda.parts.values():
        _link_headers(new / "include", part)
        _link_libraries(new / "lib64", part)
    if cuda.version >= (13, 0):
        shutil.copyfile(_SOURCES / "helper_cuda.h", new / "quoted" / "helper_cuda.h")
    if not _has_npp(cuda):
        shutil.copyfile(_SOURCES / "npp.h", new / "include" / "npp.h")
    cudnn = cuda.parts["cudnn"]
    if cudnn.major >= 9:
        header = new / "include" / "cudnn.h"
        header.unlink()
        header.write_text(f'#include "{cudnn.include}/cudnn.h"\n' + (_SOURCES / "cudnn_rnn.h").read_text())
        for name, of_nine in _CUDNN_8_NAMES.items():
            (new / "lib64" / name).symlink_to(_of_cudnn(cudnn, of_nine))
    nvcc = new / "bin" / "nvcc"
    nvcc.write_text(_nvcc_script(folder, cuda, archs))
    nvcc.chmod(0o755)
    try:
        new.rename(folder)
    except OSError:
        shutil.rmtree(new, ignore_errors=True)  # another process was first
        if not folder.is_dir():
            raise
    finally:
        os.close(held)


def _link_headers(include: Path, part: Part) -> None:
    """All that lies beside the part's header, except where that is everybody's folder."""
    shared = part.include.is_relative_to(_SYSTEM / "include")
    names = {"cudart": "cu*", "cublas": "cublas*", "cublasLt": "cublas*"}.get(part.name, f"{part.name}*")
    for header in part.include.glob(names if shared else "*"):
        if not (include / header.name).exists():
            (include / header.name).symlink_to(header)


def _link_libraries(lib64: Path, part: Part) -> None:
    """Under their own names, by which they look for each other, and the part under the name to link with.

    nvcc links with cudadevrt, too, which that of the wheels does not find by itself.
    """
    beside = part.library.parent
    of_nvcc = list(beside.glob("libcudadevrt.a")) if part.name == "cudart" else []
    for library in [*beside.glob(f"lib{part.name}*.so*"), *of_nvcc]:
        if not (lib64 / library.name).exists():
            (lib64 / library.name).symlink_to(library)
    to_link_with = lib64 / f"lib{part.name}.so"
    if not to_link_with.exists():
        to_link_with.symlink_to(part.library)


def _nvcc_script(folder: Path, cuda: Cuda, archs: Sequence[int]) -> str:
    """Stands in for nvcc, where a link would lead Jittor to the folder of the real one."""
    cases = ['    -includecstdint | -Wno-template-body) set -- "$@" -Xcompiler "$argument" ;;']
    first = ""
    if cuda.version >= (13, 0):
        cases += ["    -iquote*) ;;", '    -std=c++14) set -- "$@" -std=c++17 ;;']
        first = f" -I{shlex.quote(str(folder / 'quoted'))}"  # nvcc does not know -iquote
    if any(arch > _NEWEST_ARCH for arch in archs):
        codes = " ".join(_codes([arch for arch in archs if arch >= _NEWEST_ARCH], cuda.version))
        cases.append(f'    -code=sm_{_NEWEST_ARCH}) set -- "$@" {codes} ;;')
    cases.append('    *) set -- "$@" "$argument" ;;')
    return "\n".join(
        [
            "#!/bin/sh",
            "for argument do",
            "    shift",
            '    case "$argument" in',
            *cases,
            "    esac",
            "done",
            f'exec {shlex.quote(str(cuda.nvcc.absolute()))}{first} "$@"',
            "",
        ]
    )


def _codes(archs: Sequence[int], version: tuple[int, int]) -> list[str]:
    """nvcc's -code for each GPU: its own, or a form that the driver translates if this nvcc doesn't know that."""
    known = [arch for arch in archs if arch <= _NEWEST_ARCH or _FIRST_NVCC.get(arch, (99, 0)) <= version]
    codes = [f"-code=sm_{arch}" for arch in sorted(set(known))]
    return codes + ([f"-code=compute_{_NEWEST_ARCH}"] if len(known) < len(archs) else [])
