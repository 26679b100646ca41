"""Shapes and promises of the networks that do not need the original's fixture."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT, draw_mask, draw_photo
from outputs import outputs

from ecgan.checkpoint import open_checkpoint
from ecgan.config import ModelConfig
from ecgan.errors import UserError

RECORDED = ROOT / "tests/fixtures/random-ngf4.npz"
TINY = ModelConfig(128, 64, ngf=4, ndf=4, num_upsampling_layers="normal")


@pytest.mark.parametrize(
    "model",
    [
        TINY,
        dataclasses.replace(TINY, num_upsampling_layers="more", width=64, height=128),
        dataclasses.replace(TINY, num_upsampling_layers="most", width=128, height=128),
        dataclasses.replace(TINY, label_nc=5, contain_dontcare_label=True, ngf=2, z_dim=16),
    ],
    ids=["normal", "more", "most", "dontcare"],
)
def test_networks_of_any_shape(model: ModelConfig) -> None:
    from ecgan.networks import Discriminator, Encoder, Generator, Segmap
    from ecgan.runtime import jt

    labels = np.stack([draw_mask(i, (model.width, model.height), model.semantic_nc) for i in (0, 1)])
    segmap = Segmap(labels, model.semantic_nc)
    with jt.no_grad():
        mu, logvar = Encoder(model)(jt.zeros((2, 3, model.height, model.width)))
        pictures = Generator(model)(mu + logvar, segmap)
        scales = Discriminator(model)(jt.concat([segmap.at(model.height, model.width), pictures.image2], dim=1))
    assert tuple(mu.shape) == (2, model.z_dim)
    for picture in pictures:
        assert tuple(picture.shape) == (2, 3, model.height, model.width)
    assert len(scales) == 2 and all(len(outputs) == 5 for outputs in scales)
    assert scales[0][-1].shape[1] == 1


def test_full_size_has_the_published_numbers_of_parameters() -> None:
    from ecgan.networks import Discriminator, Encoder, Generator

    model = ModelConfig()
    for network, millions in ((Encoder, 10.5), (Generator, 105.3), (Discriminator, 5.6)):
        state = network(model).state_dict()
        unused = ("weight_u", "weight_v", "running_mean", "running_var")
        count = sum(np.prod(var.shape) for name, var in state.items() if not name.endswith(unused))
        assert round(count / 1e6, 1) == millions


def test_size_must_fit_the_upsamplings() -> None:
    with pytest.raises(UserError, match=" 64"):
        ModelConfig(512, 400)
    with pytest.raises(UserError, match=" 128"):
        ModelConfig(512, 448, num_upsampling_layers="most")
    with pytest.raises(UserError, match="unknown key.*nfg"):
        ModelConfig.from_dict({"nfg": 3})


def test_segmap_is_one_hot_and_nearest() -> None:
    from ecgan.networks import Segmap

    labels = np.arange(16, dtype=np.uint8).reshape(1, 4, 4)
    small = Segmap(labels, 16).at(2, 2).numpy()
    assert small.shape == (1, 16, 2, 2) and small.sum() == 4
    assert small.argmax(axis=1).tolist() == [[[0, 2], [8, 10]]]
    with pytest.raises(ValueError, match="0 to 15"):
        Segmap(labels, 15)


def test_inputs_of_another_size_are_resized(tiny_checkpoint: Path) -> None:
    from ecgan.data.images import resize_mask, resize_photo
    from ecgan.synthesis import Synthesiser

    painter = Synthesiser(open_checkpoint(tiny_checkpoint))
    mask, photo = draw_mask(1, (300, 200)), draw_photo(1, (90, 120))
    (picture,) = painter.paint([mask], [photo], ["x"])
    (expected,) = painter.paint([resize_mask(mask, painter.size)], [resize_photo(photo, painter.size)], ["x"])
    assert picture.shape == (64, 128, 3) and np.array_equal(picture, expected)


def test_noise_and_colour_transfer_change_the_picture(tiny_checkpoint: Path) -> None:
    from ecgan.synthesis import Synthesiser

    painter = Synthesiser(open_checkpoint(tiny_checkpoint))

    def paint(**options: Any) -> bytes:
        return painter.paint([draw_mask(1)], [draw_photo(1)], ["x"], **options)[0].tobytes()

    variants = [paint(), paint(seed=1), paint(noise=0.0), paint(noise=2.0), paint(colour_transfer="none")]
    assert len(set(variants)) == len(variants)
    assert paint(noise=0.0) == paint(noise=0.0, seed=5)


def test_agrees_with_the_recorded_fixture(tiny_checkpoint: Path) -> None:
    """Recorded by tests/fixtures/record.py when the networks agreed with the original's own output."""
    expected = np.load(RECORDED)
    computed = outputs(open_checkpoint(tiny_checkpoint), draw_mask(0)[None], draw_photo(0)[None])
    assert computed.keys() == set(expected.files)
    for name, values in computed.items():
        assert np.abs(values - expected[name]).max() < 2e-3, name
        assert np.abs(expected[name]).max() > 0.05, name


def test_tanh_has_a_gradient_however_large_its_argument_is() -> None:
    from ecgan.networks.layers import tanh
    from ecgan.runtime import jt

    values = np.array([-1e4, -100, -45, -20, -3, -0.1, 0, 0.1, 3, 20, 45, 100, 1e4], np.float32)
    x = jt.array(values)
    y = tanh(x)
    np.testing.assert_allclose(y.numpy(), np.tanh(values), atol=1e-6)
    slope = 1 - np.tanh(values.astype(np.float64)) ** 2
    np.testing.assert_allclose(jt.grad(y.sum(), x).numpy(), slope, atol=1e-6)
