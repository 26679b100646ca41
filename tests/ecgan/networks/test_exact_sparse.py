"""SPADE from a table against its dense form: the same pictures and gradients, for any mask."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from conftest import draw_mask
from PIL import Image

from ecgan.checkpoint import open_checkpoint
from ecgan.config import ModelConfig
from ecgan.networks import neighbourhoods
from ecgan.networks.neighbourhoods import OUTSIDE

if TYPE_CHECKING:
    from ecgan.networks.painting import PaintingNetwork

SIZE = (128, 64)
CLASSES = 29
TINY = ModelConfig(*SIZE, ngf=4, ndf=4, num_upsampling_layers="normal")


def one_class() -> np.ndarray:
    return np.full(SIZE[::-1], 7, np.uint8)


def noise() -> np.ndarray:
    return np.random.default_rng(5).integers(0, CLASSES, SIZE[::-1], np.uint8)


def half_noise() -> np.ndarray:
    return np.where(np.arange(SIZE[0]) < SIZE[0] // 2, noise(), one_class()).astype(np.uint8)


def chessboard() -> np.ndarray:
    return (np.indices(SIZE[::-1]).sum(axis=0) % 2 * 28).astype(np.uint8)


MASKS = [one_class, noise, half_noise, chessboard, lambda: draw_mask(3, SIZE)]
NAMES = ["one class", "noise", "half noise", "chessboard", "drawn"]


def surroundings(labels: np.ndarray, row: int, column: int) -> np.ndarray:
    framed = np.pad(labels, 2, constant_values=OUTSIDE)
    return framed[row : row + 5, column : column + 5]


@pytest.mark.parametrize("mask", MASKS, ids=NAMES)
@pytest.mark.parametrize("by_content", [False, True], ids=["keys", "content"])
def test_every_pixel_finds_its_own_surroundings(
    mask: Callable[[], np.ndarray], by_content: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if by_content:  # all windows have the same key
        monkeypatch.setattr(neighbourhoods, "_FACTORS", np.zeros(25, np.uint64))
    labels = np.stack([mask(), one_class()])
    found = neighbourhoods.find(labels)
    assert found is not None and found.index.shape == labels.shape and found.index.max() == len(found.outer) - 1
    with_outside = np.vstack([found.inner, np.full((1, 9), 99)])
    for picture, row, column in np.argwhere(labels < CLASSES)[:: 1 if by_content else 7]:
        seen = surroundings(labels[picture], row, column)
        outer = found.outer[found.index[picture, row, column]]
        for place, number in enumerate(outer):
            i, j = divmod(place, 3)
            inside = seen[i + 1, j + 1] != OUTSIDE
            assert (number < len(found.inner)) == inside
            if inside:
                assert (with_outside[number].reshape(3, 3) == seen[i : i + 3, j : j + 3]).all()
    assert len(np.unique(found.inner, axis=0)) == len(found.inner)
    assert len(np.unique(found.outer, axis=0)) == len(found.outer)


def test_surroundings_are_counted() -> None:
    def share(labels: np.ndarray) -> float:
        found = neighbourhoods.find(labels)
        assert found is not None
        return found.share

    assert share(one_class()[None]) == 25 / one_class().size  # the inside, and each place near the frame
    assert share(noise()[None]) == 1.0
    assert share(np.zeros((1, 1, 1), np.uint8)) == 1.0
    assert share(np.stack([one_class()] * 3)) == 25 / one_class().size / 3
    of_half = share(half_noise()[None])
    assert 0.5 < of_half < 0.6
    for mask in (noise(), half_noise()):
        assert neighbourhoods.find(mask[None], at_most=0.5) is None
    assert neighbourhoods.find(half_noise()[None], at_most=0.6) is not None


def paint(painting: PaintingNetwork, labels: np.ndarray) -> dict[str, np.ndarray]:
    from ecgan.networks.noise_maps import NoiseMaps
    from ecgan.runtime import jt

    codes = np.random.default_rng(1).standard_normal((len(labels), TINY.z_dim)).astype(np.float32)
    with jt.no_grad():
        noise_maps = NoiseMaps.of(range(len(labels)), ["picture"] * len(labels))
        pictures = painting.network(jt.array(codes), painting.mask(labels), noise_maps)
        return {name: picture.numpy() for name, picture in pictures._asdict().items()}


def forms(model: ModelConfig, arrays: Mapping[str, np.ndarray]) -> list[PaintingNetwork]:
    """The dense one, that of tables in Jittor's operators, and the painter of the CPU."""
    from ecgan.networks import Generator, Segmap, load_arrays
    from ecgan.networks.painting import PaintingNetwork, painting_network

    generator = Generator(model)
    load_arrays(generator, dict(arrays), "G")
    generator.eval()
    operators = PaintingNetwork(generator, lambda labels: Segmap(labels, CLASSES, True, weights_stay=True))
    return [painting_network(model, arrays, "dense"), operators, painting_network(model, arrays)]


