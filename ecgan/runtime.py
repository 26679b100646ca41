"""Starts Jittor: the only place that does.

Jittor compiles itself on first import and each operator when it first runs, looks for oneDNN on
the internet, takes over signals and `sys.exit`, and can end the process in the middle of its own
import. `start` prepares what it needs, lets one process compile while the others wait, and hands
back a Python that behaves. `from ecgan.runtime import jt` starts it with the defaults.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import platform
import re
import shlex
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from tqdm import tqdm

from ecgan import cuda
from ecgan.errors import UserError
from ecgan.files import exclusive_lock

Device = Literal["auto", "cuda", "cpu"]

jt: Any  # the module jittor, started on first use; see __getattr__
nn: Any  # jittor.nn

_started: str | None = None
#: What has to be loaded before Jittor looks for it, in this order.
_cuda_libraries: tuple[Path, ...] = ()

#: The folder, inside Jittor's home, in which Jittor looks for oneDNN before it downloads it.
_ONEDNN_FOLDER = Path(".cache/jittor/mkl/dnnl_lnx_2.2.0_cpu_gomp")

#: Parameters of mallopt(3).
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
_SIGNALS_JITTOR_TAKES = (signal.SIGINT, signal.SIGCHLD, signal.SIGQUIT)
_REBUILT = "jit_utils updated"
#: What Jittor prints while it compiles: files done and in all.
_PROGRESS = re.compile(rb"\((\d+)/(\d+)\)")


def __getattr__(name: str) -> Any:
    if name in ("jt", "nn"):
        start()
        return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def cache_dir() -> Path:
    """Where compiled code is kept: ECGAN_CACHE, else ecgan/ in the user's cache folder."""
    if os.environ.get("ECGAN_CACHE"):
        return Path(os.environ["ECGAN_CACHE"]).expanduser().absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "ecgan"


def start(device: Device = "auto", threads: int | None = None, parallel_compiler: bool = False) -> str:
    """Imports Jittor, compiling it first if need be, and returns the device in use: "cuda" or "cpu".

    `threads` bounds the CPU threads of this process (default: Jittor's, all cores); it only has an
    effect on the first call. `parallel_compiler` lets Jittor fork processes to compile operators:
    only for a process that does nothing but warm the cache, since they can outlive a killed parent.

    Raises UserError if something that Jittor needs is missing, or `device` is "cuda" and CUDA does
    not work.
    """
    global _started
    if _started is not None:
        if device not in ("auto", _started):
            raise UserError(f"Jittor already runs on {_started} in this process; it can't change to {device}")
        return _started
    chosen = choose_device(device)
    _check_requirements()
    if threads is not None:
        os.environ["OMP_NUM_THREADS"] = str(threads)
    # Threads that wait for each other spin by default, and where cores are shared, they spin on the core that
    # the last one needs: five times slower was measured. A short spin costs nothing on an idle machine.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    _keep_freed_memory()
    if chosen == "cuda" and device == "auto":
        chosen = _cuda_or_cpu()
    _prepare(chosen)
    _import_jittor(chosen, parallel_compiler)
    _started = chosen
    return chosen


def _keep_freed_memory() -> None:
    """Has malloc keep what is freed, instead of giving it back to the system.

    A convolution allocates maps of 100 MB for its own use and frees them. To get each page of them
    from the system anew was a sixth of the time of a picture.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # of the GNU C library
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, -1)


def choose_device(device: Device) -> str:
    """What "auto" means on this machine; raises UserError if "cuda" is asked for in vain."""
    if device == "cpu":
        return "cpu"
    gpus, found = gpu_count(), cuda.find()
    if gpus and found is not None and not found.missing:
        return "cuda"
    missing = "no GPU answers through the NVIDIA driver"
    if gpus:
        missing = "no nvcc was found" if found is None else found.lack
    if device == "cuda":
        raise UserError(f"--device cuda: {missing}; see `python launch/doctor.py`, or use --device cpu")
    if gpus:
        print(f"{gpus} GPU(s) found, but {missing}: using the CPU", file=sys.stderr)
    return "cpu"


def usable_device(device: Device) -> str:
    """What `start(device)` would use, "cuda" or "cpu", found out without Jittor in this process.

    Where there is a GPU this starts Jittor in a child, compiling it if need be. Raises UserError as `start` does.
    """
    return "cpu" if choose_device(device) == "cpu" else _start_in_child(device)


def compile_core(device: Device) -> None:
    """Compiles Jittor for `device` in a child process that shows its progress, unless that has been done."""
    if not is_compiled(device):
        _start_in_child(device)


def _start_in_child(device: Device) -> str:
    """Starts Jittor in a child and returns the device that it got."""
    command = [sys.executable, "-m", "ecgan.runtime", device]
    environment = _without_mpi(os.environ)
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True) as child:
        try:
            output, _ = child.communicate()
        except BaseException:
            os.killpg(child.pid, signal.SIGKILL)  # with all its compilers
            raise
    if child.returncode:
        raise UserError(f"--device {device} can't be used here; `python launch/doctor.py` may tell more")
    return output.split()[-1]


def _cuda_or_cpu() -> str:
    """Prepares CUDA; if that fails, now or before, says so in one line and settles for the CPU."""
    failed = _stamp("core", "cuda").with_suffix(".failed")
    if not failed.is_file():
        try:
            _prepare("cuda")
            return "cuda"
        except UserError as error:
            failed.parent.mkdir(parents=True, exist_ok=True)
            failed.write_text(str(error))
    _say(f"CUDA does not work here, using the CPU: {failed.read_text()} (delete {failed} to try again)")
    return "cpu"


def gpu_count() -> int:
    """GPUs that the NVIDIA driver offers to this process; 0 without a driver."""
    return len(gpu_archs())


def gpu_archs() -> list[int]:
    """The compute capability of each GPU that the NVIDIA driver offers to this process, times ten."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return []
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return []
    return [10 * _capability(driver, index, 75) + _capability(driver, index, 76) for index in range(count.value)]


