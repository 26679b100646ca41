"""Compiling in child processes: Jittor ends the process that it rebuilds itself in, and may fork only in such a one."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from tqdm import tqdm

from ecgan.errors import MachineError
from ecgan.runtime import precompiled
from ecgan.runtime.cache import log_dir
from ecgan.runtime.devices import Device, DeviceChoice, choose_device
from ecgan.runtime.environment import COMPILING, without_mpi
from ecgan.runtime.stamps import is_compiled

#: What Jittor says when it has rebuilt its helpers and asks to be started again.
_REBUILT = b"jit_utils updated"
_ATTEMPTS = 3
#: What Jittor prints while it compiles: files done and in all.
_PROGRESS = re.compile(rb"\((\d+)/(\d+)\)")

_log = logging.getLogger(__name__)


def usable_device(asked: DeviceChoice) -> Device:
    """What `starting.start(asked)` would use, found out without Jittor in this process.

    Where there is a GPU this starts Jittor in a child, compiling it if need be. Raises UserError as `start` does.
    """
    return "cpu" if choose_device(asked) == "cpu" else start_in_child(asked)


def compile_core(device: Device) -> None:
    """Compiles Jittor for `device` in a child process that shows its progress, unless that has been done."""
    if not is_compiled(device):
        start_in_child(device)


def start_in_child(asked: DeviceChoice) -> Device:
    """Starts Jittor in a child, compiling it if need be, and returns the device that it got.

    Raises MachineError with what the child says if it does not start. Interrupted, it ends the child's compilers, too.
    """
    command = [sys.executable, "-m", "ecgan.runtime.child", "start", asked]
    environment = without_mpi(os.environ)
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True) as child:
        try:
            output, _ = child.communicate()
        except BaseException:
            os.killpg(child.pid, signal.SIGKILL)
            raise
    if child.returncode:
        raise MachineError(f"Jittor's start-up ended with status {child.returncode}")
    answer = json.loads(output.splitlines()[-1])
    if answer["error"] is not None:
        raise MachineError(answer["error"])
    return answer["device"]


def compile_core_now(device: Device) -> None:
    """Compiles Jittor's core whether that has been done or not; raises MachineError if it fails.

    The environment must have been prepared.
    """
    run_compiling(
        [sys.executable, "-m", "ecgan.runtime.child", "compile", device],
        "compiling Jittor for this machine (a minute or two on 2 cores, once)",
        log_dir() / f"compile-{device}.log",
        {COMPILING: "1"},
    )
    precompiled.drop_core(device)


def run_compiling(command: list[str], title: str, log: Path, variables: Mapping[str, str] | None = None) -> None:
    """Runs `command` (a Python that starts Jittor) with its compilation shown as progress.

    `variables` are added to its environment. Raises MachineError that names `log`, where its output went, if it fails.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    for _ in range(_ATTEMPTS):
        with (
            open(log, "wb") as file,
            subprocess.Popen(  # in our process group: whoever kills that ends the compilers, too
                command,
                env=without_mpi(os.environ) | dict(variables or {}),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            ) as process,
        ):
            try:
                _show_progress(process, title, file)
            except BaseException:
                _kill_tree(process.pid)
                raise
        output = log.read_bytes()
        rebuilt = _REBUILT in output
        if process.returncode == 0 and not rebuilt:
            return
        if not rebuilt:
            break
    lines = [line for line in output.decode(errors="replace").splitlines() if "error:" in line.lower()]
    detail = f" ({lines[0].strip()[:300]})" if lines else ""
    raise MachineError(f"{title} failed{detail}. The whole output is in {log}")


def _show_progress(process: subprocess.Popen[bytes], title: str, log: BinaryIO) -> None:
    assert process.stdout is not None
    with tqdm(desc=title, unit="file", disable=None, leave=False) as bar:  # None: unless on a terminal
        if bar.disable:
            _log.warning("%s", title)
        while block := process.stdout.read1(1 << 16):  # type: ignore[attr-defined]
            log.write(block)
            for done, total in _PROGRESS.findall(block):
                bar.total, bar.n = int(total), int(done)
                bar.refresh()


def _kill_tree(pid: int) -> None:
    """Kills a process and all that it has started, which it can't start any more of meanwhile."""
    with contextlib.suppress(OSError):
        os.kill(pid, signal.SIGSTOP)
    for child in _children(pid):
        _kill_tree(child)
    with contextlib.suppress(OSError):
        os.kill(pid, signal.SIGKILL)


def _children(pid: int) -> list[int]:
    """Of each of its threads; none where /proc does not say."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for file in Path(f"/proc/{pid}/task").glob("*/children"):
            found += map(int, file.read_text().split())
    return found
