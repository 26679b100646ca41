"""Ends runs: their jobs on a cluster, or the command that runs them on this machine. What they have made is kept.

python launch/cancel.py runs/ecgan
python launch/cancel.py experiments/NAME --variant VARIANT
"""

from __future__ import annotations

import dataclasses
import os
import runpy
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobs.experiment.chains import Chain

try:
    from launch import early  # isort: skip

    early.begin(__name__)
    from ecgan.errors import Unavailable, UserError
    from jobs.options import option
    from jobs.run import lock, record
    from jobs.run.clock import now
    from jobs.run.find import run_of
    from jobs.run.folder import RunDir
    from jobs.run.kind import Kind
    from jobs.run.status import read_status
    from jobs.run.submission import read_submission
    from launch.command import DONE, parse, run
    from launch.scheduler import scheduler_of
except ModuleNotFoundError as missing:
    runpy.run_path(str(Path(__file__).with_name("missing.py")))["exit_if_not_installed"](missing)
    raise


@dataclass(frozen=True)
class CancelSettings:
    run_dirs: tuple[str, ...] = option((), "folders of the runs to end", positional=True, path=True)
    variant: str | None = option(None, "of an experiment: end this variant's chains alone")


def main() -> int:
    settings = parse(CancelSettings, "Ends runs. What they have made is kept; the same command goes on from there.")
    for given in settings.run_dirs:
        run_dir = RunDir(run_of(Path(given).expanduser()))
        done = cancel(run_dir) if settings.variant is None else cancel_variant(run_dir, settings.variant)
        print(f"{run_dir.path}: {done}", flush=True)
    return DONE


def cancel(run_dir: RunDir) -> str:
    """Ends the run in `run_dir` and says what was done. Raises UserError if it can't be ended."""
    status = read_status(run_dir.path)
    submission = read_submission(run_dir.submission)
    if submission is None:
        return _stop_launcher(run_dir, status.is_over)
    scheduler = scheduler_of(submission)
    title, states = scheduler.title, scheduler.job_states(submission.ids)
    if states is None:
        raise Unavailable(f"{run_dir.path}: no {title} controller answers; ask again where {title}'s commands work")
    if status.kind is Kind.EXPERIMENT:
        _end_chains(_chains_left(run_dir))
    if all(state.is_over for state in states.values()):
        return f"no job of it is left ({status.state})"
    done, words = scheduler.cancel(submission.ids)
    if not done:
        raise UserError(f"{run_dir.path}: {words}")
    dataclasses.replace(submission, cancelled=now()).save(run_dir.submission)
    return f"cancelled job(s) {', '.join(submission.ids)}; they save what they have and end within {title}'s grace time"


def cancel_variant(run_dir: RunDir, variant: str) -> str:
    """Ends the chains of one of an experiment's variants, begun or not. Raises UserError if it has none such."""
    record.insist_on_kind(run_dir, Kind.EXPERIMENT)
    left = _chains_left(run_dir, variant)
    if not left or read_status(run_dir.path).is_over:
        return f"nothing of {variant} runs"
    _end_chains(left)
    return f"{len(left)} chain(s) of {variant} end, and keep what is finished; the others go on"


def _chains_left(run_dir: RunDir, variant: str | None = None) -> list[Chain]:
    """An experiment's chains, or those of a variant, that are not done. Raises UserError if there is none such."""
    from jobs.experiment import chains, progress  # which import what other runs need not

    every = chains.load(run_dir.plan)
    names = dict.fromkeys(chain.variant for chain in every)
    if variant is not None and variant not in names:
        raise UserError(f"--variant {variant}: {run_dir.path} has none such; there are {', '.join(names)}")
    return [chain for chain in every if variant in (None, chain.variant) and progress.due(chain)]


def _end_chains(left: Sequence[Chain]) -> None:
    """Whoever goes on with them finds the mark; what they have submitted is cancelled."""
    for chain in left:
        chain.folder.mkdir(parents=True, exist_ok=True)
        chain.cancelled.touch()
    for run in (run for chain in left for stage in chain.settings if (run := chain.run(stage))):
        if read_submission(run.submission) and not read_status(run.path).is_over:
            cancel(run)


def _stop_launcher(run_dir: RunDir, is_over: bool) -> str:
    if is_over:
        return "nothing of it runs"
    holder = lock.holder(run_dir)
    if holder.pid is None or not holder.lives_here:
        raise UserError(f"{run_dir.path}: the command that runs it is not on this machine; stop it there")
    os.kill(holder.pid, signal.SIGTERM)
    return f"asked process {holder.pid} to stop; it keeps what is finished"


if __name__ == "__main__":
    run(main)
