"""What this machine has and lacks: small checks, each of which returns a row of the doctor's table.

Only `warm` changes anything: it compiles. The groups of checks never raise, and a program that is asked
gets `PATIENCE` seconds to answer.
"""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from ecgan import runtime
from ecgan.config import ModelConfig
from ecgan.errors import UserError
from ecgan.memory import painting_memory
from ecgan.warm import warm_painting
from slurm import controller, resources
from slurm.starters import find_mpi

State = Literal["ok", "missing", "note"]

#: Seconds after which a program that was asked counts as hung.
PATIENCE = 10

_GIB = 1 << 30
#: What compiled code may take in the cache folder; for the CPU alone it is a fifth of this.
_CACHE_SPACE = 1 * _GIB
#: Peak of training the original's code with its default model on the CPU.
_TRAINING_MEMORY = 7.3e9
_JITTOR = "1.3.11"
#: From the oldest that this project is written for to the last that NumPy 1 knows, which Jittor needs.
_PYTHONS = ((3, 10), (3, 12))

_REINSTALL = f"install this project anew: {sys.executable} -m pip install -e . -c constraints.txt"
_OPEN_MPI = f"Open MPI, which this project brings; {_REINSTALL}"

_START_JITTOR = """
import sys
from ecgan import runtime
from ecgan.errors import UserError
try:
    print(runtime.start(sys.argv[1]))
except UserError as error:
    print(error)
    sys.exit(1)
"""
_LOAD_MPI = """
import mpi4py
mpi4py.rc.initialize = False
from mpi4py import MPI
print(MPI.Get_library_version())
"""


@dataclass(frozen=True)
class Row:
    """What a check found. "missing": nothing runs without it; "note": optional, or worth knowing.

    `how` says how to get what is not there. `stops_ranks`: without it training can't run on several ranks.
    """

    name: str
    state: State
    found: str
    how: str = ""
    stops_ranks: bool = False


def requirements() -> list[Row]:
    """What Jittor needs wherever it runs."""
    checks = (compiler, python, python_headers, python_config, jittor, onednn, cache_folder)
    return [guarded("missing", check) for check in checks]


def mpi_parts() -> list[Row]:
    """What training on several ranks needs."""
    return [guarded("note", check, stops_ranks=True) for check in (mpirun, mpicc, mpi4py, slots)]


def slurm_parts() -> list[Row]:
    """Whether Slurm answers, and if so what it offers."""
    first = guarded("note", slurm)
    return [first, *(guarded("note", check) for check in (pmix, sacct) if first.state == "ok")]


def room() -> list[Row]:
    """Memory and disk."""
    return [guarded("note", check) for check in (memory, disk_here, disk_of_cache)]


def guarded(failing: State, check: Callable[[], Row], stops_ranks: bool = False, name: str = "") -> Row:
    """The check's row, or a `failing` one if the check itself fails: one oddity must not hide all other rows.

    `name` of that row is the check's own if it is not given.
    """
    try:
        return check()
    except Exception as error:
        name = name or check.__name__.replace("_", " ")
        return Row(name, failing, f"can't tell: {type(error).__name__}: {error}", stops_ranks=stops_ranks)


def ask(command: Sequence[str]) -> tuple[bool, str]:
    """Whether `command` succeeded, and its output or why it did not."""
    program = Path(command[0]).name
    try:
        answer = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=PATIENCE
        )
    except subprocess.TimeoutExpired:
        return False, f"{program} did not answer within {PATIENCE} s"
    except OSError as error:
        return False, f"{program} can't be started ({error.strerror})"
    if answer.returncode:
        lines = (answer.stderr.strip() or answer.stdout.strip()).splitlines()
        return False, f"{program} failed: {lines[-1][:200] if lines else f'status {answer.returncode}'}"
    return True, answer.stdout.strip()


def first_line(text: str) -> str:
    return text.partition("\n")[0].strip()


