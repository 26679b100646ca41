"""What a training tells while it runs: its log, metrics, samples and the run's record. Starts Jittor when imported."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

from ecgan.training import samples
from ecgan.training.loader import LoadedSample
from ecgan.training.loop import Diverged, Step
from ecgan.training.trainee import Trainee
from ecgan.training.world import World
from jobs.run import attempts, failures, record
from jobs.run.clock import duration, now
from jobs.run.failures import Failure
from jobs.run.folder import RunDir
from jobs.run.kind import Kind
from jobs.run.state import State
from jobs.train.clock import Clock
from jobs.train.outputs.recorder import Recorder
from jobs.train.plan import TrainPlan
from jobs.train.standing import Measurement

#: Seconds between two writes of the run's record while nothing but numbers change.
_RECORD_INTERVAL = 1.0


class Report:
    """Every rank has a log of its own; all else is rank 0's."""

    def __init__(self, run: RunDir, plan: TrainPlan, world: World, clock: Clock, trainee: Trainee) -> None:
        self._run, self._plan, self._world, self._clock, self._trainee = run, plan, world, clock, trainee
        self._recorder: Recorder | None = None
        self._samples: list[LoadedSample] = []
        self._unprinted: list[Mapping[str, float]] = []  # losses of the steps since the last line
        self._record_written = time.monotonic()
        self.last_checkpoint: str | None = None

    def begin(self) -> None:
        """The networks are there; how far they have come is still to be seen."""
        if self._world.is_first:
            before = record.read(self._run)
            record.begin(
                self._run,
                Kind.TRAINING,
                State.STARTING,
                done=before.done or 0,  # as the launcher or an earlier attempt had it
                before=before.before,
                last_checkpoint=before.last_checkpoint,
                total=self._plan.steps,
                epochs=self._plan.settings.schedule.epochs,
                ranks=self._world.size,
                device=self._plan.device,
                hosts=tuple(dict.fromkeys(self._world.hosts)),
            )

    def start(self, step: int) -> None:
        """Training begins, or goes on after so many steps."""
        plan, world = self._plan, self._world
        if not world.is_first:
            return
        attempts.insist_on_newest()
        self._recorder = Recorder(self._run, step)
        if plan.settings.display_every_steps:
            self._samples = samples.choose(plan.pairs, plan.settings.samples, plan.settings.model)
        hosts = ", ".join(dict.fromkeys(world.hosts))
        self.say(
            f"{f'going on after step {step}' if self.last_checkpoint else 'beginning'}: {len(plan.pairs)} pairs, "
            f"{plan.steps} steps in all, batch {plan.settings.batch_size} on {world.size} rank(s) "
            f"({plan.device}, {hosts}; gradients through {world.transport})"
        )
        self.enter(State.STARTING, done=step)

    def note(self, step: Step) -> None:
        """Takes note of a step that has ended."""
        self._unprinted.append(step.losses)

    def show(self, step: Step, measured: Measurement | None, is_last: bool) -> None:
        """Log, metrics, samples and record, each when it is its turn. `measured`: after this step."""
        if self._recorder is None:
            return
        attempts.insist_on_newest()
        settings = self._plan.settings
        due = is_last or measured or step.taken % settings.print_every_steps == 0
        if due and self._unprinted:
            self._print(self._recorder, step, measured)
        if settings.display_every_steps and (is_last or step.taken % settings.display_every_steps == 0):
            self._recorder.samples(step.taken, self._trainee.paint(self._samples), self._trainee.headings)
        if is_last or time.monotonic() - self._record_written >= _RECORD_INTERVAL:
            self.enter(State.RUNNING, **self._progress(step))

    def measured(self, found: Measurement) -> None:
        words = ", ".join(f"{name} {value:.4f}" for name, value in found.values.items())
        self.say(f"step {found.step}: {words} on {found.pairs} pairs held out")

    def saved(self, step: Step, path: str) -> None:
        self.last_checkpoint = path
        self.say(f"saved {path}")
        self.enter(State.RUNNING, warning=None, **self._progress(step))

    def not_saved(self, message: str) -> None:
        self.say(f"{message}: going on; the last one is {self.last_checkpoint or 'none'}")
        self.enter(State.RUNNING, warning=message)

    def diverged(self, error: Diverged) -> str:
        """Notes which samples a loss became not finite on; returns what to tell the user."""
        if self._world.is_first:
            with contextlib.suppress(OSError):
                for name in error.names:
                    failures.append(self._run.failures, Failure(name=name, reason=str(error), step=error.step))
        return (
            f"the training diverged in {error}; the last good state is {self.last_checkpoint or 'none'}; "
            f"the batch's names are in {self._run.failures}. A lower --lr may help"
        )

    def enter(self, state: State, **changes: Any) -> None:
        """Updates the run's record."""
        if self._world.is_first:
            record.update(self._run, state, last_checkpoint=self.last_checkpoint, **changes)
            self._record_written = time.monotonic()

    def close(self) -> None:
        if self._recorder is not None:
            self._recorder.close()

    @staticmethod
    def say(message: str) -> None:
        """A line of the log."""
        with contextlib.suppress(OSError):  # the log may lie on the disk that is full
            print(f"{now()}  {message}", flush=True)

    def _print(self, recorder: Recorder, step: Step, measured: Measurement | None) -> None:
        values = _means(self._unprinted) | (measured.values if measured else {})
        self._unprinted = []
        speed, left = self._clock.images_per_second or 0.0, self._clock.seconds_to_go(step.taken)
        recorder.losses(step.taken, step.epoch, values, step.rate, speed)
        shown = "  ".join(f"{name} {value:.4g}" for name, value in values.items())
        self.say(
            f"epoch {step.epoch}/{self._plan.settings.schedule.epochs}  "
            f"step {step.taken}/{self._clock.expected_steps(step.taken)}  {speed:.2f} pictures/s  "
            f"{'?' if left is None else duration(left)} left  lr {step.rate:.3g}  {shown}"
        )

    def _progress(self, step: Step) -> dict[str, Any]:
        return {
            "done": step.taken,
            "total": self._clock.expected_steps(step.taken),
            "epoch": step.epoch,
            "images_per_second": self._clock.images_per_second,
            "eta_seconds": self._clock.seconds_to_go(step.taken),
            "losses": step.losses,
        }


def _means(steps: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Of each loss, over the steps that have it."""
    return {
        name: sum(each[name] for each in steps if name in each) / sum(name in each for each in steps)
        for name in dict.fromkeys(name for each in steps for name in each)
    }
