"""Writes drawn scenes to disk in the contest's layout (docs/specification.md, section 1)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ecgan.data.images import Size, encode
from ecgan.data.testset import REFERENCES
from ecgan.drawn.noise import stream
from ecgan.drawn.scene import compose, draw
from ecgan.drawn.style import Styles
from ecgan.errors import UserError
from ecgan.files import TEMPORARY_SUFFIX, write_atomically, write_json
from ecgan.progress import progress_bar

PHOTOS, LABELS, TEST_LABELS = "imgs", "labels", "val_B_labels_resized"
_QUALITY = 95


def write_training_set(
    folder: Path,
    count: int,
    seed: int = 0,
    size: Size = (512, 384),
    among: Styles = Styles(),  # noqa: B008
) -> None:
    """`count` pairs in styles `among` those: `folder`/imgs/NAME.jpg and `folder`/labels/NAME.png.

    Picture i depends on `seed`, i, `size` and the styles alone, so a larger set begins with the smaller one.
    Raises UserError if the folders hold anything else, which would become part of the set.
    """
    names = [f"scene_{number:05d}" for number in range(count)]
    photos = _folder(folder / PHOTOS, (f"{name}.jpg" for name in names))
    labels = _folder(folder / LABELS, (f"{name}.png" for name in names))
    with progress_bar(count, "drawing training pairs", "pair") as bar:
        for number, name in enumerate(names):
            photo, mask = draw(_scene_seed(seed, "train", number), size, among=among)
            write_atomically(photos / f"{name}.jpg", encode(photo, "jpg", _QUALITY))
            write_atomically(labels / f"{name}.png", _encode_mask(mask))
            bar.update()


def write_test_set(folder: Path, train_folder: Path, count: int, seed: int = 0, size: Size = (512, 384)) -> None:
    """`count` masks of scenes that no training set has, and for each a training photo to take the style from.

    Raises UserError if `train_folder`/imgs holds no photos, or the masks' folder anything else.
    """
    references = sorted(path.name for path in (train_folder / PHOTOS).glob("*.jpg"))
    if not references:
        raise UserError(f"{train_folder / PHOTOS}: no photos (*.jpg) to take styles from; write a training set first")
    names = [f"test_{number:05d}.png" for number in range(count)]
    labels = _folder(folder / TEST_LABELS, names)
    with progress_bar(count, "drawing test masks", "mask") as bar:
        for number, name in enumerate(names):
            write_atomically(labels / name, _encode_mask(compose(_scene_seed(seed, "test", number), size).labels))
            bar.update()
    chosen = stream(seed, "references").integers(0, len(references), count)
    write_json(folder / REFERENCES, {name: references[place] for name, place in zip(names, chosen, strict=True)})


def _scene_seed(seed: int, part: str, number: int) -> int:
    return int(stream(seed, part, number).integers(1 << 62))


def _encode_mask(labels: np.ndarray) -> bytes:
    """8-bit PNG of one channel."""
    return encode(labels, "png", quality=100)


def _folder(folder: Path, names: Iterable[str]) -> Path:
    """Makes `folder`, unless it is there and holds nothing but `names`."""
    folder.mkdir(parents=True, exist_ok=True)
    present = {path.name for path in folder.iterdir() if path.suffix != TEMPORARY_SUFFIX}
    if strangers := sorted(present - set(names)):
        raise UserError(f"{folder}: holds {len(strangers)} other file(s), such as {strangers[0]}; take an empty folder")
    return folder
