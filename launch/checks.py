"""What this machine has and lacks: small checks, each of which returns a row of the doctor's table.

Only `warm` changes anything: it compiles. The groups of checks never raise, and a program that is asked
gets `PATIENCE` seconds to answer.
"""

from __future__ import annotations

import ctypes
import dataclasses
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
from collections import Counter
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
from slurm.ranks import find_mpi

State = Literal["ok", "missing", "note"]

#: Seconds after which a program that was asked counts as hung.
PATIENCE = 10

_GIB = 1 << 30
#: What compiled code may take in the cache folder; for the CPU alone it is a fifth of this.
_CACHE_SPACE = 1 * _GIB
#: Peak of training the original's code with its default model on the CPU.
_TRAINING_MEMORY = 7.3e9
_JITTOR = "1.3.11"
#: What Jittor can do by itself; said where something newer is found.
_CUDA_LIMIT = f"Jittor {_JITTOR} itself supports CUDA up to 12, with cuDNN 8"
_NEWEST_CUDA, _CUDNN = 12, 8
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
    return [_guarded("missing", check) for check in checks]


def cuda_parts(device: runtime.Device) -> list[Row]:
    """GPU and CUDA: optional, unless `device` is "cuda"."""
    rows = [_guarded("note", check) for check in (gpus, cuda_toolkit, cudnn)]
    if device != "cuda":
        return rows
    return [dataclasses.replace(row, state="missing") if row.state == "note" else row for row in rows]


def mpi_parts() -> list[Row]:
    """What training on several ranks needs."""
    return [_guarded("note", check, stops_ranks=True) for check in (mpirun, mpicc, mpi4py, slots)]


def slurm_parts() -> list[Row]:
    """Whether Slurm answers, and if so what it offers."""
    first = _guarded("note", slurm)
    return [first, *(_guarded("note", check) for check in (pmix, sacct) if first.state == "ok")]


def room() -> list[Row]:
    """Memory and disk."""
    return [_guarded("note", check) for check in (memory, disk_here, disk_of_cache)]


def _guarded(failing: State, check: Callable[[], Row], stops_ranks: bool = False) -> Row:
    """The check's row, or a `failing` one if the check itself fails: one oddity must not hide all other rows."""
    try:
        return check()
    except Exception as error:
        name = check.__name__.replace("_", " ")
        return Row(name, failing, f"can't tell: {type(error).__name__}: {error}", stops_ranks=stops_ranks)


def _ask(command: Sequence[str]) -> tuple[bool, str]:
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


def _first_line(text: str) -> str:
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
    works, answer = _ask([path, "--version"])
    return Row(name, "ok", f"{path}, {_first_line(answer)}") if works else Row(name, "missing", answer, how)


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
    works, answer = _ask([path, "--includes"])
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


# GPU and CUDA


def gpus() -> Row:
    """GPUs that nvidia-smi lists, and whether the driver offers them to this process."""
    offered = runtime.gpu_count()
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
    works, answer = _ask([path, "--query-gpu=driver_version,name,memory.total", "--format=csv,noheader"])
    fields = [tuple(field.strip() for field in line.split(",")) for line in answer.splitlines()]
    if not works or not fields or any(len(each) != 3 for each in fields):
        return "", _first_line(answer) or "nvidia-smi lists none"
    return f"driver {fields[0][0]}, {_counted([f'{name} ({memory})' for _, name, memory in fields])}", ""


def _ask_driver(count: int) -> str:
    """Driver and GPUs with their memory, from the driver's library itself; it has been initialised."""
    driver = ctypes.CDLL("libcuda.so.1")
    version, name, memory = ctypes.c_int(0), ctypes.create_string_buffer(256), ctypes.c_size_t(0)
    driver.cuDriverGetVersion(ctypes.byref(version))
    names = []
    for index in range(count):
        device = ctypes.c_int(0)
        driver.cuDeviceGet(ctypes.byref(device), index)
        driver.cuDeviceGetName(name, len(name), device)
        driver.cuDeviceTotalMem_v2(ctypes.byref(memory), device)
        names.append(f"{name.value.decode(errors='replace')} ({memory.value >> 20} MiB)")
    return f"driver for CUDA up to {version.value // 1000}.{version.value % 1000 // 10}, {_counted(names)}"


def _counted(names: Sequence[str]) -> str:
    return ", ".join(f"{count} x {name}" for name, count in Counter(names).items())


