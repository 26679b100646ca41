"""A training's ranks on this machine: started, watched with one bar over all steps, stopped when the user says so."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from ecgan.progress import progress_bar
from jobs.run import record
from jobs.run.folder import RunDir
from jobs.run.kind import Kind
from jobs.run.state import State
from jobs.train.job import TrainJob, prepare_code
from jobs.train.request import TrainRequest
from launch.command import DONE, INTERRUPTED, SOME_FAILED, STOPPED, Terminated
from slurm.processes import ends, resources, starters
from slurm.processes.ranks import Ranks

#: Seconds between two looks at the record.
_TICK = 0.5


def train(request: TrainRequest, environment: Mapping[str, str], held: int) -> int:
    """Runs the ranks and shows how far they are, until they have ended; returns the exit status.

    `environment` is every rank's, and `held` the lock that they keep as long as they live.
    """
    run_dir, plan = request.run, request.plan
    record.begin(run_dir, Kind.TRAINING, State.STARTING, total=plan.steps, **request.before)
    prepare_code(plan)
    share = resources.thread_environment(resources.threads(plan.ranks))
    starter, job = starters.here(plan.ranks), TrainJob(run_dir.path)
    ranks = Ranks(job, starter, {**environment, **share}, run_dir.logs, keep_open=[held])
    try:
        _watch(request, ranks)
    except (KeyboardInterrupt, Terminated) as error:
        return _stop(request, ranks, by_user=isinstance(error, KeyboardInterrupt))
    except BaseException:
        ranks.kill()
        raise
    return _report(run_dir, ranks, plan.settings.trainable.use)


def _watch(request: TrainRequest, ranks: Ranks) -> None:
    """One bar over all steps, from the record that rank 0 updates."""
    plan, first = request.plan, request.before["done"]
    with progress_bar(plan.steps, Kind.TRAINING.doing, Kind.TRAINING.unit, initial=first) as bar:
        while not ranks.wait(_TICK):
            told = record.read(request.run)
            if not told.state.is_at_work or told.done is None:
                bar.unpause()  # loading and compiling are not training: rate and ETA leave them out
                continue
            shown = [f"{told.images_per_second:.2f} pictures/s"] if told.images_per_second else []
            shown += [f"{name} {value:.3g}" for name, value in (told.losses or {}).items()]
            bar.set_postfix_str(", ".join(shown), refresh=False)
            if told.done > bar.n:
                bar.total = told.total
                bar.update(told.done - bar.n)


def _stop(request: TrainRequest, ranks: Ranks, by_user: bool) -> int:
    """Lets the ranks finish their step and save; a second signal ends them at once."""
    run_dir, plan = request.run, request.plan
    print("\nstopping: finishing the step and saving the state (again: end at once)", file=sys.stderr, flush=True)
    ranks.ask_to_stop()
    try:
        while not ranks.wait(_TICK):
            pass
    except (KeyboardInterrupt, Terminated):
        ranks.kill()
        record.update(run_dir, State.STOPPED)
        print("ended at once; the same command goes on from the last state that was saved", file=sys.stderr)
        return INTERRUPTED if by_user else STOPPED
    status = _report(run_dir, ranks, plan.settings.trainable.use)
    return INTERRUPTED if by_user and status == STOPPED else status


def _report(run_dir: RunDir, ranks: Ranks, use: str) -> int:
    """Says how it ended; returns the exit status."""
    told = record.read(run_dir)
    if ranks.status == ends.DONE:
        print(f"done: {told.last_checkpoint}; {use} {run_dir.path}")
        return DONE
    if ranks.status == ends.STOPPED:
        print(f"stopped after step {told.done}; the same command goes on from there", file=sys.stderr)
        return STOPPED
    trouble = ranks.trouble() or "unknown"
    print(f"error: {trouble} (logs in {run_dir.logs})", file=sys.stderr)
    record.update(run_dir, State.FAILED, error=trouble, log=str(run_dir.logs))
    if told.last_checkpoint:
        print(f"the last state is {told.last_checkpoint}: the same command goes on from there", file=sys.stderr)
    return SOME_FAILED
