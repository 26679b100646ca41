"""What every rank of a training runs: step by step, until done or asked to stop."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ecgan import runtime
from ecgan.data.images import BadImage
from ecgan.errors import UserError
from ecgan.warm import warm_scoring, warm_segmenter, warm_training
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
            runtime.start(plan.device)  # type: ignore[arg-type]
            _train(run, plan)
        except BadImage as error:
            raise UserError(f"{error}; mend it, or leave it out with --exclude_list in a new run") from None


def prepare_code(plan: TrainPlan) -> None:
    """Compiles what the ranks will run, in child processes that show their progress, unless that has been done."""
    settings = plan.settings
    runtime.compile_core(plan.device)  # type: ignore[arg-type]
    at_once = settings.micro_batch or settings.batch_size // plan.ranks
    if settings.trains_segmenter:
        warm_segmenter(settings.model, settings.recipe, at_once, plan.device)
    else:
        warm_training(settings.model, settings.recipe, at_once, plan.device)
    if plan.segmenter or plan.inception:
        warm_scoring(plan.inception, plan.segmenter, plan.segmenter_size, plan.device)


def _train(run: RunDir, plan: TrainPlan) -> None:
    from ecgan.training.loader import Loader  # here, since these start Jittor
    from ecgan.training.loop import Diverged, steps
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
    try:
        end = start if any(world.any([training.is_time_over()])) else plan.steps
        for step in steps(training.learner, loader, plan.sampler, settings.schedule, world, start, end):
            training.note(step)
            asked, due, over = world.any([stop.requested(), training.is_save_due(step), training.is_time_over()])
            over = over or step.taken == plan.steps
            if over or (training.is_measuring_due(step) and not asked):
                due = training.measure(step) or due
            training.show(step, is_last=over or asked)
            if over or asked or due:
                training.save(step, must_succeed=over)
            if over:
                break
            if asked:
                training.enter(State.STOPPED)
                world.wait()  # the first rank to leave ends the others
                raise stop.Stopped
    except Diverged as error:
        raise UserError(training.give_up(error)) from None
    training.enter(State.DONE)
    world.wait()
