"""What may be wrong with the pairs of a training set: each pair by itself, and photos that resemble each other."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image

from ecgan.config import ModelConfig
from ecgan.data.images import BadImage, Size, WrongClasses, read_bytes, read_mask, read_photo
from ecgan.data.trainset import Pair
from ecgan.threads import in_threads

AuditKind = Literal["unreadable", "classes", "unpaired", "size", "grey", "border", "duplicate", "near_duplicate"]

#: A photo is looked at this small where colours are measured.
_THUMBNAIL = (128, 96)
#: Values of a channel that a solid border spans at most; JPEG makes some noise.
_FLAT = 6
#: Behind a border the colour changes by at least so much, on the mean of so many lines.
_STEP, _BEYOND = 16, 3
#: JPEG smears what lies beyond over so many lines of a border: its blocks of colour are 16 pixels high and wide.
_BLUR = 16
#: Photos that are compared with all others at a time.
_BLOCK = 256
_BITS = np.array([bin(value).count("1") for value in range(256)], np.uint8)


@dataclass(frozen=True)
class Limits:
    """From where on something counts as a fault.

    `chroma`: 95th percentile over a photo of the largest difference between two channels, 0 to 255,
    below which it is grey. `border`: share of the side that a solid border takes. `aspect`: relative
    difference of the aspect ratios of photo or mask and `size`. `distance`: bits of 64 in which the
    perceptual hashes of two near duplicates differ at most.
    """

    size: Size = (512, 384)
    chroma: float = 12.0
    border: float = 0.02
    aspect: float = 0.05
    distance: int = 4


@dataclass(frozen=True)
class AuditFinding:
    """A fault of the pair `name`, with the file and what was measured in `detail`."""

    name: str
    kind: AuditKind
    detail: str


@dataclass(frozen=True)
class Examined:
    """What was seen of one pair. `pixels`: of each class in the mask; `content`, `look`: hashes of the photo's bytes
    and of its appearance (8 bytes), None if it can't be read."""

    findings: tuple[AuditFinding, ...]
    name: str
    pixels: np.ndarray
    content: str | None = None
    look: bytes | None = None


def examine_all(
    pairs: Sequence[Pair], model: ModelConfig, limits: Limits, workers: int, tick: Callable[[], object]
) -> list[Examined]:
    """`examine` on each pair, in threads; `tick` is called after each."""
    return in_threads(lambda pair: examine(pair, model, limits), pairs, workers, tick)


def examine(pair: Pair, model: ModelConfig, limits: Limits) -> Examined:
    findings: list[AuditFinding] = []
    pixels = np.zeros(model.semantic_nc, np.int64)
    mask_size: Size | None = None
    try:
        labels = read_mask(pair.mask, model)
        pixels, mask_size = np.bincount(labels.ravel(), minlength=model.semantic_nc), (labels.shape[1], labels.shape[0])
    except BadImage as error:
        kind: AuditKind = "classes" if isinstance(error, WrongClasses) else "unreadable"
        findings.append(AuditFinding(pair.name, kind, str(error)))
    try:
        content = read_bytes(pair.photo)
        photo = read_photo(pair.photo, content)
    except BadImage as error:
        return Examined((*findings, AuditFinding(pair.name, "unreadable", str(error))), pair.name, pixels)
    findings += _sizes(pair, (photo.shape[1], photo.shape[0]), mask_size, limits)
    findings += _colours(pair, photo, limits)
    return Examined(tuple(findings), pair.name, pixels, hashlib.sha256(content).hexdigest(), _look(photo))


def find_duplicates(examined: Iterable[Examined], limits: Limits) -> list[AuditFinding]:
    """For each photo that is the same as, or hardly differs from, one before it by name. The first is no fault."""
    seen = [(one.name, one.content, one.look) for one in examined if one.content is not None and one.look is not None]
    findings = []
    first_with: dict[str, str] = {}
    different = []
    for name, content, look in seen:
        first = first_with.setdefault(content, name)
        if first != name:
            findings.append(AuditFinding(name, "duplicate", f"the same file as {first}"))
        else:
            different.append((name, look))
    return findings + _near_duplicates(different, limits)


