"""Settings held against the world: all is checked on the machine that launches, before anything runs elsewhere."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ecgan.checkpoint import list_states
from ecgan.data.exclusion import LeftOut
from ecgan.data.faults import Fault
from ecgan.errors import UserError
from ecgan.file_notes import FileNotes
from ecgan.runtime.compiling import usable_device
from ecgan.runtime.devices import Device, choose_device, gpu_count
from ecgan.training.state import unfinished_size
from jobs.options import named_in, resolved
from jobs.run import record
from jobs.run.folder import RunDir
from jobs.run.kind import Kind
from jobs.space import insist_on_space
from jobs.train.pairs import find_pairs, hold_out
from jobs.train.plan import TrainPlan
from jobs.train.resume import Resumption, compare_with_state, put_aside
from jobs.train.settings import TrainSettings


@dataclass(frozen=True)
class TrainRequest:
    """A training that can run. `skipped`: bad input that is left out; `excluded`: what the list leaves out.

    `notes`: of what has been opened, so that a next start need not. `resumption`: None to begin.
    """

    plan: TrainPlan
    run: RunDir
    skipped: tuple[Fault, ...]
    excluded: LeftOut
    notes: FileNotes
    resumption: Resumption | None

    @property
    def before(self) -> dict[str, Any]:
        """What the run's record says from the start: how many steps have been taken, and where the last state is."""
        found = self.resumption
        step = found.step if found else 0
        return {"done": step, "before": step, **({"last_checkpoint": str(found.path)} if found else {})}


def check(settings: TrainSettings, elsewhere: tuple[Device, int] | None = None) -> TrainRequest:
    """Checks data, weights, sizes and space, and writes nothing.

    `elsewhere`: device and number of ranks, where it is to run on other machines than this.
    Raises UserError, with all faults of the data in one message.
    """
    run = _run_of(settings)
    files = settings.trainable.find_files(settings)
    found = find_pairs(settings, run.checked)
    if elsewhere is not None:
        device, ranks = elsewhere
    else:
        choose = choose_device if settings.dry_run else usable_device
        device = choose(settings.device)
        ranks = settings.ranks or _default_ranks(settings, device)
    pairs, held_out = hold_out(found.pairs, settings.held_out)
    _insist_on_parts(settings, ranks, len(pairs))
    plan = TrainPlan(settings, pairs, device, ranks, held_out, files)
    resumption = compare_with_state(plan, run) if settings.resume else None
    _insist_on_space(plan, run)
    return TrainRequest(plan, run, found.skipped, found.excluded, found.notes, resumption)


def check_ahead(settings: TrainSettings, awaited: Path, elsewhere: tuple[Device, int] | None = None) -> RunDir:
    """Checks what can be checked before the run in the folder `awaited` has made what this one needs of it; returns the
    folder of this one. `elsewhere`: as for `check`. Raises UserError."""
    if not named_in(settings, awaited):
        return check(dataclasses.replace(settings, dry_run=True), elsewhere).run
    run = _run_of(settings)
    pairs, _ = hold_out(find_pairs(settings, run.checked).pairs, settings.held_out)
    _insist_on_parts(settings, elsewhere[1] if elsewhere else settings.ranks or 1, len(pairs))
    return run


def _run_of(settings: TrainSettings) -> RunDir:
    """Raises UserError if something else lies there."""
    run = RunDir(resolved(settings.run_dir), option="--run_dir")
    record.insist_on_kind(run, Kind.TRAINING)
    return run


def lay_out(request: TrainRequest) -> Path | None:
    """Writes the plan. With --no-resume what an earlier training left is put aside, not deleted; returns where."""
    run, settings = request.run, request.plan.settings
    aside = None if settings.resume else put_aside(run)
    run.create(run.states)
    request.plan.save(run.plan)
    request.notes.save(run.checked)
    return aside


def _default_ranks(settings: TrainSettings, device: Device) -> int:
    """One for each GPU, as far as the batch can be split evenly."""
    gpus = gpu_count() if device == "cuda" else 1
    batch, least = settings.batch_size, 2 if settings.lambda_contrast else 1
    counts = [count for count in range(1, gpus + 1) if batch % (count * (settings.micro_batch or 1)) == 0]
    return max((count for count in counts if batch // count >= least), default=1)


def _insist_on_parts(settings: TrainSettings, ranks: int, pairs: int) -> None:
    batch, micro = settings.batch_size, settings.micro_batch or 1
    if batch % (ranks * micro):
        raise UserError(
            f"--batch_size {batch} can't be split evenly over {ranks} rank(s)"
            + (f" in micro-batches of {micro}" if settings.micro_batch else "")
            + f": it must be a multiple of {ranks * micro}"
        )
    if settings.lambda_contrast and batch == ranks:
        raise UserError(
            f"--lambda_contrast compares pictures that go through G together, and --batch_size {batch} leaves each of "
            f"{ranks} ranks one: lower --ranks, or raise --batch_size"
        )
    if batch > pairs:
        raise UserError(f"--batch_size {batch} is larger than the training set, which has {pairs} usable pair(s)")


def _insist_on_space(plan: TrainPlan, run: RunDir) -> None:
    settings = plan.settings
    size = settings.trainable.state_size(settings)
    missing = max(1, settings.keep_states + 2 - len(list_states(run.states)))  # with the best, and one being written
    needed = max(0, size * missing - unfinished_size(run.states))  # which is removed before the first is saved
    hint = f" (a state takes {size >> 20} MiB); make room, choose another folder, or lower --keep_states"
    insist_on_space("--run_dir", run.path, needed, f"{missing} states", hint)