def _capability(driver: ctypes.CDLL, index: int, attribute: int) -> int:
    """A GPU's compute capability: its major number is attribute 75 of cuDeviceGetAttribute, its minor 76."""
    device, value = ctypes.c_int(0), ctypes.c_int(0)
    driver.cuDeviceGet(ctypes.byref(device), index)
    driver.cuDeviceGetAttribute(ctypes.byref(value), attribute, device)
    return value.value


def find_compiler() -> str | None:
    return os.environ.get("cc_path") or shutil.which("g++")


def find_python_config() -> str | None:
    """The python3.X-config of the Python that runs, through which Jittor finds its headers."""
    name = f"python3.{sys.version_info.minor}-config"
    beside = Path(sysconfig.get_config_var("BINDIR") or "/usr/bin") / name
    return str(beside) if beside.is_file() else shutil.which(name)


def find_python_headers() -> Path | None:
    header = Path(sysconfig.get_paths()["include"]) / "Python.h"
    return header if header.is_file() else None


def find_onednn() -> tuple[Path, Path] | None:
    """(include folder, library) of the oneDNN wheels, which install into the environment's prefix."""
    for prefix in (sys.prefix, sys.base_prefix):
        include, library = Path(prefix) / "include", Path(prefix) / "lib" / "libdnnl.so.2"
        if (include / "dnnl.hpp").is_file() and library.is_file():
            return include, library
    return None


def is_compiled(device: str) -> bool:
    """Whether Jittor's core has been compiled for this machine and `device`."""
    return _stamp("core", device).is_file()


def once(what: str, device: str, action: Callable[[], None]) -> None:
    """Runs `action` unless it has been run for `what` and `device` on this machine; one process does, others wait.

    `what` names everything that decides what is compiled.
    """
    stamp = _stamp(what, device)
    if stamp.is_file():
        return
    with exclusive_lock(stamp.with_suffix(".lock"), lambda: _say("waiting for another process to compile")):
        if not stamp.is_file():
            action()
            stamp.touch()


