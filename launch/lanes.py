"""An experiment's chains on a cluster, in lanes: those of a lane one after the other, the lanes side by side.

A small job, a step, begins a stage by its command, which checks, plans and submits there as it would anywhere, and
submits the next step, to run when all of that has ended, however it has. So no job ever waits for a success that does
not come, and no process lives as long as the experiment does.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobs.experiment import progress
from jobs.experiment.chains import Chain, load
from jobs.run import attempts, record
from jobs.run.folder import RunDir
from jobs.run.kind import Kind
from jobs.run.notify import tell_end
from jobs.run.state import State
from jobs.run.status import Status
from jobs.run.submission import Submission, of_lane, read_submission
from launch import awaited, chains, on_cluster, snapshot, steps
from launch.cluster_options import ClusterOptions
from launch.command import DONE, NO_ANSWER, SOME_FAILED
from launch.steps import Step
from slurm.scheduler import Batch, Cluster


@dataclass(frozen=True, kw_only=True)
class LaneStep(Step):
    """`left`: the lane's chains that are not over, by their places in the plan.

    `words`: by stage, the options of its command that say which cluster it goes to. `is_first`: of its lane; what an
    earlier start of the experiment has left may be begun again by that alone.
    """

    lane: int
    left: tuple[int, ...]
    words: Mapping[str, tuple[str, ...]]
    is_first: bool = True

    @property
    def unit(self) -> str:
        return f"{attempts.LANE}{self.lane}"

    def __call__(self) -> None:
        """Goes on until something has been submitted that is to be waited for, or all of the lane is over."""
        plan = load(RunDir(self.home).plan)
        for index, place in enumerate(() if self._has_gone_on() else self.left):
            waits_for = self._go_on(plan[place])
            if waits_for is not None:
                dataclasses.replace(self, left=self.left[index:], is_first=False)._submit(waits_for)
                break
        self._tell(plan)

    def _has_gone_on(self) -> bool:
        """Whether this job, which has been put back into the queue since, has submitted the lane's next step."""
        ours, submission = attempts.current(), read_submission(of_lane(RunDir(self.home).submission, self.lane))
        job = ours and ours.details.job
        if ours is None or job is None or submission is None or job in submission.ids:
            return False
        every = [each.details for each in attempts.every(ours.folder, ours.unit)]
        starts = [each.started for each in every if each.job == job and each.started]
        return submission.submitted > min(starts, default=submission.submitted)

    def _go_on(self, chain: Chain) -> str | None:
        """The job that the chain waits for; None if it is over."""
        for stage, known in progress.read(chain).items():
            submission = _submission(chain, stage)
            if known.outcome.ends_unsaid and submission and submission.submitted >= (known.began or ""):
                if not steps.is_whole(submission):  # its command was killed before it had submitted all
                    steps.withdraw(submission)
                    continue
                if (told := _end_of(chain, stage)) is None:
                    return submission.jobs[-1].id
                code = DONE if told.state.is_success else SOME_FAILED
                if not self._end(chain, stage, code, told) and not self.is_first:
                    return None
        while (stage := next(iter(progress.due(chain)), "")) and not chain.cancelled.exists():
            attempts.insist_on_newest()
            log = RunDir(self.home).logs / chains.log_name(chain, stage)
            options = chains.prepare(chain, stage, self.words.get(stage, ()))
            progress.begin(chain, stage, log)
            try:
                status = self.run(stage, options, log)
            finally:
                if chain.cancelled.exists():  # whoever cancelled it may have looked before there was a job
                    _withdraw(chain, stage)
            if status != DONE and self.was_unheard(status == NO_ANSWER):
                _withdraw(chain, stage)
                continue
            submission = _submission(chain, stage)
            if status == DONE and submission is not None:
                return submission.jobs[-1].id
            if not self._end(chain, stage, status):
                return None
        return None

    def _end(self, chain: Chain, stage: str, code: int, told: Status | None = None) -> bool:
        """Notes how a stage has ended, and tells the user if it failed; whether it has been done."""
        noted = progress.end(chain, stage, code, told=told)
        chains.notify_of_failure(self.cluster.notify, RunDir(self.home), chain, stage, noted)
        return noted.outcome.is_success

    def _tell(self, every: Sequence[Chain]) -> None:
        """Brings the experiment's record up to date; the last lane to end finds that all is over."""
        run = RunDir(self.home)
        said = None
        while (found := _standing(every)) != said:  # what another lane has noted meanwhile
            state, done, failed = said = found
            record.update(run, state, done=done, failed=failed or None)
        if said is not None and not said[0].goes_on:
            with contextlib.suppress(FileExistsError):  # another lane has told it
                os.close(os.open(run.notified, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
                tell_end(self.cluster.notify, self.home, said[0])

    def _submit(self, after: str) -> None:
        """The next step of the lane, to run when the job `after` has ended."""
        self.submit([after]).save(of_lane(RunDir(self.home).submission, self.lane))


def submit(home: RunDir, every: Sequence[Chain], cluster: Cluster, options: ClusterOptions, first: Batch) -> Submission:
    """Submits the first step of each lane."""
    for chain in every:
        chain.cancelled.unlink(missing_ok=True)
    home.notified.unlink(missing_ok=True)
    total, left = sum(len(chain.settings) for chain in every), sum(len(progress.due(chain)) for chain in every)
    return on_cluster.submit(home, cluster, options, [first], Kind.EXPERIMENT, total=total, done=total - left)


def first_steps(
    home: RunDir,
    every: Sequence[Chain],
    at_once: int | None,
    cluster: Cluster,
    options: ClusterOptions,
    words: Mapping[str, tuple[str, ...]],
) -> Batch:
    """`at_once`: how many lanes there are; None: one for each chain."""
    places = [place for place, chain in enumerate(every) if progress.due(chain)]
    count = min(at_once or len(places), len(places))
    shared: dict[str, Any] = {"home": home.path, "scheduler": cluster.scheduler.name, "words": words}
    shared |= {"environment": snapshot.environment(home, options), "given": steps.given()}
    first, *others = (LaneStep(lane=lane, left=tuple(places[lane::count]), **shared) for lane in range(count))
    return first.batch(*others)


def _standing(every: Sequence[Chain]) -> tuple[State, int, int]:
    states = [progress.states(chain) for chain in every]
    done = sum(each.state.is_success for stages in states for each in stages)
    failed = sum(each.state.is_failure for stages in states for each in stages)
    if not all(map(progress.is_over, states)):
        return State.RUNNING, done, failed
    return State.DONE if done == sum(map(len, states)) else State.INCOMPLETE, done, failed


def _submission(chain: Chain, stage: str) -> Submission | None:
    run = chain.run(stage)
    return read_submission(run.submission) if run else None


def _withdraw(chain: Chain, stage: str) -> None:
    """Ends what a command has submitted that is not to go on: the rest of it would lack, or it was cancelled."""
    known, submission = progress.read(chain)[stage], _submission(chain, stage)
    if submission is not None and submission.submitted >= (known.began or ""):
        steps.withdraw(submission)


def _end_of(chain: Chain, stage: str) -> Status | None:
    """How the jobs of a stage have ended, None if they have not: their files and the scheduler are asked."""
    run = chain.run(stage)
    assert run is not None
    return awaited.ended(run.path)
