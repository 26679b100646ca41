"""Which numbers of a recipe decide what is compiled: one that is forgotten costs every rank minutes."""

from __future__ import annotations

import dataclasses

import pytest

from ecgan.training.recipe import AdamSettings, LossWeights, Recipe, alike


@pytest.mark.parametrize("numbers", [Recipe, LossWeights])
def test_every_number_says_whether_it_decides_operators(numbers: type[Recipe | LossWeights]) -> None:
    for field in dataclasses.fields(numbers):
        assert "mark" in field.metadata, f"{field.name}: say in ecgan/training/recipe.py whether it decides operators"


def test_recipes_that_need_the_same_operators_are_alike() -> None:
    weights = LossWeights("ls", lambda_feat=3.0, lambda_vgg=0.0, lambda_l1=0.5, image2=0.25)
    recipe = Recipe(weights, AdamSettings(0.5, 0.999, False), 3, 0.5, 4, "dense", True)
    switches = LossWeights("ls", 1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0)
    plain = Recipe(switches, ema_decay=0.9, spade="dense", reuse_fakes=True)
    assert alike(recipe) == plain == alike(plain)
    assert alike(Recipe()).ema_decay == 0 and alike(Recipe()).weights.lambda_l1 == 0


@pytest.mark.parametrize(
    "other",
    [
        Recipe(LossWeights(gan_mode="w")),
        Recipe(LossWeights(edge=0.0)),
        Recipe(ema_decay=0.5),
        Recipe(spade="dense"),
        Recipe(reuse_fakes=True),
    ],
)
def test_what_needs_others_is_not(other: Recipe) -> None:
    assert alike(other) != alike(Recipe())