def run_compiling(command: list[str], title: str, log: Path) -> None:
    """Runs `command` (a Python that starts Jittor) with its compilation shown as progress.

    Raises UserError that names `log`, where its output went, if it fails.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    for _attempt in range(3):  # Jittor may rebuild its helpers and then ask to be started again
        with (
            open(log, "wb") as file,
            subprocess.Popen(  # in our process group: whoever ends that ends the compilers, too
                command,
                env=_without_mpi(os.environ),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            ) as process,
        ):
            try:
                _show_progress(process, title, file)
            except BaseException:
                process.kill()
                raise
        output = log.read_bytes()
        if process.returncode == 0 and _REBUILT.encode() not in output:
            return
        if _REBUILT.encode() not in output:
            break
    lines = [line for line in output.decode(errors="replace").splitlines() if "error:" in line.lower()]
    detail = f" ({lines[0].strip()[:300]})" if lines else ""
    raise UserError(f"{title} failed{detail}. The whole output is in {log}; `python launch/doctor.py` may tell more")


def _without_mpi(environment: Mapping[str, str]) -> dict[str, str]:
    """A child of a rank is none: it must not wait for the others."""
    return {name: value for name, value in environment.items() if not _is_of_mpi(name)}


def _is_of_mpi(variable: str) -> bool:
    """Whether an environment variable of this name tells a process that it is a rank."""
    return variable.startswith(("OMPI_", "PMIX_", "PMI_"))


def _show_progress(process: subprocess.Popen[bytes], title: str, log: Any) -> None:
    assert process.stdout is not None
    with tqdm(desc=title, unit="file", disable=None, leave=False) as bar:  # None: unless on a terminal
        if bar.disable:
            _say(title)
        while block := process.stdout.read1(1 << 16):  # type: ignore[attr-defined]
            log.write(block)
            for done, total in _PROGRESS.findall(block):
                bar.total, bar.n = int(total), int(done)
                bar.refresh()


def _say(message: str) -> None:
    print(f"ecgan: {message}", file=sys.stderr, flush=True)


def _check_requirements() -> None:
    if re.search(r"\s", str(metadata.distribution("jittor").locate_file("jittor"))):
        raise UserError(
            f"Jittor can't compile below a folder with a space in its name: install it elsewhere than {sys.prefix}"
        )
    if int(metadata.version("numpy").partition(".")[0]) > 1:
        raise UserError(
            f"NumPy {metadata.version('numpy')} is installed, of whose arrays Jittor makes wrong ones: "
            f"{sys.executable} -m pip install 'numpy<2'"
        )
    compiler = find_compiler()
    if compiler is None or shutil.which(compiler) is None:
        raise UserError("no C++ compiler: install g++ (Debian: apt install g++; conda: gxx_linux-64) or set cc_path")
    if find_python_config() is None or find_python_headers() is None:
        raise UserError(
            f"Python's headers are missing for {sys.executable}: install python3.{sys.version_info.minor}-dev "
            "or use a Python that has them"
        )
    if find_onednn() is None:
        raise UserError("oneDNN is missing: install this project with pip, which brings onednn-devel-cpu-gomp")


def _stamp(what: str, device: str) -> Path:
    """A file whose presence says that `what` is compiled for this machine, Python, compiler and Jittor."""
    compiler = shutil.which(find_compiler() or "g++") or "g++"
    parts = [
        what,
        device,
        str(cache_dir()),
        metadata.version("jittor"),
        sys.version,
        sys.prefix,
        platform.platform(),
        _cpu_model(),
        str(Path(compiler).resolve()),
        str(Path(compiler).stat().st_size) if Path(compiler).exists() else "",
        cuda.without_our_flags(os.environ.get("cc_flags", "")),
        _cuda_fingerprint() if device == "cuda" else "",
    ]
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
    return cache_dir() / "ready" / f"{device}-{digest}"


def _cuda_fingerprint() -> str:
    found = cuda.find()
    return cuda.fingerprint(found, gpu_archs()) if found is not None and not found.missing else ""


def _cpu_model() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line
    return platform.processor()


def _prepare(device: str) -> None:
    """Sets what Jittor reads from the environment, links oneDNN, and compiles Jittor's core if it is not."""
    home = _jittor_home(device)
    try:
        home.mkdir(parents=True, exist_ok=True)
        _link_onednn(home)
        _set_cuda(home if device == "cuda" else None)
    except OSError as error:
        raise UserError(f"can't use {home} for compiled code ({error.strerror}); set ECGAN_CACHE to a folder") from None
    os.environ["JITTOR_HOME"] = str(home)
    os.environ["cache_name"] = "default"  # else the branch of whatever git checkout surrounds the environment
    os.environ["python_config_path"] = find_python_config() or ""
    mpicc = Path(sys.prefix) / "bin" / "mpicc"
    if mpicc.is_file():
        os.environ.setdefault("mpicc_path", str(mpicc))
    compiling = "ECGAN_COMPILING" in os.environ
    # Jittor asks each of its tools for its version whenever it starts: a third of its time to start. MPI is compiled
    # with the rest, and only a rank needs it; a debugger would only be asked once it has crashed.
    os.environ["use_mpi"] = "1" if compiling or any(map(_is_of_mpi, os.environ)) else "0"
    os.environ.setdefault("gdb_path", "")
    if not compiling:
        once("core", device, lambda: _compile_core(device))


def _jittor_home(device: str) -> Path:
    """A home of its own for each device: what Jittor shares between them it would rebuild whenever they change.

    So it is for each CUDA and kind of GPU: the nodes of a cluster may share a cache folder and have different ones.
    """
    return cache_dir() / (f"jittor-cuda-{_cuda_fingerprint()}" if device == "cuda" else f"jittor-{device}")


