"""What every rank of a training runs: step by step, until done or asked to stop."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ecgan.data.images import BadImage
from ecgan.errors import UserError
from ecgan.runtime import starting
from ecgan.runtime.compiling import compile_core
from jobs import stop
from jobs.run import attempts
from jobs.run.folder import RunDir
from jobs.run.state import State
from jobs.train.plan import TrainPlan


@dataclass(frozen=True)
class TrainJob:
    """One rank of the training planned in `run_dir`; picklable, called where it shall run."""

    run_dir: Path

    def __call__(self) -> None:
        """Returns when the training is done. Called again, it goes on from the last state.

        Raises stop.Stopped if it was asked to stop, with the state saved, and UserError for what the user must mend.
        """
        run = RunDir(self.run_dir)
        plan = TrainPlan.load(run.plan)
        try:
            prepare_code(plan)  # the launcher has done it, unless it stood on another machine
            attempts.mark("joining")
            starting.start(plan.device)
            _train(run, plan)
        except BadImage as error:
            raise UserError(f"{error}; mend it, and the same command goes on") from None


def prepare_code(plan: TrainPlan) -> None:
    """Compiles what the ranks will run, in child processes that show their progress, unless that has been done."""
    compile_core(plan.device)
    plan.settings.trainable.compile(plan)


def _train(run: RunDir, plan: TrainPlan) -> None:
    from ecgan.training.loader import Loader  # here, since these start Jittor
    from ecgan.training.loop import Diverged, Step, steps
    from ecgan.training.world import join
    from jobs.train.training import Training

    world = join(plan.ranks)
    if world.is_first:
        attempts.mark("joined")
    stop.listen()
    training = Training(run, plan, world)
    start = training.restore()
    settings = plan.settings
    loader = Loader(plan.pairs, settings.model, plan.sampler, world.rank, world.size, settings.loader_threads)
    last: Step | None = None
    try:
        end = start if any(world.any([training.clock.is_time_over])) else plan.steps
        for step in steps(training.trainee, loader, plan.sampler, settings.schedule, world, start, end):
            last = step
            training.note(step)
            asked, due, over = world.any(
                [stop.requested(), training.clock.is_save_due(step.taken), training.clock.is_time_over]
            )
            over = over or step.taken == plan.steps
            if over or (training.is_measuring_due(step) and not asked):
                due = training.measure(step) or due
            training.show(step, is_last=over or asked)
            if over or asked or due:
                training.save(step, must_succeed=over)
            if over:
                break
            if asked:
                training.end(State.STOPPED)
                world.wait()  # the first rank to leave ends the others
                raise stop.Stopped
    except Diverged as error:
        raise UserError(training.give_up(error)) from None
    except BadImage:
        if last is not None:  # what has been learnt since the last state must not be lost for a picture
            training.show(last, is_last=True)
            training.save(last, must_succeed=False)
        world.wait()  # the first rank to leave ends the others
        raise
    training.end(State.DONE)
    world.wait()
