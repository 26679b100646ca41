"""Two GPUs on paper: all of CUDA's compiler and headers, but libraries that compute nothing.

Jittor starts on it as on a real one, compiles every operator with the real nvcc, and calls every function of CUDA's
libraries that it would call; each is there exactly if the real library has it. Only numbers come out as zeros. So
this shows what compiles and links and in which order things are called, without a GPU, and nothing about results.

python tests/paper_gpu/__init__.py FOLDER    # prints the environment that puts a process on it
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from ecgan.runtime import cuda
from ecgan.runtime.toolchain import find_compiler

_SOURCES = Path(__file__).parent
_DRIVER, _GPUS = 13000, 2
#: Of cuDNN 9 beside the one that the part is known by.
_MORE_OF_CUDNN = ("graph", "ops", "cnn", "adv")


def build(folder: Path) -> dict[str, str]:
    """Makes one in `folder` from the CUDA that `cuda.find` finds; returns the environment to run in.

    Raises LookupError if there is no complete CUDA.
    """
    real = cuda.find()
    if real is None or real.missing:
        raise LookupError(real.lack if real else "no CUDA")
    for name in ("bin", "include", "lib64", "driver"):
        (folder / name).mkdir(parents=True)
    for part in real.parts.values():
        for header in part.include.glob("*"):
            if not (folder / "include" / header.name).exists():
                (folder / "include" / header.name).symlink_to(header)
    for name, part in real.parts.items():
        sources = {"cudart": "cudart.cc"}.get(name, "libraries.cc")
        _imitate(part.library, folder, _SOURCES / sources, f"-DOF_{name}", f"-DGPUS={_GPUS}")
    cudnn = real.parts["cudnn"].library
    for name in _MORE_OF_CUDNN:
        _imitate(cudnn.with_name(cudnn.name.replace("libcudnn", f"libcudnn_{name}")), folder, None)
    (folder / "lib64/libcudadevrt.a").symlink_to(real.parts["cudart"].library.with_name("libcudadevrt.a"))
    _drive(folder / "driver")
    script = folder / "bin/nvcc"
    script.write_text(f'#!/bin/sh\nexec "{real.nvcc.absolute()}" "$@"\n')
    script.chmod(0o755)
    return {"CUDA_HOME": str(folder), "LD_LIBRARY_PATH": str(folder / "driver")}


def _imitate(library: Path, folder: Path, sources: Path | None, *flags: str) -> None:
    """Makes a library that has what `sources` define, and all other functions of `library` as ones that return 0."""
    written = folder / "written.o"
    objects = []
    if sources is not None:
        _compile(["-c", *flags, f"-I{folder}/include", str(sources), "-o", str(written)])
        objects = [str(written)]
    functions = sorted(_functions(library) - (_functions(written, dynamic=False) if objects else set()))
    (folder / "rest.c").write_text("".join(f"long {name}(void) {{ return 0; }}\n" for name in functions))
    _compile(["-x", "c", "-c", "-w", "-fno-builtin", f"{folder}/rest.c", "-o", f"{folder}/rest.o"])
    target = folder / "lib64" / library.name
    _compile(["-shared", *objects, f"{folder}/rest.o", f"-Wl,-soname,{library.name}", "-o", str(target)])


def _functions(library: Path, dynamic: bool = True) -> set[str]:
    """Names of the functions that it offers."""
    command = ["nm", "--defined-only", "--extern-only", *(["--dynamic"] if dynamic else []), str(library)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    fields = [line.split() for line in lines]
    return {field[2].partition("@")[0] for field in fields if len(field) == 3 and field[1] in "TWi"}


def _compile(arguments: list[str]) -> None:
    compiler = find_compiler()
    assert compiler is not None
    subprocess.run([compiler, "-fPIC", *arguments], check=True)


def _drive(folder: Path) -> None:
    """A driver with such GPUs, under both names that it is asked for by."""
    from made_up_cuda import driver

    driver(folder, version=_DRIVER, gpus=_GPUS)
    (folder / "libcuda.so").symlink_to("libcuda.so.1")


if __name__ == "__main__":
    sys.path.insert(0, str(_SOURCES.parent))
    print(*(f"export {name}={value!r}" for name, value in build(Path(sys.argv[1])).items()), sep="\n")