def _set_cuda(home: Path | None) -> None:
    """Tells Jittor of the CUDA that was found, or that there is none if `home` is None."""
    global _cuda_libraries
    before = os.environ.get("cc_flags", "")
    flags = cuda.without_our_flags(before)
    found = cuda.find() if home is not None else None
    if home is None or found is None:
        os.environ["nvcc_path"] = ""
        _cuda_libraries = ()
    else:
        settings = cuda.prepare(found, gpu_archs(), home)
        os.environ.update(settings.environment)
        flags += settings.cc_flag
        _cuda_libraries = settings.preload
    if flags != before:  # even a blank more would have Jittor compile all anew
        os.environ["cc_flags"] = flags


def _link_onednn(home: Path) -> None:
    include, library = find_onednn()  # type: ignore[misc]  # _check_requirements has seen to it
    folder = home / _ONEDNN_FOLDER
    (folder / "lib").mkdir(parents=True, exist_ok=True)
    for link, target in ((folder / "include", include), (folder / "lib" / "libmkldnn.so", library)):
        if not link.is_symlink() or Path(os.readlink(link)) != target:
            new = link.with_name(f".{link.name}.{os.getpid()}")
            new.symlink_to(target)
            new.replace(link)


def _compile_core(device: str) -> None:
    program = "import sys; from ecgan import runtime as r; r.start(sys.argv[1], parallel_compiler=True); r.probe()"
    os.environ["ECGAN_COMPILING"] = "1"
    try:
        run_compiling(
            [sys.executable, "-c", program, device],
            "compiling Jittor for this machine (about 3 minutes on 2 cores, once)",
            cache_dir() / "logs" / f"compile-{device}.log",
        )
    finally:
        del os.environ["ECGAN_COMPILING"]


def probe() -> float:
    """Runs one small convolution on the device in use and returns a number that depends on it."""
    x = jt.ones((1, 3, 8, 8))
    return float(nn.conv2d(x, jt.ones((4, 3, 3, 3)), padding=1).sum().item())


def _import_jittor(device: str, parallel_compiler: bool) -> None:
    """Imports Jittor and undoes what the import does to the process."""
    global jt, nn
    _, library = find_onednn()  # type: ignore[misc]
    try:
        for file in (library, *_cuda_libraries):
            ctypes.CDLL(str(file), ctypes.RTLD_GLOBAL)
    except OSError as error:
        raise UserError(f"Jittor can't start on {device}: {error}; see `python launch/doctor.py`") from None
    if not parallel_compiler:
        os.environ["DISABLE_MULTIPROCESSING"] = "1"
        os.environ.setdefault("log_silent", "1")
    handlers = {number: signal.getsignal(number) for number in _SIGNALS_JITTOR_TAKES}
    sys_exit, excepthook = sys.exit, sys.excepthook
    try:
        with _home(os.environ["JITTOR_HOME"]):
            import jittor
            import jittor.nn
    except SystemExit:
        _stamp("core", device).unlink(missing_ok=True)
        raise UserError("Jittor rebuilt itself while it was started: run the same command again") from None
    except Exception as error:
        raise UserError(f"Jittor can't start on {device}: {error}; see `python launch/doctor.py`") from error
    finally:
        sys.exit, sys.excepthook = sys_exit, excepthook
        _restore(handlers)
    jt, nn = jittor, jittor.nn
    jittor.flags.use_cuda = int(device == "cuda")
    jittor.flags.python_path = str(_python_with_home(_jittor_home(device)))


def _python_with_home(home: Path) -> Path:
    """A stand-in for Python with which Jittor compiles operators: the real one would write to the user's HOME."""
    script, content = (
        home / "python",
        f'#!/bin/sh\nHOME={shlex.quote(str(home))} exec {shlex.quote(sys.executable)} "$@"\n',
    )
    if not script.is_file() or script.read_text() != content:
        new = script.with_name(f".python.{os.getpid()}")
        new.write_text(content)
        new.chmod(0o755)
        new.replace(script)
    return script


@contextlib.contextmanager
def _home(folder: str) -> Iterator[None]:
    """HOME during Jittor's import, which writes its settings there for every later Jittor of this user."""
    before = os.environ.get("HOME")
    os.environ["HOME"] = folder
    try:
        yield
    finally:
        if before is None:
            del os.environ["HOME"]
        else:
            os.environ["HOME"] = before


def _restore(handlers: dict[signal.Signals, Any]) -> None:
    """Jittor ends the process on Ctrl-C, and whenever a child of it is killed; Python's handlers come back here."""
    for number, handler in handlers.items():
        with contextlib.suppress(ValueError, TypeError):  # not the main thread; a handler not set from Python
            signal.signal(number, handler)


if __name__ == "__main__":
    try:
        print(start(sys.argv[1] if len(sys.argv) > 1 else "auto"))  # type: ignore[arg-type]
    except UserError as failure:
        sys.exit(f"error: {failure}")
