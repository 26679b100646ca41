"""The whole state of a training on disk: saved atomically, checked when read, the last few kept.

A state is a checkpoint like any other (`ecgan.checkpoint.native`) with the optimisers' moments beside
the networks, so pictures can be painted from it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ecgan.checkpoint import list_states, native, tensors
from ecgan.config import ModelConfig
from ecgan.errors import UserError
from ecgan.files import TEMPORARY_SUFFIX
from ecgan.training.trainee import Trainee

_DAMAGED = "damaged-"
#: How many damaged states a message tells of.
_SHOWN = 3


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


def look_at(path: Path) -> SavedState:
    """The state at `path`, if it is one as far as its description and the headers of its files tell, which takes no
    time. Raises UserError."""
    description = native.describe(path)
    model = ModelConfig.from_dict(description["model"])
    for file in description["sha256"]:
        found = native.shapes(path / file)
        wanted = tensors.of_file(Path(file).stem, model)
        if wanted is not None:
            tensors.insist_on_fit(str(path / file), wanted, found, "the checkpoint's model")
    progress = description["about"].get("training")
    if not isinstance(progress, dict):
        raise UserError(f"{path} is a checkpoint, but not the state of a training")
    return SavedState(path, progress)


def newest(
    states: Path, say: Callable[[str], None], accept: Callable[[SavedState], object] = lambda _: None
) -> SavedState | None:
    """The newest state whose files are whole, and which `accept` does not refuse with a UserError; None if there has
    never been one.

    Newer ones are damaged: that is reported through `say`, and they are put aside under another name. Raises UserError
    if no state is whole; then all stay as they are.
    """
    found = None
    damaged: list[Path] = []
    for path in reversed(list_states(states)):
        try:
            found = _verified(path)
            accept(found)
            break
        except UserError as error:
            found = None
            damaged.append(path)
            say(str(error))
    if found is None:
        insist_on_none(states)
        return None
    for path in damaged:
        aside = path.with_name(_DAMAGED + path.name)
        say(f"{path.name} is put aside as {aside.name}; {found.path.name} is taken")
        shutil.rmtree(aside, ignore_errors=True)
        path.rename(aside)
    return found


def insist_on_none(states: Path, damaged: Sequence[str] = ()) -> None:
    """For who has found no whole state: raises UserError if there are others, or have been before they were put aside.

    `damaged`: what is wrong with them, as far as that is known.
    """
    if list_states(states) or any(states.glob(f"{_DAMAGED}step-*")):
        why = f" ({'; '.join(damaged[:_SHOWN])})" if damaged else ""
        raise UserError(f"no state in {states} is whole{why}", hint="<resume=False> starts from the beginning")


def clear_unfinished(states: Path) -> None:
    """Removes what was being written or removed when a process was killed. Only for who writes states."""
    for path in _unfinished(states):
        shutil.rmtree(path, ignore_errors=True)


def unfinished_size(states: Path) -> int:
    """Bytes of what `clear_unfinished` would remove."""
    return sum(file.stat().st_size for path in _unfinished(states) for file in path.glob("*"))


def prune(states: Path, keep: int, also: Iterable[int]) -> None:
    """Removes all but the last `keep` states and those of the steps in `also`."""
    kept = {f"step-{step:08}" for step in also}
    for path in list_states(states)[:-keep]:
        if path.name not in kept:
            hidden = path.with_name(f".{path.name}{TEMPORARY_SUFFIX}")  # a kill here leaves no half state behind
            path.rename(hidden)
            shutil.rmtree(hidden, ignore_errors=True)


def _unfinished(states: Path) -> list[Path]:
    return list(states.glob(f".step-*{TEMPORARY_SUFFIX}"))


def _verified(path: Path) -> SavedState:
    state = look_at(path)
    for name, digest in native.describe(path)["sha256"].items():
        native.verify(path / name, digest)
    return state
