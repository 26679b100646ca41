"""Mean colours that E sees beside its normalised maps: without them it can't tell a dark photo from a bright one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from conftest import draw_photo

from ecgan.checkpoint import open_checkpoint, tensors
from ecgan.config import ModelConfig
from ecgan.errors import UserError
from ecgan.synthesis import to_network
from jobs.train.settings import TrainSettings

MODEL = ModelConfig(128, 64, ngf=4, ndf=4, num_upsampling_layers="normal", colour_means=True)


def codes(model: ModelConfig, change: Callable[[np.ndarray], np.ndarray]) -> list[np.ndarray]:
    """mu and logvar of a photo of tiles, as it is and changed."""
    from ecgan.networks import Encoder, load_arrays
    from ecgan.random_model import random_arrays
    from ecgan.runtime import jt

    encoder = Encoder(model)
    load_arrays(encoder, random_arrays(encoder, 1), "E")
    encoder.eval()
    photo = to_network(draw_photo(3, (256, 256))[None])
    photos = np.concatenate([photo, change(photo)]).astype(np.float32)
    mu, logvar = encoder(jt.array(photos))
    return [*mu.numpy(), *logvar.numpy()]


def darker(photo: np.ndarray) -> np.ndarray:
    return photo / 2 - 0.5


def redder(photo: np.ndarray) -> np.ndarray:
    return photo + np.array([0.2, 0.0, 0.0]).reshape((1, 3, 1, 1))


@pytest.mark.parametrize("change", [darker, redder])
def test_e_tells_tones_apart(change: Callable[[np.ndarray], np.ndarray]) -> None:
    blind = dataclasses.replace(MODEL, colour_means=False)
    plain, changed, *logvars = codes(blind, change)
    seen, of_changed, *others = codes(MODEL, change)
    left = np.abs(plain - changed).max()  # of the change: it comes from the borders
    assert left < 0.2 * np.abs(plain).max() and np.abs(seen - of_changed).max() > 4 * left
    assert np.array_equal(logvars, others)


def test_the_means_are_those_of_the_squares() -> None:
    from ecgan.networks.encoder import _means_of_squares
    from ecgan.runtime import jt

    photo = np.random.default_rng(1).standard_normal((2, 3, 256, 256)).astype(np.float32)
    found = _means_of_squares(jt.array(photo)).numpy().reshape((2, 3, 4, 4))
    for row in range(4):
        for column in range(4):
            square = photo[:, :, 64 * row : 64 * row + 64, 64 * column : 64 * column + 64]
            assert np.allclose(found[:, :, row, column], square.mean((2, 3)), atol=1e-6)


def test_a_model_may_get_them_and_not_lose_them(tmp_path: Path, tiny_checkpoint: Path) -> None:
    from ecgan.random_model import save_random

    def first_arrays(checkpoint: Path, **options: Any) -> Any:
        fixed: dict[str, Any] = {"size": "128x64", "ngf": 4, "ndf": 4, "num_upsampling_layers": "normal"}
        settings = TrainSettings(**fixed, lambda_vgg=0.0, **options, init_checkpoint=str(checkpoint))
        plan: Any = SimpleNamespace(settings=settings, files=settings.trainable.find_files(settings))
        return settings.trainable.first_arrays(plan)

    taken = first_arrays(tiny_checkpoint, colour_means=True)["E"]
    assert {name: array.shape for name, array in taken.items()} == tensors.of_file("E", MODEL)
    assert not taken["colour_means.weight"].any() and taken["fc_mu.weight"].any()  # codes are what they were
    seeing = tmp_path / "seeing"
    save_random(seeing, MODEL, seed=1)
    again = first_arrays(seeing, colour_means=True)["E"]["colour_means.weight"]
    assert np.array_equal(again, open_checkpoint(seeing).arrays("E")["colour_means.weight"]) and again.any()
    with pytest.raises(UserError, match=r"colour_means True \(here False\)"):
        first_arrays(seeing)
