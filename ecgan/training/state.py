"""The whole state of a training on disk: saved atomically, checked when read, the last few kept.

A state is a checkpoint like any other (`ecgan.checkpoint.native`) with the optimisers' moments beside
the networks, so pictures can be painted from it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ecgan.checkpoint import list_states, native
from ecgan.errors import UserError
from ecgan.files import TEMPORARY_SUFFIX
from ecgan.training.trainee import Trainee

_DAMAGED = "damaged-"


@dataclass(frozen=True)
class SavedState:
    """A saved state. `progress`: what was saved beside the tensors."""

    path: Path
    progress: dict[str, Any]

    def load_into(self, learner: Trainee) -> None:
        """Raises UserError if it does not fit. The files must have been verified."""
        learner.load(
            lambda name: native.read(self.path / f"{name}.safetensors"), self.progress["counters"], str(self.path)
        )


def save(
    states: Path, learner: Trainee, step: int, progress: dict[str, Any], before_rename: Callable[[], None] | None = None
) -> SavedState:
    """Writes the state after `step` steps, whole or not at all. Raises OSError, leaving nothing behind.

    `before_rename` is called when all is written; what it raises keeps the state from coming into being.
    """
    path = states / f"step-{step:08}"
    progress = progress | {"step": step, "counters": learner.counters}
    if path in list_states(states):  # reached again: every state of a step is the same
        return SavedState(path, progress)
    native.save(path, learner.to_arrays(), learner.model, {"training": progress}, before_rename)
    return SavedState(path, progress)


def newest(states: Path, say: Callable[[str], None]) -> SavedState | None:
    """The newest state whose files are whole; None if there has never been one.

    A damaged one is reported through `say` and put aside under another name. Raises UserError if
    there are states, but none is whole.
    """
    found = list_states(states)
    for path in reversed(found):
        try:
            return _verified(path)
        except UserError as error:
            aside = path.with_name(_DAMAGED + path.name)
            say(f"{error}; it is put aside as {aside.name}, and the state before it is taken")
            shutil.rmtree(aside, ignore_errors=True)
            path.rename(aside)
    if found:
        raise UserError(f"no state in {states} is whole", hint="<resume=False> starts from the beginning")
    return None


def prune(states: Path, keep: int, also: Iterable[int]) -> None:
    """Removes all but the last `keep` states and those of the steps in `also`."""
    kept = {f"step-{step:08}" for step in also}
    for path in list_states(states)[:-keep]:
        if path.name not in kept:
            hidden = path.with_name(f".{path.name}{TEMPORARY_SUFFIX}")  # a kill here leaves no half state behind
            path.rename(hidden)
            shutil.rmtree(hidden, ignore_errors=True)


def _verified(path: Path) -> SavedState:
    description = native.describe(path)
    for name, digest in description["sha256"].items():
        native.verify(path / name, digest)
    progress = description["about"].get("training")
    if not isinstance(progress, dict):
        raise UserError(f"{path} is a checkpoint, but not the state of a training")
    return SavedState(path, progress)
