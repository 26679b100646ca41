"""A picture is the same to the bit whatever shares its batch, came before it, or computes it with how many threads."""

from __future__ import annotations

import ctypes
import hashlib
import typing
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import TINY_SIZE, DataFolder, draw_mask, draw_photo
from PIL import Image

from ecgan.checkpoint import open_checkpoint
from ecgan.config import Spade
from ecgan.data.images import Size
from ecgan.errors import MachineError
from ecgan.runtime.precision import Precision

#: Also more than there are cores: how work is cut among threads depends on their number alone.
THREADS = (2, 3, 8, 16)
#: Places in `masks`.
NOISE, PLAIN, HALF, PLAIN_AGAIN, COUNT = 1, 2, 3, 6, 8


def masks(size: Size) -> list[np.ndarray]:
    """One of each kind, by which way it takes through the layers, and some that take the same; two are equal."""
    width, height = size
    plain = np.full((height, width), 7, np.uint8)
    noise = np.random.default_rng(5).integers(0, 29, (height, width), np.uint8)
    half = np.where(np.arange(width) < width // 2, noise, plain).astype(np.uint8)
    chessboard = (np.indices((height, width)).sum(axis=0) % 2 * 28).astype(np.uint8)
    drawn = [draw_mask(seed, size) for seed in (3, 4)]
    return [drawn[0], noise, plain, half, drawn[1], chessboard, plain, noise[::-1]]


class Painter:
    """Paints the masks above, by number; picture `i` always has reference and name `i`."""

    def __init__(self, checkpoint: Path, form: Spade, precision: Precision = "float32") -> None:
        from ecgan.synthesis import Synthesiser

        self.form, self.synthesiser = form, Synthesiser(open_checkpoint(checkpoint), form, precision)
        self._masks = np.stack(masks(self.synthesiser.size))
        self._photos = np.stack([draw_photo(i, self.synthesiser.size) for i in range(len(self._masks))])

    def paint(self, *numbers: int) -> list[str]:
        """Their digests."""
        chosen = list(numbers)
        names = [f"n{i}" for i in chosen]
        raw = self.synthesiser.generate(self._masks[chosen], self._photos[chosen], names, [0] * len(names), noise=1.0)
        return [hashlib.sha256(each.tobytes()).hexdigest() for each in raw]

    def paint_all(self, numbers: list[int], batch: int) -> dict[int, str]:
        groups = [numbers[first : first + batch] for first in range(0, len(numbers), batch)]
        return {i: picture for group in groups for i, picture in zip(group, self.paint(*group), strict=True)}


@pytest.fixture(params=["tiny", pytest.param("original", marks=pytest.mark.slow)])
def checkpoint(request: pytest.FixtureRequest) -> Path:
    name = "tiny_checkpoint" if request.param == "tiny" else "original"
    return Path(request.getfixturevalue(name))


@pytest.fixture(params=[*typing.get_args(Spade), "bfloat16"])
def painter(checkpoint: Path, request: pytest.FixtureRequest) -> Painter:
    if request.param != "bfloat16":
        return Painter(checkpoint, request.param)
    try:
        return Painter(checkpoint, "exact-sparse", "bfloat16")
    except MachineError as error:
        pytest.skip(str(error))


@pytest.fixture
def in_bfloat16(tiny_checkpoint: Path) -> Painter:
    try:
        return Painter(tiny_checkpoint, "exact-sparse", "bfloat16")
    except MachineError as error:
        pytest.skip(str(error))


def test_a_picture_does_not_depend_on_what_shares_its_batch(painter: Painter) -> None:
    check_batches(painter, COUNT if painter.form == "exact-sparse" else 5)  # dense, all masks go the same way


def test_a_picture_in_bfloat16_does_not_depend_on_what_shares_its_batch(in_bfloat16: Painter) -> None:
    check_batches(in_bfloat16, COUNT)


def check_batches(painter: Painter, count: int) -> None:
    alone = painter.paint_all(list(range(count)), 1)
    assert len(set(alone.values())) == count
    for batch in (2, 3, 4, 5):
        order = [int(i) for i in np.random.default_rng(batch).permutation(count)]
        together = painter.paint_all(order, batch)
        assert [i for i in order if together[i] != alone[i]] == [], f"batches of {batch} in the order {order}"


def test_a_picture_does_not_depend_on_what_came_before_it(checkpoint: Path) -> None:
    """What a mask decides is kept for a next picture of the same mask, but which is next is a matter of shards."""
    (first,) = Painter(checkpoint, "exact-sparse").paint(PLAIN_AGAIN)
    painter = Painter(checkpoint, "exact-sparse")
    assert painter.paint_all([NOISE, PLAIN, PLAIN_AGAIN], 1)[PLAIN_AGAIN] == first


def test_a_picture_does_not_depend_on_one_that_failed(tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    painter = Painter(tiny_checkpoint, "exact-sparse")
    (expected,) = painter.paint(PLAIN)
    painter.paint(NOISE)
    with monkeypatch.context() as broken:

        def fail(*_: object) -> None:
            raise RuntimeError("out of memory")

        broken.setattr(painter.synthesiser.generator, "_heads", fail)
        with pytest.raises(RuntimeError):
            painter.paint(PLAIN, HALF)
    assert painter.paint(PLAIN) == [expected]


def test_a_picture_does_not_depend_on_the_threads(painter: Painter) -> None:
    """Workers share out the cores: how many threads each has follows from how many there are."""
    check_threads(painter)


def test_a_picture_in_bfloat16_does_not_depend_on_the_threads(in_bfloat16: Painter) -> None:
    check_threads(in_bfloat16)


def check_threads(painter: Painter) -> None:
    openmp = ctypes.CDLL("libgomp.so.1")
    before = openmp.omp_get_max_threads()
    try:
        openmp.omp_set_num_threads(1)
        expected = painter.paint(NOISE), painter.paint(PLAIN), painter.paint(HALF)
        for threads in THREADS:
            openmp.omp_set_num_threads(threads)
            assert (painter.paint(NOISE), painter.paint(PLAIN), painter.paint(HALF)) == expected, threads
    finally:
        openmp.omp_set_num_threads(before)


@pytest.mark.process
def test_results_do_not_depend_on_shards_workers_or_batch(data_folder: Callable[[int], DataFolder]) -> None:
    data = data_folder(COUNT)
    for path, mask in zip(sorted(data.masks.iterdir()), masks(TINY_SIZE), strict=True):
        Image.fromarray(mask).save(path)
    assert data.generate("--format", "png", "--shards", 1, "--workers", 1).returncode == 0
    expected = digests(data.results)
    assert len(expected) == COUNT
    for shards, workers, threads, batch in ((1, 1, 3, 2), (3, 2, 1, 400)):
        options = ("--shards", shards, "--workers", workers, "--threads", threads, "--batch", batch)
        job = data.generate("--format", "png", *options, "--output_path", f"{shards} shards")
        assert job.returncode == 0, job.stderr
        assert f"1 (of {batch} " in job.stdout
        assert digests(data.path / f"{shards} shards") == expected, options


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.png")}
