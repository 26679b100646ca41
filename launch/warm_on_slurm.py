"""Compiles on a node of the cluster, in a small job of its own: `doctor.py --warm --cluster slurm`."""

from __future__ import annotations

import secrets
import sys
import time

from ecgan import runtime
from ecgan.config import ModelConfig
from ecgan.errors import UserError
from jobs.run import attempts
from jobs.run.folder import RunDir
from jobs.run.state import State
from jobs.run.submission import Submission
from jobs.warm import Warm
from launch import on_slurm
from launch.command import DONE, SOME_FAILED
from launch.slurm_options import SlurmOptions
from slurm import controller, script
from slurm.site import Site
from slurm.supervisor import Supervised

_TICK = 1.0


def warm(device: runtime.Device, model: ModelConfig | None, site: Site, options: SlurmOptions) -> int:
    """Submits the job, waits for it and shows what it says; returns the exit status."""
    run = RunDir(runtime.cache_dir() / f"warm-{secrets.token_hex(4)}", option="--cache_dir")
    run.create()
    on_slurm.lay_out(run, site, options)
    shape = script.shard(site, "ecgan-warm", on_slurm.environment_of(run, options))
    job = Supervised(run.path, "warm", Warm(on_slurm.device(device, site), model), site, shape)
    with on_slurm.Sending(run, site) as sending:
        sending.send("warm", shape, [job])
    submission = sending.submission
    print(f"submitted  warm: job {submission.ids[0]}, logs in {run.path}", flush=True)
    outcome = _wait(run, submission)
    for log in sorted(run.logs.glob("warm-*/rank-0.log")):
        print(log.read_text(errors="replace"), end="")
    if outcome is State.DONE:
        return DONE
    print(f"error: {outcome}: see the logs in {run.path}", file=sys.stderr)
    return SOME_FAILED


def _wait(run: RunDir, submission: Submission) -> State:
    """How the last attempt ended. Interrupted, the job is cancelled: nobody would look at what it says."""
    try:
        while True:
            every = attempts.every(run.attempts, "warm")
            outcome = every[-1].details.outcome if every else None
            if outcome not in (None, State.REQUEUED):
                return outcome
            states = controller.job_states(submission.ids)
            if states is not None and all(state.is_over for state in states.values()) and not every:
                raise UserError(f"job {submission.ids[0]} is gone without having begun")
            time.sleep(_TICK)
    except KeyboardInterrupt:
        controller.cancel(submission.ids)
        raise
