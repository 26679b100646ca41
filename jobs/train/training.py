"""One rank's training from the run's point of view: begin or go on, log, show, save. Starts Jittor when imported."""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from ecgan.checkpoint import open_checkpoint
from ecgan.checkpoint.segmenter import SEGMENTER, open_segmenter
from ecgan.checkpoint.vgg import read_vgg19
from ecgan.errors import UserError
from ecgan.training import samples, state
from ecgan.training.evaluation import OfPictures, OfSegmenter
from ecgan.training.learner import Learner
from ecgan.training.loader import LoadedSample
from ecgan.training.loop import Diverged, Step
from ecgan.training.segmenter import SegmenterLearner
from ecgan.training.world import World
from jobs.run import attempts, record
from jobs.run.clock import duration, now
from jobs.run.folder import RunDir
from jobs.run.state import State
from jobs.train.evaluation import evaluation, judged_by
from jobs.train.pace import Pace
from jobs.train.plan import TrainPlan
from jobs.train.record import Recorder

#: Seconds between two writes of the status while nothing but numbers change.
_STATUS_INTERVAL = 1.0
#: Loss terms that measure how far pictures are from the photos; their mean chooses the best state.
_LIKENESS = ("GAN_Feat", "VGG", "L1")


class Training:
    """The training of this rank. Only rank 0 writes."""

    def __init__(self, run: RunDir, plan: TrainPlan, world: World) -> None:
        self._run, self._plan, self._world = run, plan, world
        self.learner = _learner(plan, world)
        self._evaluate: OfSegmenter | OfPictures | None = None
        self._measured: dict[str, float] = {}  # when they were measured last, with the step
        self._pace = Pace(plan.settings.batch_size)
        self._recorder: Recorder | None = None
        self._status_written = self._saved_at = self._clock = time.monotonic()
        self._seconds = 0.0  # of training, in all
        self._last_state: str | None = None
        self._judged_by = judged_by(plan)
        self._best: dict[str, Any] | None = None
        self._best_saved: dict[str, Any] | None = None  # of which there is a state
        self._likeness: list[float] = []  # of each step since the last state
        self._unprinted: list[dict[str, float]] = []  # losses of the steps since the last line
        self._samples: list[LoadedSample] = []

    def restore(self) -> int:
        """Loads the newest whole state, or begins. Returns how many steps have been taken."""
        plan, world, settings = self._plan, self._world, self._plan.settings
        if world.is_first:
            known = {"ranks": world.size, "device": plan.device, "hosts": tuple(dict.fromkeys(world.hosts))}
            known |= {"step": 0, "total": plan.steps, "epochs": settings.schedule.epochs}
            record.begin(self._run, record.TRAINING, State.STARTING, **known)
        found = world.from_first(state.newest(self._run.states, self._say) if world.is_first else None)
        step = 0
        if found is not None:
            found.load_into(self.learner)
            step = int(found.progress["step"])
            self._seconds = float(found.progress["seconds"])
            self._last_state = str(found.path)
            best = found.progress["best"]
            if best and best.get("by") == self._judged_by:
                self._best = self._best_saved = best
        else:
            self.learner.initialise(settings.seed, settings.init_type, settings.init_variance)
            if plan.init:
                self.learner.start_from(_initial(plan, list(self.learner.parts)), plan.init)
        world.insist_on_equal_weights(self.learner.parts)
        if plan.held_out:
            self._evaluate = evaluation(plan, self.learner, world, self._say)
        if world.is_first:
            attempts.insist_on_newest()
            self._recorder = Recorder(self._run, step)
            self._samples = samples.choose(plan.pairs, settings.samples, settings.model)
            hosts = ", ".join(dict.fromkeys(world.hosts))
            self._say(
                f"{f'going on after step {step}' if found else 'beginning'}: {len(plan.pairs)} pairs, "
                f"{plan.steps} steps in all, batch {settings.batch_size} on {world.size} rank(s) "
                f"({plan.device}, {hosts}; gradients through {world.transport})"
            )
        self._update_status(State.STARTING, step=step)
        self._clock = self._saved_at = time.monotonic()
        return step

    def is_measuring_due(self, step: Step) -> bool:
        every = self._plan.settings.eval_every_epochs
        epochs, rest = divmod(step.taken, self._plan.sampler.steps_per_epoch)
        return bool(self._evaluate and every and rest == 0 and epochs % every == 0)

    def measure(self, step: Step) -> bool:
        """Measures on the pairs held out, all ranks together; whether there was anything to measure."""
        if self._evaluate is None:
            return False
        found = self._evaluate()
        self._measured = found.values | {"step": step.taken, "pairs": len(self._plan.held_out)}
        self._consider(step, found.score)
        words = ", ".join(f"{name} {value:.4f}" for name, value in found.values.items())
        self._say(f"step {step.taken}: {words} on {len(self._plan.held_out)} pairs held out")
        return True

    def _consider(self, step: Step, score: float) -> None:
        """Whether this is the best state so far; more is better."""
        if self._best is None or score > self._best["score"]:
            self._best = {"step": step.taken, "score": score, "by": self._judged_by}

    def note(self, step: Step) -> None:
        """Takes note of a step that has ended."""
        self._pace.step()
        moment = time.monotonic()
        self._seconds += moment - self._clock
        self._clock = moment
        self._unprinted.append(step.losses)
        likeness = [step.losses[name] for name in _LIKENESS if name in step.losses]
        if likeness:
            self._likeness.append(sum(likeness))

    def is_save_due(self, step: Step) -> bool:
        settings, sampler = self._plan.settings, self._plan.sampler
        by_steps = settings.save_every_steps and step.taken % settings.save_every_steps == 0
        epochs, rest = divmod(step.taken, sampler.steps_per_epoch)
        by_epochs = settings.save_every_epochs and rest == 0 and epochs % settings.save_every_epochs == 0
        minutes = settings.save_every_minutes if self._world.is_first else 0  # one clock for all
        by_time = minutes and time.monotonic() - self._saved_at >= 60 * minutes
        return bool(by_steps or by_epochs or by_time)

    def is_time_over(self) -> bool:
        minutes = self._plan.settings.max_minutes
        return self._world.is_first and minutes is not None and self._seconds >= 60 * minutes

    def show(self, step: Step, is_last: bool) -> None:
        """Log, metrics, samples and status, each when it is its turn."""
        if self._recorder is None:
            return
        attempts.insist_on_newest()
        settings = self._plan.settings
        is_measured = self._measured.get("step") == step.taken
        if is_last or is_measured or step.taken % settings.print_every_steps == 0:
            self._print(step)
        if settings.display_every_steps and (is_last or step.taken % settings.display_every_steps == 0):
            self._recorder.samples(step.taken, self.learner.paint(self._samples), self.learner.headings)
        if is_last or time.monotonic() - self._status_written >= _STATUS_INTERVAL:
            self._update_status(State.RUNNING, **self._progress(step))

    def save(self, step: Step, must_succeed: bool) -> None:
        """Writes the state. If it can't be written, training goes on with the one before, unless it is the last."""
        if self._likeness and not self._plan.held_out:
            self._consider(step, -sum(self._likeness) / len(self._likeness))
        self._likeness = []
        self._saved_at = time.monotonic()
        if not self._world.is_first:
            return
        progress = {"epoch": step.epoch, "seconds": self._seconds, "best": self._best, "plan": self._plan.summary}
        progress["measured"] = self._measured if self._measured.get("step") == step.taken else None
        try:
            saved = state.save(self._run.states, self.learner, step.taken, progress, attempts.insist_on_newest)
            keep = [] if self._best is None else [int(self._best["step"])]
            state.prune(self._run.states, self._plan.settings.keep_states, keep)
        except OSError as error:
            self._best = self._best_saved
            message = f"the state after step {step.taken} could not be saved ({error.strerror})"
            if must_succeed:
                raise UserError(f"{message}; make room in {self._run.states}, and run the same command again") from None
            self._say(f"{message}: going on; the last one is {self._last_state or 'none'}")
            self._update_status(State.RUNNING, warning=message)
            return
        self._last_state, self._best_saved = str(saved.path), self._best
        self._clock = time.monotonic()
        self._say(f"saved {saved.path}")
        self._update_status(State.RUNNING, warning=None, **self._progress(step))

    def give_up(self, error: Diverged) -> str:
        """Notes which samples a loss became not finite on; returns what to tell the user."""
        message = f"the training diverged in {error}; the last good state is {self._last_state or 'none'}"
        if self._world.is_first:
            entry = {"step": error.step, "names": error.names, "losses": {k: str(v) for k, v in error.losses.items()}}
            with contextlib.suppress(OSError), open(self._run.failures, "a", encoding="utf-8") as file:
                file.write(json.dumps(entry) + "\n")
        return f"{message}; the batch's names are in {self._run.failures}. A lower --lr may help"

    def enter(self, state: State) -> None:
        self._update_status(state)
        if self._recorder is not None:
            self._recorder.close()

    def _print(self, step: Step) -> None:
        assert self._recorder is not None
        losses = {
            name: sum(each[name] for each in self._unprinted if name in each)
            / sum(name in each for each in self._unprinted)
            for name in dict.fromkeys(name for each in self._unprinted for name in each)
        }
        self._unprinted = []
        speed = self._pace.images_per_second or 0.0
        if self._measured.get("step") == step.taken:
            losses |= {name: value for name, value in self._measured.items() if name not in ("step", "pairs")}
        self._recorder.losses(step.taken, step.epoch, losses, step.rate, speed)
        shown = "  ".join(f"{name} {value:.4g}" for name, value in losses.items())
        expected = self._expected(step)
        seconds = self._pace.seconds_for(expected - step.taken)
        left = "?" if seconds is None else duration(seconds)
        self._say(
            f"epoch {step.epoch}/{self._plan.settings.schedule.epochs}  step {step.taken}/{expected}  "
            f"{speed:.2f} images/s  {left} left  lr {step.rate:.3g}  {shown}"
        )

    def _expected(self, step: Step) -> int:
        """Steps when it will end, by number or by time."""
        speed, minutes = self._pace.images_per_second, self._plan.settings.max_minutes
        if minutes is None or speed is None:
            return self._plan.steps
        left = max(0.0, 60 * minutes - self._seconds) * speed / self._plan.settings.batch_size
        return min(self._plan.steps, step.taken + round(left))

    def _progress(self, step: Step) -> dict[str, Any]:
        return {
            "step": step.taken,
            "total": self._expected(step),
            "epoch": step.epoch,
            "done": step.taken * self._plan.settings.batch_size,
            "images_per_second": self._pace.images_per_second,
            "eta_seconds": self._pace.seconds_for(self._expected(step) - step.taken),
            "losses": step.losses,
        }

    def _update_status(self, state: State, **details: Any) -> None:
        if self._world.is_first:
            record.update(self._run, state, last_state=self._last_state, **details)
            self._status_written = time.monotonic()

    @staticmethod
    def _say(message: str) -> None:
        with contextlib.suppress(OSError):  # the log may lie on the disk that is full
            print(f"{now()}  {message}", flush=True)


def _learner(plan: TrainPlan, world: World) -> Learner | SegmenterLearner:
    settings = plan.settings
    if settings.trains_segmenter:
        return SegmenterLearner(settings.model, settings.recipe, world)
    vgg = read_vgg19(Path(plan.vgg)) if plan.vgg else None
    return Learner(settings.model, settings.recipe, world, vgg)


def _initial(plan: TrainPlan, parts: list[str]) -> dict[str, dict[str, np.ndarray]]:
    """Tensors of the checkpoint to start from, by network."""
    assert plan.init is not None
    if plan.settings.trains_segmenter:
        return {SEGMENTER: open_segmenter(Path(plan.init)).arrays()}
    checkpoint = open_checkpoint(Path(plan.init), plan.settings.which_epoch)
    return {name: checkpoint.arrays(name) for name in parts if name in checkpoint.files}
