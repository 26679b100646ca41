"""Finds CUDA as users have it: a toolkit, conda's packages or NVIDIA's wheels; cuDNN and NCCL wherever they are.

Nothing is run or loaded: files and the version numbers in headers say all. A part counts as found where its header
and its library are in the same tree, so that they belong together.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

#: Where distributions put libraries and headers.
_SYSTEM = Path("/usr")
_DEFAULT_TOOLKIT = Path("/usr/local/cuda")

_MACHINE = platform.machine()
_INCLUDES = ("include", f"include/{_MACHINE}-linux-gnu", f"targets/{_MACHINE}-linux/include")
_LIBRARIES = ("lib64", "lib", f"targets/{_MACHINE}-linux/lib", f"lib/{_MACHINE}-linux-gnu")


@dataclass(frozen=True)
class _Kind:
    """How to recognise a part. `versions`: the header that has its version, and the macros' names in it."""

    name: str
    header: str
    versions: tuple[str, ...]
    required: bool = True
    #: Environment variables that name its folder.
    variables: tuple[str, ...] = ()


def _macros(prefix: str, last: str = "PATCH") -> tuple[str, ...]:
    return tuple(f"{prefix}_{each}" for each in ("MAJOR", "MINOR", last))


_RUNTIME = _Kind("cudart", "cuda_runtime_api.h", ("cuda_runtime_api.h", "CUDART_VERSION"))
#: In the order in which they can be loaded: what another one needs comes before it.
_KINDS = (
    _RUNTIME,
    _Kind("nvJitLink", "nvJitLink.h", (), required=False),
    _Kind("nvrtc", "nvrtc.h", (), required=False),
    _Kind("cublasLt", "cublasLt.h", ("cublas_api.h", *_macros("CUBLAS_VER"))),
    _Kind("cublas", "cublas_v2.h", ("cublas_api.h", *_macros("CUBLAS_VER"))),
    _Kind("curand", "curand.h", ("curand.h", *_macros("CURAND_VER"))),
    _Kind("cufft", "cufft.h", ("cufft.h", *_macros("CUFFT_VER"))),
    _Kind("cusparse", "cusparse.h", ("cusparse.h", *_macros("CUSPARSE_VER"))),
    _Kind(
        "cudnn",
        "cudnn.h",
        ("cudnn_version.h", *_macros("CUDNN", "PATCHLEVEL")),
        variables=("CUDNN_PATH", "CUDNN_HOME", "CUDNN_ROOT"),
    ),
    _Kind("nccl", "nccl.h", ("nccl.h", *_macros("NCCL")), required=False, variables=("NCCL_HOME", "NCCL_ROOT")),
)


@dataclass(frozen=True)
class Part:
    """A library of CUDA: its `version` after its header ("" if that does not say), header's folder, library's file."""

    name: str
    version: str
    include: Path
    library: Path

    @property
    def major(self) -> int:
        return int(self.version.partition(".")[0] or 0)


@dataclass(frozen=True)
class Cuda:
    """What belongs to one nvcc. `source`: what led to it. `parts` by name; `missing`: names of those not found.

    `version` is (0, 0) if the headers of the runtime are missing, too.
    """

    source: str
    nvcc: Path
    version: tuple[int, int]
    parts: dict[str, Part]
    missing: tuple[str, ...]

    @property
    def root(self) -> Path:
        """The folder in which Jittor would look: above that of nvcc."""
        return self.nvcc.resolve().parents[1]

    @property
    def lack(self) -> str:
        """What keeps this CUDA from being used, in words; empty if nothing does."""
        return f"CUDA at {self.root} lacks {', '.join(self.missing)}" if self.missing else ""


def find() -> Cuda | None:
    """The CUDA that lacks least, the first of several: of CUDA_HOME, the PATH, wheels, conda, /usr/local/cuda."""
    found = [_with_parts(source, nvcc) for source, nvcc in _compilers()]
    return min(found, key=lambda cuda: len(cuda.missing), default=None)


def newest_gcc(cuda: Cuda) -> int | None:
    """The newest major version of GCC that this CUDA's headers accept; None if they don't say."""
    runtime = cuda.parts.get("cudart")
    text = _read(runtime.include / "crt" / "host_config.h") if runtime else ""
    limit = re.search(r"^#if __GNUC__ > (\d+)", text, re.MULTILINE)
    return int(limit[1]) if limit else None


