"""The import of Jittor, and undoing what it does to the process."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import platform
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ecgan.errors import MachineError, UserError
from ecgan.runtime import copied, requirements, stand_ins
from ecgan.runtime.compiling import compile_core_now
from ecgan.runtime.devices import Device, DeviceChoice, choose_device
from ecgan.runtime.environment import COMPILING, prepare
from ecgan.runtime.older_python import older_python
from ecgan.runtime.stamps import once, stamp

#: Parameters of mallopt(3).
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
_SIGNALS_JITTOR_TAKES = (signal.SIGINT, signal.SIGCHLD, signal.SIGQUIT)

_log = logging.getLogger(__name__)
_started: Device | None = None


def start(asked: DeviceChoice = "auto", threads: int | None = None, parallel_compiler: bool = False) -> Device:
    """Imports Jittor, compiling it first if need be, and returns the device in use.

    `threads` bounds the CPU threads of this process (default: Jittor's, all cores); it only has an
    effect on the first call. `parallel_compiler` lets Jittor fork processes to compile operators:
    only for a process that does nothing but warm the cache, since they can outlive a killed parent.

    Raises UserError if something that Jittor needs is missing, or "cuda" is asked for and CUDA does not work.
    """
    global _started
    if _started is not None:
        if asked not in ("auto", _started):
            raise UserError(f"Jittor already runs on {_started} in this process; it can't change to {asked}")
        return _started
    chosen = choose_device(asked)
    requirements.insist()
    if threads is not None:
        os.environ["OMP_NUM_THREADS"] = str(threads)
    # Threads that wait for each other spin by default, and where cores are shared, they spin on the core that
    # the last one needs: five times slower was measured. A short spin costs nothing on an idle machine.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    _keep_freed_memory()
    if chosen == "cuda" and asked == "auto":
        chosen, libraries = _cuda_or_cpu()
    else:
        libraries = _compiled(chosen)
    _import_jittor(chosen, libraries, parallel_compiler)
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


def _cuda_or_cpu() -> tuple[Device, Sequence[Path]]:
    """Prepares CUDA; if that fails, now or before, says so in one line and settles for the CPU."""
    failed = stamp("core", "cuda").with_suffix(".failed")
    if not failed.is_file():
        try:
            return "cuda", _compiled("cuda")
        except UserError as error:
            failed.parent.mkdir(parents=True, exist_ok=True)
            failed.write_text(str(error))
    reason = failed.read_text()
    _log.warning("CUDA does not work here, using the CPU: %s (delete %s to try again)", reason, failed)
    return "cpu", _compiled("cpu")


def _compiled(device: Device) -> Sequence[Path]:
    """Prepares all for `device` and compiles Jittor's core if it is not; returns the libraries to load before it."""
    libraries = prepare(device)
    if COMPILING not in os.environ:
        once("core", device, lambda: compile_core_now(device))
    return libraries


def _import_jittor(device: Device, libraries: Sequence[Path], parallel_compiler: bool) -> None:
    try:
        for library in libraries:
            ctypes.CDLL(str(library), ctypes.RTLD_GLOBAL)
    except OSError as error:
        raise MachineError(f"Jittor can't start on {device}: {error}") from None
    if not parallel_compiler:
        os.environ["DISABLE_MULTIPROCESSING"] = "1"
        os.environ.setdefault("log_silent", "1")
    handlers = {number: signal.getsignal(number) for number in _SIGNALS_JITTOR_TAKES}
    sys_exit, excepthook = sys.exit, sys.excepthook
    home, jittor_copy = Path(os.environ["JITTOR_HOME"]), copied.folder()  # where that lies may depend on HOME
    try:
        with _home(home), _first_on_path(jittor_copy), _of_no_node(), older_python():
            import jittor
            import jittor.nn
    except SystemExit:
        stamp("core", device).unlink(missing_ok=True)
        raise UserError("Jittor rebuilt itself while it was started: run the same command again") from None
    except Exception as error:
        raise MachineError(f"Jittor can't start on {device}: {error}") from error
    finally:
        sys.exit, sys.excepthook = sys_exit, excepthook
        _restore(handlers)
    jittor.flags.use_cuda = int(device == "cuda")
    jittor.flags.python_path = str(stand_ins.python(home))


@contextlib.contextmanager
def _home(folder: Path) -> Iterator[None]:
    """HOME during Jittor's import, which writes its settings there for every later Jittor of this user."""
    before = os.environ.get("HOME")
    os.environ["HOME"] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ["HOME"]
        else:
            os.environ["HOME"] = before


@contextlib.contextmanager
def _first_on_path(folder: Path) -> Iterator[None]:
    """Has modules be looked for there before anywhere else."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


@contextlib.contextmanager
def _of_no_node() -> Iterator[None]:
    """Hides the machine's name, by which Jittor would keep apart what nodes of one kind, and containers, can share."""
    before = platform.node
    platform.node = lambda: ""
    try:
        yield
    finally:
        platform.node = before


def _restore(handlers: dict[signal.Signals, Any]) -> None:
    """Jittor ends the process on Ctrl-C, and whenever a child of it is killed; Python's handlers come back here."""
    for number, handler in handlers.items():
        with contextlib.suppress(ValueError, TypeError):  # not the main thread; a handler not set from Python
            signal.signal(number, handler)
