"""The segmentation network against Hugging Face's, recorded once, and reading its weights wherever they come from."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from drawn import SEGFORMER, segformer_weights
from safetensors.numpy import save_file

from ecgan.checkpoint import native
from ecgan.checkpoint.segmenter import open_segmenter
from ecgan.checkpoint.tensors import of_segformer, segformer_of
from ecgan.config import ModelConfig, SegformerShape
from ecgan.errors import UserError


def drawn_photos() -> np.ndarray:
    return np.random.default_rng(7).integers(0, 256, (2, 64, 96, 3)).astype(np.uint8)


@pytest.mark.parametrize("size", ["b0", "b1"])
def test_outputs_are_those_of_transformers(size: str) -> None:
    from ecgan.networks import load_arrays
    from ecgan.networks.segformer import Segformer
    from ecgan.runtime import jt
    from ecgan.synthesis import to_network

    arrays, wanted = segformer_weights(size), SEGFORMER[size]
    network = Segformer(segformer_of(shapes(arrays)))
    load_arrays(network, arrays, size)
    network.eval()
    with jt.no_grad():
        seen = network(jt.array(to_network(drawn_photos())))
        logits, deepest = seen.logits.numpy(), seen.maps[-1].numpy()
    assert logits.shape == (2, 29, 16, 24)
    assert np.abs(logits[:, :, 5, 7] - wanted["first"]).max() < 1e-3
    assert np.abs(logits).sum((1, 2, 3)) == pytest.approx(wanted["sums"], rel=1e-4)
    assert np.abs(deepest).sum((1, 2, 3)) == pytest.approx(wanted["deepest"], rel=1e-4)


def test_a_segmenter_sees_any_size_and_gives_labels_at_the_photos(tmp_path: Path) -> None:
    from ecgan.segmentation import Segmenter

    file = tmp_path / "model.safetensors"
    save_file(segformer_weights("b0") | {"decode_head.batch_norm.num_batches_tracked": np.int64([3])}, file)
    found = open_segmenter(tmp_path)
    assert found.shape == SegformerShape() and found.size is None and not found.measured
    segmenter = Segmenter(found)
    photo = drawn_photos()[0]
    whole = segmenter(photo)
    assert whole.labels.shape == (64, 96) and whole.labels.dtype == np.uint8 and whole.labels.max() < 29
    assert len(np.unique(whole.labels)) > 1 and whole.features.shape == (256,)
    assert segmenter(photo[:50, :70]).labels.shape == (50, 70)
    file.write_bytes(file.read_bytes()[:-8] + b"12345678")
    with pytest.raises(UserError, match="damaged"):
        found.arrays()


def shapes(weights: dict[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
    return {name: array.shape for name, array in weights.items()}


def test_tensors_of_another_shape_are_named_before_a_network_is_built(tmp_path: Path) -> None:
    weights = segformer_weights("b0")
    name = "segformer.encoder.block.0.1.mlp.dense1.weight"
    save_file(weights | {name: np.zeros((3, 3), np.float32)}, tmp_path / "model.safetensors")
    with pytest.raises(UserError, match=rf"model.safetensors.*{name} has shape"):
        open_segmenter(tmp_path)
    native.save(tmp_path / "state", {"S": weights}, ModelConfig(label_nc=7), {})
    with pytest.raises(UserError, match="S.safetensors tells 29 classes apart"):
        open_segmenter(tmp_path / "state")


@pytest.mark.parametrize("training", [[1], "text", {"best": 3}, {"best": {"step": "x"}}, {"measured": [1]}])
def test_what_a_state_notes_may_be_anything(tmp_path: Path, training: object) -> None:
    native.save(
        tmp_path / "states/step-00000001", {"S": segformer_weights("b0")}, ModelConfig(), {"training": training}
    )
    assert open_segmenter(tmp_path).measured == {}


def test_what_is_no_segmenter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nothing\.pth"):
        open_segmenter(tmp_path / "nothing.pth")
    with pytest.raises(UserError, match=re.escape(str(tmp_path))):
        open_segmenter(tmp_path)
    save_file({"weight": np.zeros(3, np.float32)}, tmp_path / "other.safetensors")
    with pytest.raises(UserError, match=r"other\.safetensors.*decode_head\.classifier\.weight"):
        open_segmenter(tmp_path / "other.safetensors")
    weights = segformer_weights("b1")
    assert of_segformer(segformer_of(shapes(weights))) == shapes(weights)
    del weights["segformer.encoder.block.1.1.attention.self.sr.bias"]
    save_file(weights, tmp_path / "holes.safetensors")
    with pytest.raises(UserError, match=r"holes\.safetensors.*block\.1\.1\.attention\.self\.sr\.bias"):
        open_segmenter(tmp_path / "holes.safetensors")
    native.save(tmp_path / "ecgan", {"G": {"a": np.zeros(1, np.float32)}}, ModelConfig(), {})
    with pytest.raises(UserError, match=re.escape(str(tmp_path / "ecgan"))):
        open_segmenter(tmp_path / "ecgan")