def _version(distribution: str) -> str | None:
    """The version of an installed Python package."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


# Required: compiler, Python, Jittor, oneDNN, a place for compiled code


def compiler() -> Row:
    name = "C++ compiler"
    how = "install g++ (Debian: apt install g++; conda: gxx_linux-64; a cluster: module load gcc), or set cc_path"
    wanted = runtime.find_compiler()
    if wanted is None:
        return Row(name, "missing", "no g++ on the PATH", how)
    path = shutil.which(wanted)
    if path is None:
        return Row(name, "missing", f"cc_path is {wanted}, which is no program", how)
    works, answer = ask([path, "--version"])
    return Row(name, "ok", f"{path}, {first_line(answer)}") if works else Row(name, "missing", answer, how)


def python() -> Row:
    found = f"{platform.python_version()}, {sys.executable}"
    oldest, newest = _PYTHONS
    if oldest <= sys.version_info[:2] <= newest:
        return Row("Python", "ok", found)
    return Row("Python", "missing", found, f"use Python {oldest[0]}.{oldest[1]} to {newest[0]}.{newest[1]}")


def _how_to_get_headers() -> str:
    version = f"python3.{sys.version_info.minor}"
    return f"install {version}-dev (Debian; elsewhere {version}-devel), or use a Python that has its headers"


def python_headers() -> Row:
    header = runtime.find_python_headers()
    if header is None:
        folder = sysconfig.get_paths()["include"]
        return Row("Python headers", "missing", f"no Python.h in {folder}", _how_to_get_headers())
    return Row("Python headers", "ok", str(header))


def python_config() -> Row:
    name = f"python3.{sys.version_info.minor}-config"
    path = runtime.find_python_config()
    if path is None:
        return Row(name, "missing", "neither beside Python nor on the PATH", _how_to_get_headers())
    works, answer = ask([path, "--includes"])
    return Row(name, "ok", path) if works else Row(name, "missing", answer, _how_to_get_headers())


def jittor() -> Row:
    version = _version("jittor")
    if version is None:
        return Row("Jittor", "missing", "not installed", _REINSTALL)
    if version != _JITTOR and not version.startswith(f"{_JITTOR}."):
        return Row("Jittor", "missing", f"{version}; this project is made for {_JITTOR}", _REINSTALL)
    return Row("Jittor", "ok", version)


def onednn() -> Row:
    found = runtime.find_onednn()
    if found is None:
        return Row("oneDNN", "missing", "no oneDNN wheels in this environment", _REINSTALL)
    _, library = found
    try:
        ctypes.CDLL(str(library))
    except OSError as error:
        return Row("oneDNN", "missing", str(error), "install the library that it names (Debian: apt install libgomp1)")
    return Row("oneDNN", "ok", f"{_version('onednn-cpu-gomp') or 'of unknown version'}, {library}")


def cache_folder() -> Row:
    """Compiled code is written here and loaded from here."""
    name, how = "cache folder", "set ECGAN_CACHE to a folder on a disk where you can write and run programs"
    folder = runtime.cache_dir()
    try:
        existing = _nearest(folder)
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        return Row(name, "missing", f"{folder} is not writable ({error.strerror})", how)
    if os.statvfs(existing).f_flag & os.ST_NOEXEC:
        return Row(name, "missing", f"{folder} is on a disk whose files can't be run (noexec)", how)
    return Row(name, "ok", f"{folder}, writable")


def _nearest(folder: Path) -> Path:
    """`folder`, or the folder above it in which it would have to be made."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder


# Compiled code


def compiled(device: str) -> Row:
    """Whether Jittor's core is compiled for `device`, "cpu" or "cuda", on this machine."""
    name = "compiled Jittor"
    try:
        if runtime.is_compiled(device):
            return Row(name, "ok", f"for {device} on this machine")
    except (metadata.PackageNotFoundError, OSError, RuntimeError) as error:  # no Jittor, or no cache folder
        return Row(name, "note", f"can't tell: {error}", "see the rows above")
    how = "the first run compiles it (about 3 minutes on 2 cores, once); --warm does it now"
    return Row(name, "note", f"not yet for {device} on this machine", how)


def warm(device: runtime.Device, model: ModelConfig | None) -> tuple[Row, str | None]:
    """Compiles Jittor's core and, given a model, its operators, in child processes that show their progress.

    Returns a row, and the device that Jittor runs on (it may fall back to the CPU) unless it does not start.
    """
    name = "warming up"
    status, output = _start_jittor(device)
    lines = output.strip().splitlines() or [f"Jittor's start-up ended with status {status}"]
    if status:
        return Row(name, "missing", lines[-1], f"the logs are in {runtime.cache_dir() / 'logs'}"), None
    used = lines[-1]
    if model is None:
        return Row(name, "ok", f"Jittor's core is compiled and starts on {used}"), used
    try:
        warm_painting(model, used)
    except UserError as error:
        return Row(name, "missing", str(error), f"the logs are in {runtime.cache_dir() / 'logs'}"), used
    return Row(name, "ok", f"Jittor's core and the model's operators are compiled for {used}"), used


def _start_jittor(device: str) -> tuple[int, str]:
    """Status and output of a process that starts Jittor; interrupted, it ends it with all its compilers."""
    command = [sys.executable, "-c", _START_JITTOR, device]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as child:
        try:
            output, _ = child.communicate()
        except BaseException:
            os.killpg(child.pid, signal.SIGKILL)
            raise
    return child.returncode, output


# MPI


