"""An experiment's chains on a cluster, in lanes: those of a lane one after the other, the lanes side by side.

A small job, a step, begins a stage by its command, which checks, plans and submits there as it would anywhere, and
submits the next step, to run when all of that has ended, however it has. So no job ever waits for a success that does
not come, and no process lives as long as the experiment does.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ecgan.errors import UserError
from jobs import stop
from jobs.experiment import progress
from jobs.experiment.chains import Chain, load
from jobs.run import attempts, record
from jobs.run.folder import RunDir
from jobs.run.kind import Kind
from jobs.run.notify import tell_end
from jobs.run.state import State
from jobs.run.status import Status, read_status
from jobs.run.submission import Submission, SubmittedJob, of_lane, read_submission
from launch import chains, on_cluster, snapshot
from launch.cluster_options import ClusterOptions
from launch.command import DONE, SOME_FAILED
from launch.scheduler import scheduler_of, with_scheduler
from slurm.processes import inherited, resources
from slurm.processes.command import Command
from slurm.scheduler import Batch, Cluster

#: Seconds between two looks at a command, and at a run that seems to have died; how many of these are believed.
_TICK, _AGAIN, _SURE = 0.2, 5.0, 3
#: What our own job has set of the environment, and is not to be passed on to those that it submits.
_OURS = (attempts.VARIABLE, resources.THREADS, "OPENBLAS_NUM_THREADS")
_KEPT = "SLURM_CONF"


@dataclass(frozen=True)
class Step:
    """What a step runs; picklable. `left`: the lane's chains that are not over, by their places in the plan.

    `words`: by stage, the options of its command that say which cluster it goes to; `environment`: of a step's shell;
    `given`: variables as they were where the experiment was submitted. `is_first`: of its lane; what an earlier start
    of the experiment has left may be begun again by that alone.
    """

    home: Path
    lane: int
    left: tuple[int, ...]
    words: Mapping[str, tuple[str, ...]]
    environment: Mapping[str, str]
    given: Mapping[str, str]
    is_first: bool = True

    @property
    def unit(self) -> str:
        return f"{attempts.LANE}{self.lane}"

    def __call__(self) -> None:
        """Goes on until something has been submitted that is to be waited for, or all of the lane is over."""
        plan = load(RunDir(self.home).plan)
        for index, place in enumerate(self.left):
            waits_for = self._go_on(plan[place])
            if waits_for is not None:
                dataclasses.replace(self, left=self.left[index:], is_first=False)._submit(waits_for)
                break
        tell(self.home, plan)

    def _go_on(self, chain: Chain) -> str | None:
        """The job that the chain waits for; None if it is over."""
        for stage, known in progress.read(chain).items():
            submission = _submission(chain, stage)
            if known.outcome.ends_unsaid and submission and submission.submitted >= (known.began or ""):
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
            status = self._run(stage, options, log)
            if status != DONE and self._was_away():
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
        noted, run = progress.end(chain, stage, code, told=told), RunDir(self.home)
        if submission := read_submission(run.submission):
            chains.notify_of_failure(_cluster(run, submission).notify, run, chain, stage, noted)
        return noted.outcome.is_success

    def _run(self, stage: str, options: Sequence[str], log: Path) -> int:
        """Raises Stopped if this job is told to end meanwhile: the next one begins the stage again."""
        command = Command(f"launch.{stage}", options, self._outside, log, whole=True)
        while command.status is None:
            if stop.requested():
                command.ask_to_stop()
            time.sleep(_TICK)
        if stop.requested():
            raise stop.Stopped
        return command.wait()

    def _was_away(self) -> bool:
        """Whether the scheduler gives no answer at this moment; returns once it does. A controller that is restarted
        costs a chain nothing but that time. Raises Stopped if this job is told to end meanwhile."""
        submission = read_submission(RunDir(self.home).submission)
        assert submission is not None, "a step is one of its jobs"
        scheduler, away = scheduler_of(submission), False
        while not (said := scheduler.answers())[0]:
            if not away:
                print(f"waiting for {scheduler.title}: {said[1]}", flush=True)
            away = True
            if stop.requested():
                raise stop.Stopped
            time.sleep(_AGAIN)
        return away

    @property
    def _outside(self) -> dict[str, str]:
        """The environment as it would be in no job: what we submit must not take our place for its own."""
        ours = {name: value for name, value in inherited.environment().items() if name not in _OURS}
        return ours | {name: os.environ[name] for name in (_KEPT,) if name in os.environ} | dict(self.given)

    def _submit(self, after: str) -> None:
        """The next step of the lane, to run when the job `after` has ended."""
        attempts.insist_on_newest()
        run = RunDir(self.home)
        submission = read_submission(run.submission)
        assert submission is not None, "a step is one of its jobs"
        scheduler = scheduler_of(submission)
        batch = Batch("step", _name(run), {self.unit: self}, self.environment, after)
        with _in_environment(self._outside):
            cluster = _cluster(run, submission)
            while True:
                try:
                    job = SubmittedJob(cluster.submit(run.path, batch), "step")
                    break
                except UserError:
                    if not self._was_away():
                        raise
        Submission((job,), scheduler.name).save(of_lane(run.submission, self.lane))


def submit(
    home: RunDir,
    every: Sequence[Chain],
    at_once: int | None,
    cluster: Cluster,
    options: ClusterOptions,
    words: Mapping[str, tuple[str, ...]],
) -> Submission:
    """Submits the first step of each lane. `at_once`: how many lanes there are; None: one for each chain."""
    for chain in every:
        chain.cancelled.unlink(missing_ok=True)
    home.notified.unlink(missing_ok=True)
    batch = first_steps(home, every, at_once, options, words)
    total, left = sum(len(chain.settings) for chain in every), sum(len(progress.due(chain)) for chain in every)
    return on_cluster.submit(home, cluster, options, [batch], Kind.EXPERIMENT, total=total, done=total - left)


def first_steps(
    home: RunDir,
    every: Sequence[Chain],
    at_once: int | None,
    options: ClusterOptions,
    words: Mapping[str, tuple[str, ...]],
) -> Batch:
    places = [place for place, chain in enumerate(every) if progress.due(chain)]
    count = min(at_once or len(places), len(places))
    environment = snapshot.environment(home, options)
    given = {name: os.environ[name] for name in _OURS if name in os.environ}
    steps = [Step(home.path, lane, tuple(places[lane::count]), words, environment, given) for lane in range(count)]
    return Batch("step", _name(home), {step.unit: step for step in steps}, environment)


def tell(home: Path, every: Sequence[Chain]) -> None:
    """Brings the experiment's record up to date; the last lane to end finds that all is over."""
    run = RunDir(home)
    said = None
    while (found := _standing(every)) != said:  # what another lane has noted meanwhile
        state, done, failed = said = found
        record.update(run, state, done=done, failed=failed or None)
    if said is not None and not said[0].goes_on and (submission := read_submission(run.submission)):
        with contextlib.suppress(FileExistsError):  # another lane has told it
            os.close(os.open(run.notified, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
            tell_end(_cluster(run, submission).notify, home, said[0])


@contextlib.contextmanager
def _in_environment(environment: Mapping[str, str]) -> Iterator[None]:
    """Our own is that, for what is started meanwhile."""
    before = dict(os.environ)
    try:
        os.environ.clear()
        os.environ.update(environment)
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


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
    """Ends what a command had submitted before it got no answer any more: the rest of it would lack."""
    known, submission = progress.read(chain)[stage], _submission(chain, stage)
    if submission is None or submission.submitted < (known.began or ""):
        return
    scheduler = scheduler_of(submission)
    scheduler.cancel(submission.ids)
    while any(not state.is_over for state in (scheduler.job_states(submission.ids) or {}).values()):
        time.sleep(_TICK)


def _cluster(home: RunDir, submission: Submission) -> Cluster:
    """What the experiment's own jobs were submitted to. Raises UserError if there is no such scheduler here."""
    return scheduler_of(submission).cluster(home.cluster, {})


def _end_of(chain: Chain, stage: str) -> Status | None:
    """How the jobs of a stage have ended, None if they have not: their files and the scheduler are asked."""
    run = chain.run(stage)
    assert run is not None
    for look in range(_SURE):
        [status] = with_scheduler([read_status(run.path)])
        if not status.is_over:
            return None
        if not status.state.is_presumed:
            break
        time.sleep(_AGAIN if look + 1 < _SURE else 0)  # files may not have come through yet
    return status


def _name(home: RunDir) -> str:
    return f"ecgan-{home.path.name}"
