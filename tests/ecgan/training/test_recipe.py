"""Which numbers of a recipe decide what is compiled: one that is forgotten costs every rank minutes."""

from __future__ import annotations

import dataclasses
import json

import pytest

from ecgan.training.recipe import AdamSettings, LossWeights, Recipe, alike


@pytest.mark.parametrize("numbers", [Recipe, LossWeights])
def test_every_number_says_whether_it_decides_operators(numbers: type[Recipe | LossWeights]) -> None:
    for field in dataclasses.fields(numbers):
        assert "mark" in field.metadata, f"{field.name}: say in ecgan/training/recipe.py whether it decides operators"


def test_recipes_that_need_the_same_operators_are_alike() -> None:
    weights = LossWeights("ls", lambda_feat=3.0, lambda_vgg=0.0, lambda_l1=0.5, image2=0.25)
    weights = dataclasses.replace(weights, lambda_lecam=0.3, lambda_r1=5.0, r1_sigma=0.01, r1_every=16)
    weights = dataclasses.replace(weights, lambda_contrast=0.5, contrast_temperature=0.1)
    recipe = Recipe(weights, AdamSettings(0.5, 0.999, False), 3, 0.5, 4, "dense", True)
    switches = LossWeights("ls", 1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0, lambda_lecam=1.0, lambda_r1=1.0, r1_every=2)
    switches = dataclasses.replace(switches, lambda_contrast=1.0)
    plain = Recipe(switches, ema_decay=0.9, spade="dense", reuse_fakes=True)
    assert alike(recipe) == plain == alike(plain)
    assert alike(Recipe()).ema_decay == 0 and alike(Recipe()).weights.lambda_l1 == 0


@pytest.mark.parametrize(
    "other",
    [
        Recipe(LossWeights(gan_mode="w")),
        Recipe(LossWeights(edge=0.0)),
        Recipe(LossWeights(lambda_lecam=0.5)),
        Recipe(LossWeights(lambda_r1=0.5)),
        Recipe(LossWeights(lambda_labelmix=0.5)),
        Recipe(LossWeights(lambda_contrast=0.5)),
        Recipe(discriminator="both"),
        Recipe(discriminator="segmentation"),
        Recipe(augment=("cutout",)),
        Recipe(ema_decay=0.5),
        Recipe(spade="dense"),
        Recipe(reuse_fakes=True),
    ],
)
def test_what_needs_others_is_not(other: Recipe) -> None:
    assert alike(other) != alike(Recipe())


def test_r1_in_some_steps_needs_the_operators_of_steps_without_too() -> None:
    always, often, seldom = (alike(LossWeights(lambda_r1=1.0, r1_every=every)) for every in (1, 2, 16))
    assert always != often == seldom


def test_a_recipe_is_read_as_json_has_it() -> None:
    recipe = Recipe(LossWeights("ls", lambda_r1=2.0), AdamSettings(0.5), augment=("colour", "cutout"))
    assert Recipe.from_dict(json.loads(json.dumps(dataclasses.asdict(recipe)))) == recipe
