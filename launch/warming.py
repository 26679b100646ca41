"""What `doctor.py --warm` does: compiles here, or on a node of the cluster in a small job of its own."""

from __future__ import annotations

import secrets
import shutil
import sys
import time

from ecgan.config import ModelConfig
from ecgan.errors import UserError
from ecgan.runtime.cache import cache_dir, log_dir
from ecgan.runtime.compiling import start_in_child
from ecgan.runtime.devices import Device, DeviceChoice
from ecgan.runtime.warming import warm_painting
from jobs.run import attempts
from jobs.run.folder import RunDir
from jobs.run.kind import Kind
from jobs.run.state import State
from jobs.run.submission import Submission
from jobs.warm import Warm
from launch import on_cluster, snapshot
from launch.checks.rows import Row
from launch.cluster_options import ClusterOptions
from launch.command import DONE, SOME_FAILED, Terminated
from slurm.scheduler import Batch, Cluster, Scheduler

#: Seconds between two looks; and how many that find neither a job nor how it ended are believed.
_TICK, _SURE = 1.0, 3


def warm_here(asked: DeviceChoice, model: ModelConfig | None) -> tuple[Row, Device | None]:
    """Compiles Jittor's core and, given a model, its operators, in child processes that show their progress.

    Returns a row, and the device that Jittor runs on (it may fall back to the CPU) unless it does not start.
    """
    name, how = "warming up", f"the logs are in {log_dir()}"
    used = None
    try:
        used = start_in_child(asked)
        if model is None:
            return Row(name, "ok", f"Jittor's core is compiled and starts on {used}"), used
        warm_painting(model, used)
    except UserError as error:
        return Row(name, "missing", str(error), how), used
    return Row(name, "ok", f"Jittor's core and the model's operators are compiled for {used}"), used


def warm_on_cluster(asked: DeviceChoice, model: ModelConfig | None, cluster: Cluster, options: ClusterOptions) -> int:
    """Submits the job, waits for it and shows what it says; returns the exit status."""
    run = RunDir(cache_dir() / f"warm-{secrets.token_hex(4)}", option="--cache_dir")
    cluster.insist_on_usable(run.path)
    warm = Warm(on_cluster.device(asked, cluster), model)
    batch = Batch("warm", "ecgan-warm", {attempts.WARM: warm}, snapshot.environment(run, options))
    run.create()
    try:
        submission = on_cluster.submit(run, cluster, options, [batch], Kind.WARMING)
    except UserError:
        shutil.rmtree(run.path)
        raise
    print(f"submitted  warm: job {submission.ids[0]}, logs in {run.path}", flush=True)
    outcome = _wait(run, submission, cluster.scheduler)
    for log in sorted(run.logs.glob("warm-*/rank-0.log")):
        print(log.read_text(errors="replace"), end="")
    if outcome.is_success:
        return DONE
    print(f"error: {outcome}: see the logs in {run.path}", file=sys.stderr)
    return SOME_FAILED


def _wait(run: RunDir, submission: Submission, scheduler: Scheduler) -> State:
    """How the last attempt ended, or the job under it. Raises UserError if there was no attempt.

    Interrupted, the job is cancelled: nobody would look at what it says.
    """
    absent = 0
    try:
        while True:
            every = attempts.every(run.attempts, attempts.WARM)
            outcome = every[-1].details.outcome if every else None
            if outcome is not None and not outcome.goes_on:
                return outcome
            states = scheduler.job_states(submission.ids)
            is_gone = states is not None and all(state.is_over for state in states.values())
            absent = absent + 1 if is_gone else 0
            if states is not None and absent >= _SURE:  # what it wrote would have come through by now
                if not every:
                    raise UserError(f"job {submission.ids[0]} is gone without having begun")
                return next((state.standing for state in states.values() if not state.standing.is_success), State.DIED)
            time.sleep(_TICK)
    except (KeyboardInterrupt, Terminated):
        scheduler.cancel(submission.ids)
        raise
