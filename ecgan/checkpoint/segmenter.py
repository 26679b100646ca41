"""Finds a segmentation network's weights: a training of ours, or a SegFormer of Hugging Face's transformers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ecgan.checkpoint import STATES, list_states, native
from ecgan.checkpoint.tensors import insist_on_fit, of_segformer, segformer_of
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

    def insist_on_classes(self, count: int, field: str = "segmenter") -> None:
        """Raises UserError unless it tells so many classes apart; `field`: the setting that names it."""
        if self.shape.classes != count:
            fact = f"tells {self.shape.classes} classes apart, the masks have {count}"
            raise UserError(fact, field=field, value=self.path)

    def arrays(self) -> dict[str, np.ndarray]:
        """Tensors by transformers' names. Raises UserError if the file is no longer the one that was opened."""
        native.verify(self.path, self.sha256)
        return _read(self.path)


def open_segmenter(path: Path) -> SegmenterFile:
    """`path`: run directory of a training (its best state, else the newest), one of its states, a folder of
    transformers or the file with the weights in it. Raises UserError if there is no such network."""
    states = list_states(path / STATES)
    if states:
        path = _best_of(states)
    state = path.parent if path.name == f"{SEGMENTER}.safetensors" else path
    if state in states or (state / native.DESCRIPTION).is_file():
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


def _best_of(states: list[Path]) -> Path:
    """The one that the newest notes as the best, else the newest."""
    training = native.describe(states[-1])["about"].get("training")
    try:
        best = states[-1].with_name(f"step-{training['best']['step']:08}")
    except (TypeError, KeyError, ValueError):  # none is, as yet
        best = states[-1]
    return best if best in states else states[-1]


def _open_state(folder: Path) -> SegmenterFile:
    description = native.describe(folder)
    file = folder / f"{SEGMENTER}.safetensors"
    if file.name not in description["sha256"]:
        raise UserError(f"{folder} is a checkpoint, but not of a segmentation network (it has no {file.name})")
    model = native.model(folder, description)
    native.verify(file, description["sha256"][file.name])
    shape = _shape(file, _read(file))
    if shape.classes != model.label_nc:
        raise UserError(
            f"{file} tells {shape.classes} classes apart, {native.DESCRIPTION} beside it has {model.label_nc}"
        )
    training = description["about"].get("training")
    measured = training.get("measured") if isinstance(training, dict) else None
    measured = dict(measured) if isinstance(measured, dict) else {}
    return SegmenterFile(file, description["sha256"][file.name], shape, (model.width, model.height), measured)


def _read(path: Path) -> dict[str, np.ndarray]:
    return {name: array for name, array in read_weights(path).items() if not name.endswith(_UNUSED)}


def _shape(path: Path, arrays: dict[str, np.ndarray]) -> SegformerShape:
    insist_on_finite(path, arrays)
    shapes = {name: array.shape for name, array in arrays.items()}
    try:
        shape = segformer_of(shapes)
    except KeyError as name:
        raise UserError(f"{path} holds no SegFormer by transformers' names: {name} is missing") from None
    except IndexError:
        raise UserError(f"{path} holds no SegFormer: a tensor by one of its names is a mere number") from None
    insist_on_fit(str(path), of_segformer(shape), shapes, "a SegFormer")
    return shape
