"""The restricted unpickler: the original's tensors come in, code does not."""

from __future__ import annotations

import hashlib
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecgan.checkpoint.original import MAGIC, read_arrays, read_options
from ecgan.errors import UserError


def write(path: Path, value: Any, protocol: int = 4) -> Path:
    content = pickle.dumps(value, protocol)
    path.write_bytes(content + hashlib.sha1(content).digest() + MAGIC)
    return path


class Runs:
    """A pickle of this runs a command when it is loaded by the ordinary unpickler."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> Any:
        return self.function, self.arguments


def test_arrays_come_in_whole(tmp_path: Path) -> None:
    arrays = {"a.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.ones(1, np.float64)}
    loaded = read_arrays(write(tmp_path / "x.pkl", arrays))
    assert loaded.keys() == arrays.keys()
    assert all(np.array_equal(loaded[name], arrays[name]) for name in arrays)
    assert all(array.dtype == np.float32 for array in loaded.values())


@pytest.mark.parametrize(
    "function, name", [(os.system, "system"), (eval, "eval"), (getattr, "getattr"), (open, "open")]
)
def test_pickle_that_runs_code_is_refused(tmp_path: Path, function: Any, name: str) -> None:
    mark = tmp_path / "it ran"
    path = write(tmp_path / "evil.pkl", {"a": Runs(function, f"touch '{mark}'")})
    with pytest.raises(UserError, match=f"refused.*{name}"):
        read_arrays(path)
    assert not mark.exists()


def test_functions_of_numpy_are_refused_too(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="refused"):
        read_arrays(write(tmp_path / "evil.pkl", {"a": Runs(np.fromfile, "/etc/passwd")}))


def test_arrays_of_objects_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="refused"):
        read_arrays(write(tmp_path / "evil.pkl", {"a": np.array([{}], dtype=object)}))


@pytest.mark.parametrize("value", [[1, 2], {}, {"a": "text"}, {1: np.ones(2)}, {"a": np.ones(2, np.int64)}])
def test_anything_but_named_floats_is_an_error(tmp_path: Path, value: Any) -> None:
    with pytest.raises(UserError, match=str(tmp_path / "x.pkl")):
        read_arrays(write(tmp_path / "x.pkl", value))


def test_damage_is_noticed(tmp_path: Path) -> None:
    path = write(tmp_path / "x.pkl", {"a": np.ones(100, np.float32)})
    content = path.read_bytes()
    path.write_bytes(content[:200] + bytes([content[200] ^ 1]) + content[201:])
    with pytest.raises(UserError, match="checksum"):
        read_arrays(path)
    path.write_bytes(content[:-30])
    with pytest.raises(UserError, match="cut off"):
        read_arrays(path)
    with pytest.raises(UserError, match=r"none\.pkl"):
        read_arrays(tmp_path / "none.pkl")


def test_options_lose_their_remarks(tmp_path: Path) -> None:
    path = tmp_path / "opt.txt"
    path.write_text(
        "   crop_size: 256     \t[default: 512]\n  name: a b  \n----- End -----\n   aspect_ratio: 1.333  \n"
    )
    assert read_options(path) == {"crop_size": "256", "name": "a b", "aspect_ratio": "1.333"}
