"""Tells the user how a run has ended, by a command of the user's, which `notify` names: a mail, a chat's web hook."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import tempfile
from pathlib import Path

from jobs.run import record
from jobs.run.folder import RunDir
from jobs.run.kind import Kind
from jobs.run.record import RunRecord
from jobs.run.state import State

#: In place of a command: nobody is told.
NOBODY = "none"
#: Seconds that it may take.
_PATIENCE = 60
#: Characters of what it said that are repeated.
_SHOWN = 1000


def tell_end(command: str | None, folder: Path, outcome: State, why: str | None = None) -> None:
    """Tells that the run in `folder` has ended, in the state that it says itself, or else with `outcome`, and `why`.

    Nothing is told of what goes on, was asked to stop, or had come to this end before and had nothing left to do.
    """
    told = record.read(RunDir(folder))
    state = told.state if told.state.is_settled else outcome
    if state.is_told and not _has_done_nothing(told, state):
        counts = f"{told.done} of {told.total} {told.unit}s" if told.total and told.done is not None else ""
        reason = "" if state.is_success else why or told.error
        words = "; ".join(filter(None, [counts, reason]))
        notify(command, state, folder, f"{told.kind} {folder.name} {state}" + (f": {words}" if words else ""))


def notify(command: str | None, state: State, folder: Path, text: str) -> None:
    """Runs `command` (None or NOBODY: nothing) with state, folder and a line of text as its last three words.

    What becomes of it is told in a line, and nothing else: no run fails because nobody could be told.
    """
    if command is None or command == NOBODY:
        return
    words = [*shlex.split(command), str(state), str(folder), " ".join(text.split())]
    try:
        status, said = _run(words)
    except (OSError, ValueError) as error:
        print(f"note: nobody was notified: {error}", flush=True)
        return
    if status is None:
        print(f"note: nobody was notified: {words[0]} was ended, for it took over {_PATIENCE} seconds", flush=True)
    elif status:
        print(f"note: nobody was notified: {words[0]} ended with status {status}: {said}", flush=True)


def _run(words: list[str]) -> tuple[int | None, str]:
    """Its exit status, None if it took too long; and what it said. What it has left running is no concern of ours, if
    it has ended itself."""
    with tempfile.TemporaryFile() as output:  # a pipe would be waited for until all that has it has ended
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            status = process.wait(_PATIENCE)
        except BaseException as error:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            return None, ""
        output.seek(0)
        return status, " ".join(output.read(_SHOWN).decode(errors="replace").split())


def _has_done_nothing(told: RunRecord, state: State) -> bool:
    return told.kind is Kind.TRAINING and state.is_success and told.before is not None and told.done == told.before
