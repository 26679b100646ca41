"""One of our own commands as a child process: it ends with us, however we end, and saves what it has."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


class Command:
    """`python -m MODULE OPTIONS` for a module of launch/. What it says goes to the end of the file `log`.

    `environment` comes on top of ours, or is the `whole` of its own; `keep_open`: descriptors that it inherits.
    """

    def __init__(
        self,
        module: str,
        options: Sequence[str],
        environment: Mapping[str, str],
        log: Path,
        keep_open: Sequence[int] = (),
        whole: bool = False,
    ) -> None:
        parent = os.getpid()

        def end_with_us() -> None:
            _LIBC.prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))
            if os.getppid() != parent:  # too late for that
                os._exit(1)

        with open(log, "ab") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, *options],
                env=({} if whole else dict(os.environ)) | dict(environment) | {"PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                pass_fds=tuple(keep_open),
                start_new_session=True,  # Ctrl-C on the terminal is the launcher's to pass on
                preexec_fn=end_with_us,  # noqa: PLW1509  # nothing but two system calls
            )

    @property
    def status(self) -> int | None:
        """Its exit status, negative if a signal ended it; None while it runs."""
        return self._process.poll()

    def ask_to_stop(self) -> None:
        """It saves what it has and ends; asked again it ends at once."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def wait(self) -> int:
        return self._process.wait()
