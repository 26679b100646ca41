"""The pairs that a training learns from: found, opened once, and some of them held out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ecgan.data.exclusion import LeftOut, read_exclude_list
from ecgan.data.faults import Fault
from ecgan.data.opening import notes_on_files
from ecgan.data.trainset import Pair, check_pairs, find_training_set
from ecgan.errors import UserError
from ecgan.file_notes import FileNotes
from jobs.faults import report
from jobs.train.settings import TrainSettings


@dataclass(frozen=True)
class UsablePairs:
    """`pairs`: those that can be used. `skipped`: what is wrong with the others; `excluded`: what the list leaves
    out. `notes`: of what has been opened, for the next start."""

    pairs: tuple[Pair, ...]
    skipped: tuple[Fault, ...]
    excluded: LeftOut
    notes: FileNotes


def find_pairs(settings: TrainSettings, noted: Path) -> UsablePairs:
    """Opens every picture, but those of which the file `noted` says that it was done, and that have not changed since.

    Raises UserError with all faults in one message, unless they are to be skipped.
    """
    path = Path(settings.input_path).expanduser().absolute()
    exclude = read_exclude_list(Path(settings.exclude_list).expanduser()) if settings.exclude_list else ()
    found = find_training_set(path, exclude)
    pairs = found.pairs[: settings.max_dataset_size]
    notes = notes_on_files(noted, settings.model)
    faults = (*found.faults, *check_pairs(pairs, settings.model, notes))
    broken = {fault.name for fault in faults}
    usable = tuple(pair for pair in pairs if pair.name not in broken)
    if not faults and not pairs:
        raise UserError(f"--input_path {path}: there are no pairs of photo and mask")
    if faults and (settings.on_bad_input == "stop" or not usable):
        go_on = f"to train on the other {len(usable)} pairs" if usable else ""
        raise UserError(report(faults, "the training set", "done", go_on))
    return UsablePairs(usable, faults, found.excluded, notes)


def hold_out(pairs: tuple[Pair, ...], count: int) -> tuple[tuple[Pair, ...], tuple[Pair, ...]]:
    """What is trained on, and `count` of the pairs, evenly spread, that are not."""
    if count >= len(pairs):
        raise UserError(f"--held_out {count} leaves nothing of the training set, which has {len(pairs)} usable pair(s)")
    chosen = {i * len(pairs) // count for i in range(count)}
    return (
        tuple(pair for i, pair in enumerate(pairs) if i not in chosen),
        tuple(pair for i, pair in enumerate(pairs) if i in chosen),
    )
