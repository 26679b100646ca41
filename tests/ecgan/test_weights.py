"""The door for files of weights: one list of formats, one way of finding a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from ecgan.checkpoint.inception import NAME, find_inception, read_inception
from ecgan.checkpoint.segmenter import open_segmenter
from ecgan.checkpoint.vgg import find_vgg19, read_vgg19
from ecgan.checkpoint.weights import read_weights
from ecgan.errors import UserError


@pytest.mark.parametrize("read", [read_vgg19, read_inception, open_segmenter, read_weights])
def test_a_format_that_nobody_knows_is_named(tmp_path: Path, read: Callable[[Path], object]) -> None:
    path = tmp_path / "weights.onnx"
    path.touch()
    with pytest.raises(UserError, match=r"weights\.onnx.*\.safetensors, \.pth"):
        read(path)


def test_letters_may_be_of_any_case(tmp_path: Path) -> None:
    path = tmp_path / "W.SafeTensors"
    save_file({"a": np.arange(3.0)}, path)
    assert list(read_weights(path)) == ["a"]


@pytest.mark.parametrize(
    ("find", "variable", "field"),
    [(find_vgg19, "ECGAN_VGG19", "vgg_weights"), (find_inception, "ECGAN_INCEPTION", "inception_weights")],
)
def test_what_is_named_must_be_there(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    find: Callable[[str | None], Path | None],
    variable: str,
    field: str,
) -> None:
    there = tmp_path / "there.pth"
    there.touch()
    monkeypatch.setenv(variable, str(there))
    assert find(None) == there
    with pytest.raises(UserError, match=f"{field}=.*nothing: no such file"):
        find(str(tmp_path / "nothing"))
    monkeypatch.setenv(variable, str(tmp_path / "nothing"))
    with pytest.raises(UserError, match=f"^{variable} .*nothing: no such file"):
        find(None)
    assert find(str(there)) == there


def test_the_caches_are_looked_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("ECGAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("ECGAN_INCEPTION", raising=False)
    assert find_inception(None) is None
    for folder in (tmp_path / ".cache/torch/hub/checkpoints", tmp_path / "cache"):
        folder.mkdir(parents=True)
        (folder / NAME).touch()
        assert find_inception(None) == folder / NAME
