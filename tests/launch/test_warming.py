"""Waiting for a job that compiles on a node: it ends, however the job does."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from ecgan.errors import UserError
from jobs.run import attempts
from jobs.run.attempts import WARM
from jobs.run.folder import RunDir
from jobs.run.state import State
from jobs.run.submission import Submission, SubmittedJob
from launch import warming
from launch.command import Terminated
from slurm.scheduler import JobState
from slurm.slurm import Slurm

SUBMISSION = Submission((SubmittedJob("7", "warm"),))


class Told(Slurm):
    """Says of the job what `standings` say in turn, the last of them from then on; None: it knows of none."""

    def __init__(self, *standings: State | None, on_look: Callable[[int], None] = lambda look: None) -> None:
        self._standings, self._looks, self._on_look = standings, itertools.count(), on_look
        self.cancelled: Sequence[str] = ()

    def job_states(self, ids: Sequence[str]) -> dict[str, JobState] | None:
        look = next(self._looks)
        self._on_look(look)
        standing = self._standings[min(look, len(self._standings) - 1)]
        return {} if standing is None else {"7": JobState("7", "AS IT IS", standing)}

    def cancel(self, ids: Sequence[str]) -> tuple[bool, str]:
        self.cancelled = ids
        return True, ""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunDir:
    monkeypatch.setattr(warming, "_TICK", 0.0)
    return RunDir(tmp_path)


@pytest.mark.parametrize("outcome", [None, State.REQUEUED])
@pytest.mark.parametrize(
    "standing, ends", [(State.CANCELLED, State.CANCELLED), (State.DIED, State.DIED), (None, State.DIED)]
)
def test_a_job_that_is_gone_is_given_up(
    run: RunDir, outcome: State | None, standing: State | None, ends: State
) -> None:
    attempts.begin(run.attempts, WARM).note(outcome=outcome)
    assert warming._wait(run, SUBMISSION, Told(State.RUNNING, standing)) is ends


def test_a_job_that_never_began_is_given_up(run: RunDir) -> None:
    with pytest.raises(UserError, match="job 7 "):
        warming._wait(run, SUBMISSION, Told(State.RUNNING, State.CANCELLED))


def test_one_look_may_be_wrong(run: RunDir) -> None:
    attempt = attempts.begin(run.attempts, WARM)

    def end(look: int) -> None:
        if look == 3:
            attempt.note(outcome=State.DONE)

    told = Told(None, None, State.RUNNING, None, on_look=end)
    assert warming._wait(run, SUBMISSION, told) is State.DONE


@pytest.mark.parametrize("error", [KeyboardInterrupt(), Terminated()])
def test_who_no_longer_waits_takes_the_job_along(run: RunDir, error: BaseException) -> None:
    def end(look: int) -> None:
        raise error

    told = Told(State.RUNNING, on_look=end)
    with pytest.raises(type(error)):
        warming._wait(run, SUBMISSION, told)
    assert told.cancelled == ["7"]
