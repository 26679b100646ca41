"""Programs that stand in for those which Jittor would run: what they do is steered, and they lie where commands by
which Jittor compiles are the same for each environment. What an environment has they find through its variables."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

from ecgan.files import whole_file
from ecgan.runtime import mpi

#: Of this process: its Python, its mpicc.
_PYTHON, _MPICC = "ECGAN_PYTHON", "ECGAN_MPICC"

#: An operator is compiled by `python asm_tuner.py --cc_path=COMPILER SOURCE FLAG...`, which compiles it with debugging
#: information, looks for marks in the source, changes marked instructions, and assembles. Without marks all that is
#: left is what the compiler does: the same instructions, for a third of the time.
_FOR_PYTHON = """#!/bin/sh
case "$1" in */asm_tuner.py)
    if ! grep -q "@begin" "$3"; then
        shift
        compiler="${{1#--cc_path=}}"
        shift
        exec "$compiler" "$@"
    fi
esac
# Jittor's helpers, which this may start, would write to the user's HOME.
export HOME={home} PYTHONPATH="${{1%/jittor/utils/*}}${{PYTHONPATH:+:$PYTHONPATH}}"
exec "${variable}" "$@"
"""

_FOR_MPICC = """#!/bin/sh
case "$1" in
--showme:compile) echo "-I{folder}/include -pthread" ;;
--showme:link) echo "-pthread -L{folder}/lib -lmpi" ;;
*) exec "${variable}" "$@" ;;
esac
"""


def python(home: Path) -> Path:
    """A stand-in for Python with which Jittor compiles operators. Raises OSError if it can't be written."""
    os.environ[_PYTHON] = sys.executable
    # Not `home / "python"`: versions before this one have a script there that finds its Python without the variable.
    folder = home / "stand-ins"
    folder.mkdir(exist_ok=True)
    return _script(folder / "python", _FOR_PYTHON.format(home=shlex.quote(str(home)), variable=_PYTHON))


def mpicc(home: Path) -> tuple[Path | None, tuple[Path, ...]]:
    """The mpicc that Jittor shall ask, if this environment has one, and the libraries to load before what it compiles.

    A stand-in, if its Open MPI lies in the environment, as the wheel and conda's package do. Raises OSError if that
    can't be written.
    """
    own = mpi.own_program("mpicc")
    headers, library = Path(sys.prefix) / "include", Path(sys.prefix) / "lib" / "libmpi.so.40"
    if own is None or not (headers / "mpi.h").is_file() or not library.is_file():
        return None if own is None else Path(own), ()
    folder = home / "mpi"
    folder.mkdir(exist_ok=True)
    link(folder / "include", headers)
    link(folder / "lib", library.parent)
    os.environ[_MPICC] = own
    return _script(folder / "mpicc", _FOR_MPICC.format(folder=folder, variable=_MPICC)), (library,)


def link(path: Path, target: Path) -> None:
    """A symbolic link, or the one that is there made to lead to `target`."""
    if not path.is_symlink() or Path(os.readlink(path)) != target:
        new = path.with_name(f".{path.name}.{os.getpid()}")
        new.symlink_to(target)
        new.replace(path)


def _script(path: Path, content: str) -> Path:
    if not path.is_file() or path.read_text() != content:
        with whole_file(path) as file:
            os.fchmod(file.fileno(), 0o755)
            file.write(content.encode())
    return path