def cuda_toolkit() -> Row:
    """nvcc, and the CUDA runtime where Jittor looks for it: beside nvcc."""
    name, how = "CUDA toolkit", "needed with a GPU only: CUDA 11 or 12, its nvcc on the PATH"
    nvcc = runtime.find_nvcc()
    if nvcc is None:
        return Row(name, "note", "no nvcc on the PATH or in /usr/local/cuda/bin", how)
    works, answer = _ask([nvcc, "--version"])
    release = re.search(r"release (\d+)\.(\d+)", answer)
    if not works or release is None:
        return Row(name, "note", answer if works else f"{nvcc}: {answer}", how)
    found, folder = f"{release[1]}.{release[2]}, {nvcc}", _cuda_libraries(nvcc)
    if not (folder / "libcudart.so").exists():
        how = "put the toolkit's own bin folder first on the PATH: this nvcc is a wrapper, or the runtime is missing"
        return Row(name, "note", f"{found}, but no libcudart.so in {folder}, where Jittor looks", how)
    return Row(name, "ok", found, _CUDA_LIMIT if int(release[1]) > _NEWEST_CUDA else "")


def _cuda_libraries(nvcc: str) -> Path:
    """The folder in which Jittor expects the libraries of the CUDA to which `nvcc` belongs."""
    if nvcc == "/usr/bin/nvcc":  # a distribution's package, for which Jittor makes an exception
        return Path(f"/usr/lib/{platform.machine()}-linux-gnu")
    return Path(nvcc).resolve().parent.parent / "lib64"


def cudnn() -> Row:
    """cuDNN beside nvcc, among the system's libraries or in NVIDIA's wheels; file names tell its version."""
    libraries = {path.resolve() for path in _cudnn_files()}
    if not libraries:
        how = f"needed with a GPU only: cuDNN {_CUDNN}, its files in CUDA's folders"
        return Row("cuDNN", "note", "none found", how)
    versions = {path.name.partition(".so.")[2] or "of unknown version": path.parent for path in sorted(libraries)}
    found = "; ".join(f"{version} in {folder}" for version, folder in versions.items())
    fits = any(version.partition(".")[0] == str(_CUDNN) for version in versions)
    return Row("cuDNN", "ok", found, "" if fits else _CUDA_LIMIT)


def _cudnn_files() -> list[Path]:
    folders = []
    nvcc = runtime.find_nvcc()
    if nvcc is not None:
        home = Path(nvcc).resolve().parent.parent
        folders += [_cuda_libraries(nvcc), home / "lib", *home.glob("targets/*/lib")]
    for site in {sysconfig.get_paths()["purelib"], sysconfig.get_paths()["platlib"]}:
        folders += Path(site).glob("nvidia/*/lib")
    files = [path for folder in folders for path in folder.glob("libcudnn.so*")]
    ldconfig = shutil.which("ldconfig") or shutil.which("/sbin/ldconfig")  # users rarely have /sbin on the PATH
    if ldconfig is not None:
        _, answer = _ask([ldconfig, "-p"])
        files += [Path(path) for path in re.findall(r"^\s*libcudnn\.so\S* .*=> (\S+)$", answer, re.MULTILINE)]
    return files


# MPI


def mpirun() -> Row:
    path = find_mpi("mpirun")
    if path is None:
        return Row("mpirun", "note", "none", _OPEN_MPI, stops_ranks=True)
    works, answer = _ask([path, "--version"])
    if not works:
        return Row("mpirun", "note", answer, _OPEN_MPI, stops_ranks=True)
    found = f"{path}, {_first_line(answer)}"
    if "Open MPI" not in answer and "OpenRTE" not in answer:
        return Row("mpirun", "note", f"{found}: Jittor works with Open MPI only", _OPEN_MPI, stops_ranks=True)
    return Row("mpirun", "ok", found)


def mpicc() -> Row:
    """Jittor compiles its MPI part with it."""
    path = os.environ.get("mpicc_path") or find_mpi("mpicc")
    if path is None:
        return Row("mpicc", "note", "none", _OPEN_MPI, stops_ranks=True)
    works, answer = _ask([path, "--showme:version"])
    if not works:
        return Row("mpicc", "note", f"{path}: {answer}", _OPEN_MPI, stops_ranks=True)
    return Row("mpicc", "ok", answer if answer.startswith(path) else f"{path}, {answer}")


def mpi4py() -> Row:
    """Loaded in a child, without MPI_Init: a broken MPI ends the process that loads it."""
    version = _version("mpi4py")
    if version is None:
        return Row("mpi4py", "note", "not installed", _REINSTALL, stops_ranks=True)
    works, answer = _ask([sys.executable, "-c", _LOAD_MPI])
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
    works, answer = _ask([path, "--noheader", "--allocations"]) if path else (False, "no sacct on the PATH")
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