def _compilers() -> Iterator[tuple[str, Path]]:
    """Each nvcc, once, with what led to it."""
    seen = set()
    for source, path in _places():
        if path.is_file() and os.access(path, os.X_OK) and path.resolve() not in seen:
            seen.add(path.resolve())
            yield source, path


def _places() -> Iterator[tuple[str, Path]]:
    for variable in ("CUDA_HOME", "CUDA_PATH"):
        if os.environ.get(variable):
            yield variable, Path(os.environ[variable], "bin/nvcc")
    on_path = shutil.which("nvcc")
    if on_path:
        yield "PATH", Path(on_path)
    for site in _site_packages():
        for folder in sorted(site.glob("nvidia/cu[0-9]*"), reverse=True):
            yield "wheels", folder / "bin/nvcc"
    if os.environ.get("CONDA_PREFIX"):
        yield "conda", Path(os.environ["CONDA_PREFIX"], "bin/nvcc")
    yield str(_DEFAULT_TOOLKIT), _DEFAULT_TOOLKIT / "bin/nvcc"


def _with_parts(source: str, nvcc: Path) -> Cuda:
    root = nvcc.resolve().parents[1]
    runtime = _part(_RUNTIME, [root])
    major, minor = (int(number) for number in runtime.version.split(".")) if runtime else (0, 0)
    roots = [root, *_wheels(major)]
    if os.environ.get("CONDA_PREFIX"):
        roots.append(Path(os.environ["CONDA_PREFIX"]))
    roots.append(_SYSTEM)
    found = {}
    for kind in _KINDS:
        own = [Path(os.environ[name]) for name in kind.variables if os.environ.get(name)]
        part = _part(kind, own + roots) if runtime else None
        if part is not None:
            found[kind.name] = part
    missing = tuple(kind.name for kind in _KINDS if kind.required and kind.name not in found)
    return Cuda(source, nvcc, (major, minor), found, missing)


def _release(version: str) -> tuple[int, int]:
    """Of CUDART_VERSION, which is 1000 * major + 10 * minor."""
    return int(version or 0) // 1000, int(version or 0) % 1000 // 10


def _wheels(major: int) -> list[Path]:
    """Folders of NVIDIA's wheels for CUDA `major`: one for all parts since 13, one for each part before, and for cuDNN.

    Wheels of the same part for several CUDAs share a folder; whose it is, their metadata tell.
    """
    found = []
    for site in _site_packages():
        together = site / "nvidia" / f"cu{major}"
        found += [together] if together.is_dir() else []
        for folder in sorted(site.glob("nvidia/*")):
            if any(site.glob(f"nvidia_{folder.name}_cu{major}-*.dist-info")):
                found.append(folder)
    return found


def _site_packages() -> list[Path]:
    paths = sysconfig.get_paths()
    return [Path(path) for path in dict.fromkeys((paths["purelib"], paths["platlib"]))]


def _part(kind: _Kind, roots: list[Path]) -> Part | None:
    for root in roots:
        include = next((root / each for each in _INCLUDES if (root / each / kind.header).is_file()), None)
        if include is None:
            continue
        version = _version(include, *kind.versions) if kind.versions else ""
        if kind is _RUNTIME:
            version = "{}.{}".format(*_release(version))
        library = _library(root, kind.name, version.partition(".")[0])
        if library is not None:
            return Part(kind.name, version, include, library)
    return None


def _library(root: Path, name: str, major: str) -> Path | None:
    """The library's file below `root`: of the header's major version if there is one, else the one to link with."""
    for folder in (root / each for each in _LIBRARIES):
        of_version = folder / f"lib{name}.so.{major}"
        if of_version.is_file():
            return of_version
        files = sorted(folder.glob(f"lib{name}.so*"), key=lambda path: len(path.name))
        if files:
            return files[0]
    return None


def _version(include: Path, header: str, *macros: str) -> str:
    text = _read(include / header)
    numbers = [re.search(rf"^#define\s+{macro}\s+(\d+)", text, re.MULTILINE) for macro in macros]
    return ".".join(number[1] for number in numbers if number)


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