@pytest.mark.parametrize("mask", MASKS, ids=NAMES)
@pytest.mark.parametrize("weights, tolerance", [("initial", 1e-5), ("random", 2e-4), ("with noise maps", 2e-4)])
def test_pictures_are_those_of_the_dense_form(
    tiny_checkpoint: Path, mask: Callable[[], np.ndarray], weights: str, tolerance: float
) -> None:
    """A second mask beside it has surroundings of its own."""
    from ecgan.networks import Generator, to_arrays
    from ecgan.random_model import random_arrays
    from ecgan.training.initialise import initialise

    checkpoint = open_checkpoint(tiny_checkpoint)
    assert (checkpoint.model.width, checkpoint.model.height) == SIZE
    model, arrays = checkpoint.model, checkpoint.arrays("G")
    if weights == "initial":
        generator = Generator(model)
        initialise(generator, "G", seed=0)
        arrays = to_arrays(generator)
    if weights == "with noise maps":
        model = dataclasses.replace(model, noise_maps=True)
        arrays = random_arrays(Generator(model), seed=1)
    labels = np.stack([mask(), half_noise()])
    dense, *sparse = (paint(form, labels) for form in forms(model, arrays))
    for name, picture in dense.items():
        for other in sparse:
            assert np.abs(picture - other[name]).max() < tolerance, name


def test_pictures_of_the_fixture_are_those_of_the_dense_form(original: Path) -> None:
    """Its weights amplify rounding."""
    from ecgan.runtime import jt
    from ecgan.synthesis import Synthesiser

    checkpoint = open_checkpoint(original)
    labels = np.stack([np.asarray(Image.open(original / f"mask_{i}.png")) for i in (0, 1)])
    photos = np.stack([np.asarray(Image.open(original / f"ref_{i}.png").convert("RGB")) for i in (0, 1)])
    mu = jt.array(Synthesiser(checkpoint).encode(photos)[0])
    with jt.no_grad():
        dense, *sparse = (
            form.network(mu, form.mask(labels)).image2.numpy()
            for form in forms(checkpoint.model, checkpoint.arrays("G"))
        )
    for other in sparse:
        assert 0 < np.abs(dense - other).max() < 5e-4  # 0: both would be the same form


def test_few_surroundings_are_looked_up_and_many_are_not() -> None:
    from ecgan.networks import Segmap

    flat, wild = Segmap(one_class()[None], CLASSES, True), Segmap(noise()[None], CLASSES, True)
    found = flat.surroundings(64, 128)
    assert found is not None and wild.surroundings(64, 128) is None
    assert flat.surroundings(64, 128) is found  # once for all layers


