"""Tells the user how a run has ended, by the command that a cluster's file names with `notify`."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

from jobs.run.state import State

#: Seconds that it may take.
_PATIENCE = 60


def notify(command: str | None, state: State, run: Path, text: str) -> None:
    """Runs `command` (None: nothing) with the state, the run's folder and a line of text as its last three words.

    What becomes of it is told in the job's log, and nothing else: no run fails because nobody could be told.
    """
    if command is None:
        return
    words = [*shlex.split(command), str(state), str(run), " ".join(text.split())]
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=_PATIENCE
        )
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        print(f"note: nobody was notified: {error}", flush=True)
        return
    if done.returncode:
        said = done.stdout.decode(errors="replace").strip()
        print(f"note: nobody was notified: {words[0]} ended with status {done.returncode}: {said}", flush=True)
