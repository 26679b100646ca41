"""The end of a run on this machine: it is noted, and told the user once nothing holds the run any more."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from types import TracebackType

from ecgan.errors import UserError
from jobs.options import in_words
from jobs.run import record
from jobs.run.folder import RunDir
from jobs.run.notify import tell_end
from jobs.run.state import State
from launch.command import DONE, SOME_FAILED, Terminated

_OUTCOMES = {DONE: State.DONE, SOME_FAILED: State.FAILED}


class AtEnd:
    """Around all that holds the run; what is carried out by `of` is told of behind it."""

    def __init__(self, run: RunDir) -> None:
        self._run = run
        self._command: str | None = None
        self._outcome: State | None = None
        self._why: str | None = None

    def of(self, command: str | None, work: Callable[[], int]) -> int:
        """Carries `work` out, which begins the run's record, and returns its exit status. `command` is run with how it
        ended, unless it was asked to stop. Raises what it raises, which is noted."""
        self._command = command
        try:
            status = work()
        except BaseException as error:
            self._why = _words(error)
            self._outcome = _note_end(self._run, error, self._why)
            raise
        self._outcome = _OUTCOMES.get(status)
        return status

    def __enter__(self) -> AtEnd:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._outcome is not None:
            with contextlib.suppress(KeyboardInterrupt, Terminated):  # the run has ended; this alone is not waited for
                tell_end(self._command, self._run.path, self._outcome, self._why)


def _note_end(run: RunDir, error: BaseException, words: str) -> State:
    """Notes that `error` has ended the run, unless it has told an end itself; returns which end that is."""
    said = record.read(run).state
    if not said.goes_on:
        return said
    if isinstance(error, (KeyboardInterrupt, Terminated)):
        return record.update(run, State.STOPPED).state
    return record.update(run, State.FAILED, error=words).state


def _words(error: BaseException) -> str:
    return in_words(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