def test_what_a_mask_decides_is_kept_for_the_next_time(tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ecgan.networks.cpu import painter as of_cpu
    from ecgan.synthesis import Synthesiser

    computed: list[Any] = []
    tabulate = of_cpu.tabulate
    monkeypatch.setattr(of_cpu, "tabulate", lambda *inputs: computed.append(inputs) or tabulate(*inputs))
    painter = Synthesiser(open_checkpoint(tiny_checkpoint))
    photos = [np.full((*SIZE[::-1], 3), value, np.uint8) for value in (40, 200)]

    def generate(mask: np.ndarray, photo: np.ndarray) -> np.ndarray:
        return painter.generate(mask[None], photo[None], ["n"], [0], 1.0)

    first = generate(one_class(), photos[0])
    count = len(computed)
    other = generate(one_class(), photos[1])
    assert len(computed) == count > 0 and not np.array_equal(first, other)
    generate(half_noise(), photos[0])
    assert len(computed) > count
    assert np.array_equal(generate(one_class(), photos[0]), first)


@pytest.mark.parametrize("doubled", [False, True], ids=["same size", "doubled"])
@pytest.mark.parametrize("activated", [False, True], ids=["linear", "leaky"])
def test_one_operator_does_what_several_do(doubled: bool, activated: bool) -> None:
    """Rows of 42 are two blocks and a part of one, some of one index throughout."""
    from ecgan.networks.modulation import Lookup
    from ecgan.runtime import jt

    chance = np.random.default_rng(4)
    index = chance.integers(0, 11, (2, 20, 42))
    index[:, 3:9], index[1, 9:15, :20] = 7, 10
    size = (10, 21) if doubled else (20, 42)
    x, table = (jt.array(chance.standard_normal(shape, np.float32)) for shape in ((2, 5, *size), (2, 5, 11)))
    weights = jt.array(chance.standard_normal((2, 5, 20, 42), np.float32))
    look_up = Lookup(index)
    found = []
    for form in (look_up.modulate, look_up.as_operators):
        out = form(x, table, activated)
        found.append([each.numpy() for each in (out, *jt.grad((out * weights).sum(), [x, table]))])
    for one, several in zip(*found, strict=True):
        assert one.shape == several.shape and np.abs(one - several).max() < 1e-5 * np.abs(several).max()


@pytest.mark.slow
@pytest.mark.parametrize("doubled", [False, True], ids=["same size", "doubled"])
@pytest.mark.parametrize("mask", MASKS, ids=NAMES)
def test_gradients_are_those_of_the_dense_form(mask: Callable[[], np.ndarray], doubled: bool) -> None:
    from ecgan.networks import Segmap
    from ecgan.networks.noise_maps import NoiseMaps
    from ecgan.networks.spade import SPADEBlock
    from ecgan.runtime import jt

    chance = np.random.default_rng(2)
    block, noise_maps = SPADEBlock(6, 4, CLASSES, noisy=True), NoiseMaps.of([0, 1], ["a", "b"])
    block.train()
    for var in block.parameters():
        var.assign(jt.array(chance.standard_normal(var.shape).astype(np.float32) / max(1, var.numel() // 20) ** 0.5))
    labels = np.stack([mask(), half_noise()])
    size = (SIZE[1] // 2, SIZE[0] // 2) if doubled else SIZE[::-1]
    x = jt.array(chance.standard_normal((2, 6, *size)).astype(np.float32))
    weights = jt.array(chance.standard_normal((2, 4, *SIZE[::-1])).astype(np.float32))
    values, gradients = {}, {}
    for form in (False, True):
        out = block(x, Segmap(labels, CLASSES, form), noise_maps, doubled=doubled)
        trained = [var for var in block.parameters() if not var.is_stop_grad()]
        gradients[form] = [each.numpy() for each in jt.grad((out * weights).sum(), [x, *trained])]
        values[form] = out.numpy()
    scale = np.abs(values[False]).max()
    assert np.abs(values[False] - values[True]).max() < 1e-5 * scale
    assert len(gradients[False]) > 15
    largest = max(np.linalg.norm(each) for each in gradients[False])
    for dense, sparse in zip(gradients[False], gradients[True], strict=True):
        assert np.linalg.norm(dense - sparse) <= 1e-4 * np.linalg.norm(dense) + 1e-6 * largest


def test_real_masks_have_few_surroundings(landscape_mini: Path) -> None:
    masks = sorted(landscape_mini.rglob("*labels*/*.png"))[:20]
    found = [neighbourhoods.find(np.asarray(Image.open(mask))[None], at_most=0.1) for mask in masks]
    assert len(found) == 20 and None not in found
