"""The perceptual loss: VGG19's features, and which files are taken for its weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from ecgan.checkpoint.vgg import LAYERS, find_vgg19, read_vgg19, shapes
from ecgan.errors import UserError


@pytest.fixture(scope="module")
def weights() -> dict[str, np.ndarray]:
    return {name: draw(shape) for name, shape in shapes().items()}


def draw(shape: tuple[int, ...]) -> np.ndarray:
    """Weights that keep activations near 1, or biases."""
    if len(shape) == 1:
        return np.full(shape, 0.1, np.float32)
    deviation = (2 / np.prod(shape[1:])) ** 0.5
    return (np.random.default_rng(shape[0]).standard_normal(shape) * deviation).astype(np.float32)


def convolve(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """(C, H, W), 3x3, padding 1, then ReLU."""
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    height, width = x.shape[1:]
    total = sum(
        np.einsum("oc,chw->ohw", weight[:, :, i, j], padded[:, i : i + height, j : j + width])
        for i in range(3)
        for j in range(3)
    )
    return np.maximum(total + bias[:, None, None], 0)


def test_features_are_those_of_the_network(weights: dict[str, np.ndarray]) -> None:
    from ecgan.networks.vgg import VGG19Features
    from ecgan.runtime import jt

    picture = np.random.default_rng(1).uniform(-1, 1, (1, 3, 32, 48)).astype(np.float32)
    maps = [value.numpy() for value in VGG19Features(weights)(jt.array(picture))]
    assert [m.shape[1:] for m in maps] == [(64, 32, 48), (128, 16, 24), (256, 8, 12), (512, 4, 6), (512, 2, 3)]
    x, wanted = picture[0], []
    for layer in LAYERS:
        if layer in (5, 10, 19, 28):
            c, h, w = x.shape
            x = x.reshape(c, h // 2, 2, w // 2, 2).max((2, 4))
        x = convolve(x, weights[f"features.{layer}.weight"], weights[f"features.{layer}.bias"])
        if layer in (0, 5, 10, 19, 28):
            wanted.append(x)
    for ours, theirs in zip(maps, wanted, strict=True):
        assert np.allclose(ours[0], theirs, rtol=1e-3, atol=1e-4 * np.abs(theirs).max())


def test_the_loss_by_hand() -> None:
    from ecgan.runtime import jt
    from ecgan.training.perceptual import perceptual

    ours = [jt.array([float(k), 0.0]) for k in (32, 16, 8, 4, 1)]
    theirs = [jt.zeros(2) for _ in ours]
    assert perceptual(ours, theirs).item() == pytest.approx(5 / 2)


def test_the_picture_learns_and_the_weights_do_not(weights: dict[str, np.ndarray]) -> None:
    from ecgan.networks.vgg import VGG19Features
    from ecgan.runtime import jt
    from ecgan.training.perceptual import perceptual

    vgg = VGG19Features(weights)
    picture = jt.array(np.zeros((1, 3, 32, 32), np.float32))
    real = vgg(jt.array(np.full((1, 3, 32, 32), 0.5, np.float32)))
    (gradient,) = jt.grad(perceptual(vgg(picture), real), [picture])
    assert np.abs(gradient.numpy()).sum() > 0
    assert all(weight.is_stop_grad() for weight in vgg._weights.values())


def test_the_real_picture_does_not_learn() -> None:
    from ecgan.runtime import jt
    from ecgan.training.perceptual import perceptual

    ours, theirs = jt.ones(2), jt.zeros(2)
    to_ours, to_theirs = jt.grad(perceptual([ours] * 5, [theirs] * 5), [ours, theirs])
    assert to_ours.numpy().sum() == pytest.approx(1 + 1 / 4 + 1 / 8 + 1 / 16 + 1 / 32)
    assert not to_theirs.numpy().any()


def test_other_networks_are_not_taken_for_vgg19(tmp_path: Path, weights: dict[str, np.ndarray]) -> None:
    path = tmp_path / "vgg.safetensors"
    save_file({name: value for name, value in weights.items() if "features.25" not in name}, path)
    with pytest.raises(UserError, match=r"vgg\.safetensors .*features\.25\.weight"):
        read_vgg19(path)
    header = b'{"features.0.bias":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}'
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    with pytest.raises(UserError, match=r"vgg\.safetensors.*bfloat16"):
        read_vgg19(path)
    save_file(weights | {"classifier.0.weight": np.zeros((2, 2), np.float32)}, path)
    assert read_vgg19(path).keys() == weights.keys()
    broken = weights | {"features.0.bias": np.full(64, np.nan, np.float32)}
    save_file(broken, path)
    with pytest.raises(UserError, match="not finite"):
        read_vgg19(path)


def test_where_weights_are_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, cache = tmp_path / "home", tmp_path / "cache"
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("ECGAN_CACHE", str(cache))
    monkeypatch.delenv("ECGAN_VGG19", raising=False)
    monkeypatch.delenv("JITTOR_HOME", raising=False)
    hub = ".cache/jittor/jt1.3.11/g++12.2.0/py3.11.7/Linux-6/CPU/7b6b/default"
    with pytest.raises(UserError, match=r"download .*vgg19\.pkl.*vgg_weights=FILE.*lambda_vgg=0"):
        find_vgg19(None)
    found = []
    for path in (  # each goes before those above it
        home / ".cache/torch/hub/checkpoints/vgg19-dcbb9e9d.pth",
        cache / "jittor-cpu" / hub / "checkpoints/vgg19.pkl",
        home / hub / "cu12.2.140_sm_86/checkpoints/vgg19.pkl",
        home / ".cache/jittor/checkpoints/vgg19.pkl",
        cache / "vgg19.safetensors",
        tmp_path / "named.pth",
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        if path.name == "named.pth":
            monkeypatch.setenv("ECGAN_VGG19", str(path))
        found.append(find_vgg19(None) == path)
    assert found == [True] * 6
    with pytest.raises(UserError, match="vgg_weights=.*nothing"):
        find_vgg19(str(tmp_path / "nothing"))
