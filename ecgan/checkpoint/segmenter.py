"""Finds a segmentation network's weights: a training of ours, or a SegFormer of Hugging Face's transformers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ecgan.checkpoint import STATES, list_states, native
from ecgan.checkpoint.weights import insist_on_finite, read_weights
from ecgan.config import SegformerShape
from ecgan.data.images import Size
from ecgan.errors import UserError
from ecgan.files import sha256_of

#: The network's name among the files of a state of ours.
SEGMENTER = "S"
_FOREIGN = ("model.safetensors", "pytorch_model.bin")
_UNUSED = ".num_batches_tracked"
#: Sides of what the network sees are multiples of this.
_STRIDE = 32


@dataclass(frozen=True)
class SegmenterFile:
    """`size`: (width, height) of the photos it was trained on, None if that is not known. `measured`: what our
    training found on the pairs it held out, by name; empty for those of others."""

    path: Path
    sha256: str
    shape: SegformerShape
    size: Size | None
    measured: dict[str, Any]

    def arrays(self) -> dict[str, np.ndarray]:
        """Tensors by transformers' names. Raises UserError if the file is no longer the one that was opened."""
        native.verify(self.path, self.sha256)
        return _read(self.path)


def open_segmenter(path: Path) -> SegmenterFile:
    """`path`: run directory of a training (its best state, else the newest), one of its states, a folder of
    transformers or the file with the weights in it. Raises UserError if there is no such network."""
    if path.is_dir() and (states := list_states(path / STATES)):
        best = native.describe(states[-1])["about"].get("training", {}).get("best") or {}
        chosen = states[-1].with_name(f"step-{best['step']:08}") if "step" in best else states[-1]
        path = chosen if chosen in states else states[-1]
    state = path.parent if path.name == f"{SEGMENTER}.safetensors" else path
    if (state / native.DESCRIPTION).is_file():
        return _open_state(state)
    if path.is_dir():
        found = [path / name for name in _FOREIGN if (path / name).is_file()]
        if not found:
            raise UserError(f"{path} holds no segmentation network: neither states of ours nor {' or '.join(_FOREIGN)}")
        path = found[0]
    if not path.is_file():
        raise UserError(f"segmentation network {path} does not exist")
    return SegmenterFile(path, sha256_of(path), _shape(path, _read(path)), None, {})


def fitting(size: Size) -> Size:
    """The nearest size that the network can see."""
    width, height = (max(_STRIDE, round(side / _STRIDE) * _STRIDE) for side in size)
    return width, height


def _open_state(folder: Path) -> SegmenterFile:
    description = native.describe(folder)
    file = folder / f"{SEGMENTER}.safetensors"
    if file.name not in description["sha256"]:
        raise UserError(f"{folder} is a checkpoint, but not of a segmentation network (it has no {file.name})")
    model = native.model(folder, description)
    native.verify(file, description["sha256"][file.name])
    measured = description["about"].get("training", {}).get("measured") or {}
    shape = _shape(file, _read(file))
    return SegmenterFile(file, description["sha256"][file.name], shape, (model.width, model.height), dict(measured))


def _read(path: Path) -> dict[str, np.ndarray]:
    return {name: array for name, array in read_weights(path).items() if not name.endswith(_UNUSED)}


def _shape(path: Path, arrays: dict[str, np.ndarray]) -> SegformerShape:
    insist_on_finite(path, arrays)
    try:
        shape = SegformerShape.of({name: array.shape for name, array in arrays.items()})
    except KeyError as name:
        raise UserError(f"{path} holds no SegFormer by transformers' names: {name} is missing") from None
    if missing := sorted(shape.tensors - arrays.keys()):
        raise UserError(f"{path} lacks {len(missing)} of a SegFormer's tensors, the first of which is {missing[0]}")
    return shape
