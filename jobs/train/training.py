"""One rank's training from the run's point of view: begin or go on, measure, save. Starts Jittor when imported."""

from __future__ import annotations

from ecgan.errors import UserError
from ecgan.training import state
from ecgan.training.evaluation import Evaluate
from ecgan.training.loop import Diverged, Step
from ecgan.training.trainee import Trainee
from ecgan.training.world import World
from jobs.run import attempts
from jobs.run.folder import RunDir
from jobs.run.state import State
from jobs.train.best import BestState
from jobs.train.clock import Clock
from jobs.train.plan import TrainPlan
from jobs.train.report import Report
from jobs.train.resume import beginning, identity, insist_on_beginning, standing_of
from jobs.train.standing import Measurement, Standing


class Training:
    """The training of this rank. Only rank 0 writes."""

    def __init__(self, run: RunDir, plan: TrainPlan, world: World) -> None:
        self._run, self._plan, self._world = run, plan, world
        self.trainee: Trainee = plan.settings.trainable.build(plan, world)
        self.clock = Clock(plan, keeps_time=world.is_first)
        self._best = BestState(plan)
        self._report = Report(run, plan, world, self.clock, self.trainee)
        self._evaluate: Evaluate | None = None
        self._measured: Measurement | None = None  # the last time
        self._began = beginning(plan.settings)

    def restore(self) -> int:
        """Loads the newest whole state, or begins. Returns how many steps have been taken."""
        plan, world, report = self._plan, self._world, self._report
        report.begin()
        found = world.from_first(self._newest() if world.is_first else None)
        standing = self._load(found) if found is not None else None
        if standing is None:
            self._begin()
        world.insist_on_equal_weights(self.trainee.parts)
        if plan.held_out:
            self._evaluate = plan.settings.trainable.evaluation(plan, self.trainee, world, report.say)
        step = standing.step if standing else 0
        report.start(step)
        self.clock.start(standing.seconds if standing else 0.0)
        return step

    def note(self, step: Step) -> None:
        """Takes note of a step that has ended."""
        self.clock.step()
        self._best.note(step.losses)
        self._report.note(step)

    def is_measuring_due(self, step: Step) -> bool:
        return self._evaluate is not None and self.clock.is_measuring_due(step.taken)

    def measure(self, step: Step) -> bool:
        """Measures on the pairs held out, all ranks together; whether there was anything to measure."""
        if self._evaluate is None:
            return False
        found = self._evaluate()
        self._measured = Measurement(step.taken, len(self._plan.held_out), found.values)
        self._best.measured(step.taken, found.score)
        self._report.measured(self._measured)
        return True

    def show(self, step: Step, is_last: bool) -> None:
        """Log, metrics, samples and record, each when it is its turn."""
        self._report.show(step, self._measured_after(step), is_last)

    def save(self, step: Step, must_succeed: bool) -> None:
        """Writes the state. If it can't be written, training goes on with the one before, unless it is the last."""
        self._best.saving(step.taken)
        self.clock.saving()
        if not self._world.is_first:
            return
        states, best = self._run.states, self._best.best
        try:
            saved = state.save(
                states, self.trainee, step.taken, self._standing(step).to_json(), attempts.insist_on_newest
            )
            state.prune(states, self._plan.settings.keep_states, [best.step] if best else [])
        except OSError as error:
            self._best.not_saved()
            message = f"the state after step {step.taken} could not be saved ({error.strerror})"
            if must_succeed:
                raise UserError(f"{message}; make room in {states}, and run the same command again") from None
            self._report.not_saved(message)
            return
        self._best.saved()
        self.clock.saved()
        self._report.saved(step, str(saved.path))

    def give_up(self, error: Diverged) -> str:
        """A loss is not a number. Returns what to tell the user."""
        return self._report.diverged(error)

    def end(self, final: State) -> None:
        """It is over for now."""
        self._report.enter(final)
        self._report.close()

    def _newest(self) -> state.SavedState | None:
        """Raises UserError if there has been a state and none can be used."""
        states = self._run.states
        attempts.insist_on_newest()
        state.clear_unfinished(states)
        found = state.newest(states, self._report.say, standing_of)
        if found is None:
            insist_on_beginning(self._run)
        return found

    def _begin(self) -> None:
        plan, settings = self._plan, self._plan.settings
        self.trainee.initialise(settings.seed, settings.init_type, settings.init_variance)
        if plan.files.init:
            self.trainee.start_from(settings.trainable.first_arrays(plan), plan.files.init)

    def _load(self, found: state.SavedState) -> Standing:
        found.load_into(self.trainee)
        standing = standing_of(found)
        self._report.last_checkpoint = str(found.path)
        self._best.go_on(standing.best)
        self._began = standing.began
        return standing

    def _measured_after(self, step: Step) -> Measurement | None:
        return self._measured if self._measured and self._measured.step == step.taken else None

    def _standing(self, step: Step) -> Standing:
        return Standing(
            step=step.taken,
            epoch=step.epoch,
            seconds=self.clock.seconds,
            best=self._best.best,
            measured=self._measured_after(step),
            identity=identity(self._plan),
            began=self._began,
        )
