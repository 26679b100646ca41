"""The folders and files that are named to whoever does something with results."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ecgan.data.testset import Item, find_test_set
from ecgan.errors import UserError
from jobs.generate.manifest import how_many_of
from jobs.options import resolved
from jobs.samples import sampled, seeds_of


def find_items(
    input_path: str, img_path: str, manifest: dict[str, Any] | None
) -> tuple[tuple[Item, ...], tuple[str, ...]]:
    """Pictures of results by their names, with masks and references, and what is amiss with these. `manifest`: of the
    results, if they have one. Raises UserError if there is no mask."""
    found = find_test_set(Path(input_path).expanduser(), Path(img_path).expanduser())
    reasons = tuple(fault.reason for fault in found.faults)
    if not found.items:
        raise UserError(f"--input_path {input_path}: " + ("\n  ".join(reasons) or "there are no masks"))
    return sampled(found.items[: how_many_of(manifest)], seeds_of(manifest)), reasons


def results_folder(option: str, name: str) -> Path:
    """Absolute. Raises UserError if it is not there."""
    path = resolved(name)
    if not path.is_dir():
        raise UserError(f"{option} {name}: no such folder")
    return path


def output_file(named: str, folders: Sequence[Path]) -> Path:
    """Absolute. Raises UserError if no file can be written there, or it would lie among pictures, in `folders`."""
    output = resolved(named)
    if output.is_dir() or not output.parent.is_dir():
        raise UserError(f"--output {named}: name a file in a folder that exists")
    if not os.access(output.parent, os.W_OK | os.X_OK):
        raise UserError(f"--output {named}: {output.parent} is not writable")
    if any(output.is_relative_to(folder) for folder in folders):
        raise UserError(f"--output {named} lies among the pictures, where it is not one: choose another place")
    return output