def _near_duplicates(photos: Sequence[tuple[str, bytes]], limits: Limits) -> list[AuditFinding]:
    if not photos:
        return []
    looks = np.frombuffer(b"".join(look for _, look in photos), np.uint8).reshape(len(photos), 8)
    like: dict[int, tuple[int, int]] = {}  # photo -> the first one that it is like, and bits apart
    for start in range(0, len(looks), _BLOCK):
        apart = _BITS[looks[start : start + _BLOCK, None] ^ looks[None]].sum(axis=2, dtype=np.uint8)
        for row, column in zip(*np.nonzero(apart <= limits.distance), strict=True):
            if column < start + row:
                like.setdefault(start + int(row), (int(column), int(apart[row, column])))
    return [
        AuditFinding(photos[later][0], "near_duplicate", f"looks like {photos[first][0]} ({bits} of 64 bits differ)")
        for later, (first, bits) in sorted(like.items())
    ]


def _sizes(pair: Pair, photo: Size, mask: Size | None, limits: Limits) -> list[AuditFinding]:
    """Another size is resized in training; another aspect is distorted by that."""
    findings = []
    for path, size in ((pair.photo, photo), (pair.mask, mask)):
        if size is None:
            continue
        ratio = size[0] / size[1] / (limits.size[0] / limits.size[1])
        if max(ratio, 1 / ratio) > 1 + limits.aspect:
            wanted = f"{limits.size[0]}x{limits.size[1]}"
            findings.append(
                AuditFinding(pair.name, "size", f"{path}: {size[0]}x{size[1]}, another aspect than {wanted}")
            )
    return findings


def _colours(pair: Pair, photo: np.ndarray, limits: Limits) -> list[AuditFinding]:
    findings = []
    small = np.asarray(Image.fromarray(photo).resize(_THUMBNAIL, Image.Resampling.BOX)).astype(np.int16)
    chroma = float(np.percentile(small.max(axis=2) - small.min(axis=2), 95))
    if chroma < limits.chroma:
        findings.append(AuditFinding(pair.name, "grey", f"{pair.photo}: channels differ by {chroma:.0f} of 255"))
    sides = {"top": photo, "bottom": photo[::-1], "left": photo.swapaxes(0, 1), "right": photo.swapaxes(0, 1)[::-1]}
    for side, lines in sides.items():
        share = _solid_lines(lines) / len(lines)
        if share >= limits.border:
            findings.append(
                AuditFinding(pair.name, "border", f"{pair.photo}: {share:.0%} at the {side} is of one colour")
            )
    return findings


def _solid_lines(lines: np.ndarray) -> int:
    """How many lines from the first on are of one and the same colour, if they end abruptly: a clear sky does not."""
    low, high = lines[0].min(axis=0).astype(int), lines[0].max(axis=0).astype(int)
    for number, line in enumerate(lines):
        lower, upper = np.minimum(low, line.min(axis=0)), np.maximum(high, line.max(axis=0))
        if (upper - lower).max() > _FLAT:
            return _abrupt_end(lines, number, (low + high) / 2) if number else 0
        low, high = lower, upper
    return len(lines)


def _abrupt_end(lines: np.ndarray, first: int, colour: np.ndarray) -> int:
    """The line at which `colour` ends within a few lines from `first` on, where it is no longer pure; 0 if it fades."""

    def difference(start: int) -> float:
        return float(np.abs(lines[start : start + _BEYOND].mean(axis=(0, 1)) - colour).max())

    for end in range(first, min(first + _BLUR, len(lines) - _BEYOND)):
        if difference(end) >= _STEP and difference(max(0, end - _BEYOND)) < _STEP / 2:
            return end
    return 0


def _look(photo: np.ndarray) -> bytes:
    """64 bits that similar photos share: signs of the lowest frequencies (ImageHash's phash)."""
    import imagehash  # here: it brings SciPy

    bits = imagehash.phash(Image.fromarray(photo)).hash
    return np.packbits(bits).tobytes()
