"""The test set that the user names, for whatever is made of it: found, opened, and what of it can't be used."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ecgan.config import ModelConfig
from ecgan.data.faults import Fault
from ecgan.data.opening import notes_on_files
from ecgan.data.testset import Checked, Item, check_pictures, find_test_set
from ecgan.errors import UserError
from ecgan.file_notes import FileNotes


@dataclass(frozen=True)
class Opened:
    """`items`: all pictures that are asked for, faulty ones included; `faults`: all that is wrong with the input;
    `checked`: what was seen of the files that can be used; `notes`: the same for the next start."""

    items: tuple[Item, ...]
    faults: tuple[Fault, ...]
    checked: Checked
    notes: FileNotes


def open_test_set(
    input_path: str, img_path: str, model: ModelConfig, noted: Path, how_many: int | None = None
) -> Opened:
    """Of the first `how_many` masks. `noted`: file of an earlier start's notes, which may be there.

    Raises UserError if there are no masks, and no fault says why.
    """
    found = find_test_set(Path(input_path).expanduser(), Path(img_path).expanduser())
    items = found.items[:how_many]
    broken = {fault.name for fault in found.faults}  # of these the pictures need not be opened
    notes = notes_on_files(noted, model)
    checked = check_pictures([item for item in items if item.name not in broken], model, notes)
    faults = (*found.faults, *checked.faults)
    if not items and not faults:
        raise UserError(f"--input_path {input_path}: there are no masks")
    return Opened(items, faults, checked, notes)
