"""Arrays and scalars of NumPy come into Jittor and out of it as they were, whatever their type and layout."""

from __future__ import annotations

import numpy as np
import pytest

from ecgan.runtime import jt

_WHOLE = [f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)]
TYPES = [*_WHOLE, "float16", "float32", "float64", "bool"]
#: What Jittor makes of numbers of 64 bits, unless it is told to keep them.
SMALLER = {"float64": "float32", "int64": "int32", "uint64": "int32"}
LAYOUTS = {
    "plain": lambda a: a,
    "transposed": lambda a: a.transpose(2, 0, 1),
    "reversed": lambda a: a[::-1],
    "in steps": lambda a: a[:, ::2, ::-2],
    "a part": lambda a: a[1:, :, 0],
    "one": lambda a: a[:1, 0, 0],
    "Fortran's": np.asfortranarray,
    "broadcast": lambda a: np.broadcast_to(a[0, 0], (4, 3)),
    "not to be written": lambda a: np.frombuffer(a.tobytes(), a.dtype),
}


def example(type_: str) -> np.ndarray:
    values = np.random.default_rng(0).integers(0, 100, (5, 7, 3))
    return values.astype(type_) if type_ != "bool" else values > 50


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("type_", TYPES)
def test_arrays(type_: str, layout: str) -> None:
    array = LAYOUTS[layout](example(type_))
    for got in (jt.array(array).numpy(), jt.array(array).data):
        # Jittor makes the smaller numbers of what it copies at once, which is all but what is laid out otherwise.
        assert got.dtype in (array.dtype, SMALLER.get(type_)) and np.array_equal(got, array)


@pytest.mark.parametrize("type_", TYPES)
def test_numbers_of_64_bits_can_be_kept(type_: str) -> None:
    array = example(type_)
    got = jt.array64(array).numpy()
    assert got.dtype == array.dtype and np.array_equal(got, array)


@pytest.mark.parametrize("type_", [type_ for type_ in TYPES if type_ != "bool"])  # of which Jittor takes none
def test_scalars(type_: str) -> None:
    scalar = example(type_)[0, 0, 0]
    assert jt.array(scalar).numpy() == scalar


@pytest.mark.parametrize("index", [np.int64(2), np.int32(2), np.uint8(2), np.int16(3), np.int64(-1)], ids=repr)
def test_scalars_that_index(index: np.integer) -> None:
    array = example("float32")
    assert np.array_equal(jt.array(array)[index].numpy(), array[index])


def test_large_arrays() -> None:
    array = np.random.default_rng(0).random((1500, 2000)).astype("float32")
    assert np.array_equal(jt.array(array).numpy(), array) and np.array_equal(jt.array(array.T).numpy(), array.T)


def test_through_the_ring_between_processes() -> None:
    array, ring = example("float32"), jt.core.RingBuffer(1 << 16)
    for each in (array, array.T, array[:, ::2], example("bool"), example("float16")):
        ring.push(each)
        assert np.array_equal(ring.pop(), each)