def mpirun() -> Row:
    path = find_mpi("mpirun")
    if path is None:
        return Row("mpirun", "note", "none", _OPEN_MPI, stops_ranks=True)
    works, answer = ask([path, "--version"])
    if not works:
        return Row("mpirun", "note", answer, _OPEN_MPI, stops_ranks=True)
    found = f"{path}, {first_line(answer)}"
    if "Open MPI" not in answer and "OpenRTE" not in answer:
        return Row("mpirun", "note", f"{found}: Jittor works with Open MPI only", _OPEN_MPI, stops_ranks=True)
    return Row("mpirun", "ok", found)


def mpicc() -> Row:
    """Jittor compiles its MPI part with it."""
    path = os.environ.get("mpicc_path") or find_mpi("mpicc")
    if path is None:
        return Row("mpicc", "note", "none", _OPEN_MPI, stops_ranks=True)
    works, answer = ask([path, "--showme:version"])
    if not works:
        return Row("mpicc", "note", f"{path}: {answer}", _OPEN_MPI, stops_ranks=True)
    return Row("mpicc", "ok", answer if answer.startswith(path) else f"{path}, {answer}")


def mpi4py() -> Row:
    """Loaded in a child, without MPI_Init: a broken MPI ends the process that loads it."""
    version = _version("mpi4py")
    if version is None:
        return Row("mpi4py", "note", "not installed", _REINSTALL, stops_ranks=True)
    works, answer = ask([sys.executable, "-c", _LOAD_MPI])
    if not works:
        return Row("mpi4py", "note", f"{version}, but {answer}", _OPEN_MPI, stops_ranks=True)
    return Row("mpi4py", "ok", f"{version}, with {answer.partition(',')[0]}")


def slots() -> Row:
    count = resources.cores()
    return Row("cores for ranks", "ok", f"{count}: the cores of this process, which more ranks would share")


# Slurm


def slurm() -> Row:
    answers, found = controller.controller_answers()
    if answers:
        return Row("Slurm", "ok", found)
    return Row("Slurm", "note", found, "not needed on one machine; on a cluster, ask from a login node")


def pmix() -> Row:
    offered = controller.mpi_plugins()
    if any("pmix" in plugin for plugin in offered):
        return Row("srun --mpi=pmix", "ok", "offered")
    how = "several ranks under srun need Slurm's PMIx plugin, which the administrator installs"
    return Row("srun --mpi=pmix", "note", f"not offered, only {', '.join(offered) or 'nothing'}", how)


def sacct() -> Row:
    path = shutil.which("sacct")
    works, answer = ask([path, "--noheader", "--allocations"]) if path else (False, "no sacct on the PATH")
    return Row("sacct", "ok", "answers") if works else Row("sacct", "note", answer, "optional: nothing here needs it")


# Memory and disk


def _gib(size: float) -> str:
    return f"{size / _GIB:.1f} GiB"


def memory() -> Row:
    free, painting = resources.available_memory(), painting_memory(ModelConfig(), batch=1)
    found = f"{_gib(free)} free for this process; the default model needs {_gib(painting)} to generate on the CPU"
    found += f" and about {_gib(_TRAINING_MEMORY)} to train"
    if free >= _TRAINING_MEMORY:
        return Row("memory", "ok", found)
    how = "end other programs, or use a smaller model or another machine"
    return Row("memory", "note", found, how)


def disk_here() -> Row:
    return Row("disk here", "ok", f"{_gib(shutil.disk_usage(Path.cwd()).free)} free")


def disk_of_cache() -> Row:
    free = shutil.disk_usage(_nearest(runtime.cache_dir())).free
    if free >= _CACHE_SPACE:
        return Row("disk of the cache", "ok", f"{_gib(free)} free")
    how = f"compiled code may take {_gib(_CACHE_SPACE)}: make room, or set ECGAN_CACHE to a folder elsewhere"
    return Row("disk of the cache", "note", f"{_gib(free)} free", how)


# What follows


@dataclass(frozen=True)
class Verdict:
    """Whether `work` can run here; `reason` says on what, or why not."""

    work: str
    can_run: bool
    reason: str

    def __str__(self) -> str:
        return f"{self.work}: " + (f"can run here, {self.reason}" if self.can_run else f"can't run here: {self.reason}")


def verdicts(rows: Sequence[Row], where: str) -> tuple[Verdict, Verdict, Verdict]:
    """For generating, training in one process and training on several ranks. `where`: what they would run on."""
    missing = [row for row in rows if row.state == "missing"]
    return (
        _verdict("generating", missing, where),
        _verdict("training, one process", missing, where),
        _verdict("training, several ranks (MPI)", missing + [row for row in rows if row.stops_ranks], where),
    )


def _verdict(work: str, obstacles: Sequence[Row], where: str) -> Verdict:
    return Verdict(work, not obstacles, "; ".join(f"{row.name}: {row.found}" for row in obstacles) or where)
