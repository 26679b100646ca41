"""What stands beside each option of a training: its role, its range, the network it belongs to."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import typing
from typing import Any

import pytest
from conftest import ROOT

from ecgan.config import ModelConfig
from ecgan.errors import UserError
from jobs.bounds import Bounds
from jobs.generate.settings import GenerateSettings
from jobs.score.settings import ScoreSettings
from jobs.train.networks import TRAINABLES, Network
from jobs.train.networks.segmenter import SegmentationNetwork
from jobs.train.roles import BEGINNING, FIXED, RUNNING, STEERING, Role, of_role
from jobs.train.settings import TrainSettings

OPTIONS = dataclasses.fields(TrainSettings)
#: Numbers of which each is as good as another.
BOUNDLESS = ("seed",)


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_every_option_has_a_role(option: dataclasses.Field[Any]) -> None:
    assert isinstance(option.metadata.get("role"), Role)
    assert option.metadata["of"] in (None, *TRAINABLES)


@pytest.mark.parametrize("settings", [TrainSettings, GenerateSettings, ScoreSettings])
def test_every_number_has_a_range(settings: type) -> None:
    for field in dataclasses.fields(settings):
        words = set(str(field.type).split(" | "))
        if words & {"int", "float"} and field.name not in BOUNDLESS:
            assert isinstance(field.metadata["bounds"], Bounds), field.name
        else:
            assert field.metadata["bounds"] is None, field.name


def test_roles_are_what_they_were() -> None:
    """A state is refused, or its change listed, by these: an option must not slip from one to the other."""
    assert set(of_role(TrainSettings, FIXED)) == {
        *("network", "held_out", "size", "label_nc", "contain_dontcare_label", "ngf", "ndf", "z_dim"),
        *("num_upsampling_layers", "num_D", "n_layers_D", "spectral_norm", "noise_maps", "colour_means"),
        *("batch_size", "seed", "no_flip"),
        *("serial_batches", "discriminator"),
    }
    assert set(of_role(TrainSettings, STEERING)) == {
        *("micro_batch", "lr", "beta1", "beta2", "no_TTUR", "niter", "niter_decay", "D_steps_per_G", "ema_decay"),
        *("gan_mode", "lambda_feat", "lambda_kld", "lambda_vgg", "vgg_weights", "lambda_l1", "image_weight"),
        *(
            "edge_weight",
            "image2_weight",
            "reuse_fakes",
            "augment",
            "guide",
            "lambda_guide",
            "lambda_guide_feat",
            "lambda_tone",
            "lambda_texture",
            "lambda_labelmix",
            "lambda_contrast",
            "contrast_temperature",
            "lambda_lecam",
            "lambda_r1",
            "r1_sigma",
            "r1_every",
        ),
    }
    assert set(of_role(TrainSettings, BEGINNING)) == {"init_type", "init_variance", "init_checkpoint", "which_epoch"}
    every = of_role(TrainSettings, FIXED, STEERING, BEGINNING, RUNNING)
    assert every == tuple(option.name for option in OPTIONS)


@pytest.mark.parametrize(
    ("option", "value", "range"),
    [
        ("batch_size", 0, "at least 1"),
        ("held_out", -1, "at least 0"),
        ("lambda_vgg", -0.5, "at least 0"),
        ("lr", 0.0, "above 0"),
        ("ema_decay", 1.0, "0 or more, and below 1"),
        ("max_minutes", float("inf"), "a number, above 0"),
        ("save_every_minutes", float("inf"), "a number, at least 0"),
        ("lambda_feat", float("inf"), "a number, at least 0"),
        ("image_weight", float("nan"), "a number, at least 0"),
        ("lr", float("nan"), "a number, above 0"),
    ],
)
def test_what_is_out_of_range_is_refused(option: str, value: float, range: str) -> None:
    with pytest.raises(UserError) as refused:
        TrainSettings(**{option: value})
    assert str(refused.value) == f"--{option} is {value}; it must be {range}"


def another_value(option: dataclasses.Field[Any]) -> Any:
    """One that is allowed, and not the default."""
    words = {None: "x", "patch": "both", "more": "most", "hinge": "ls", "exact-sparse": "dense", "none": "cutout"}
    if isinstance(option.default, bool):
        return not option.default
    if isinstance(option.default, int):
        return option.default + 1
    return 0.5 if isinstance(option.default, float) else words[option.default]


#: Options that mean nothing alone, and what they mean something with.
NEEDED: dict[str, dict[str, Any]] = {
    "guide": {"lambda_guide": 1.0},
    "lambda_guide": {"guide": "x"},
    "lambda_guide_feat": {"guide": "x"},
    "r1_sigma": {"lambda_r1": 1.0},
    "lambda_labelmix": {"discriminator": "both"},
    "r1_every": {"lambda_r1": 1.0},
    "lambda_contrast": {"batch_size": 2},
    "contrast_temperature": {"batch_size": 2, "lambda_contrast": 1.0},
}


@pytest.mark.parametrize("option", [each for each in OPTIONS if each.metadata["of"] == "ecgan"], ids=lambda o: o.name)
def test_options_of_ecgan_are_refused_elsewhere(option: dataclasses.Field[Any]) -> None:
    given = {option.name: another_value(option), "held_out": 2, "init_checkpoint": "x"}
    TrainSettings(**given, **NEEDED.get(option.name, {}))
    with pytest.raises(UserError, match=f"--{option.name} .*--network segmenter"):
        TrainSettings(network="segmenter", **given)


@pytest.mark.parametrize(
    ("said", "kinds"),
    [
        ("none", ()),
        ("cutout,colour", ("colour", "cutout")),
        (" color, translation ", ("colour", "translation")),
        ("colour,color", ("colour",)),
    ],
)
def test_what_d_sees_is_said_in_any_order(said: str, kinds: tuple[str, ...]) -> None:
    settings = TrainSettings(augment=said, lambda_r1=2.0, r1_every=16, lambda_lecam=0.5)
    assert settings.recipe.augment == kinds
    assert (settings.recipe.weights.r1_every, settings.recipe.weights.lambda_lecam) == (16, 0.5)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"augment": "colour,flip"}, "--augment: 'flip' .*translation"),
        ({"augment": "none,cutout"}, "--augment: 'none' "),
        ({"r1_sigma": 0.2}, "--r1_sigma .*--lambda_r1 is 0"),
        ({"r1_every": 16}, "--r1_every .*--lambda_r1 is 0"),
    ],
)
def test_what_means_nothing_to_d_is_refused(given: dict[str, Any], named: str) -> None:
    with pytest.raises(UserError, match=named):
        TrainSettings(**given)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"image_weight": 0.0, "image2_weight": 0.0, "lambda_tone": 2.0}, "--lambda_tone "),
        ({"image_weight": 0.0, "image2_weight": 0.0, "lambda_texture": 10.0}, "--lambda_texture "),
        (
            {"discriminator": "segmentation", "lambda_feat": 0.0, "lambda_vgg": 0.0, "edge_weight": 2.0},
            "--edge_weight ",
        ),
    ],
)
def test_weights_of_what_nothing_judges_are_refused(given: dict[str, Any], named: str) -> None:
    with pytest.raises(UserError, match=named):
        TrainSettings(**given)


def test_the_table_has_a_line_for_every_network() -> None:
    assert tuple(TRAINABLES) == typing.get_args(Network)


def test_the_table_is_read_without_jittor() -> None:
    program = "import sys, jobs.train.networks; sys.exit('jittor' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT).returncode == 0


def test_a_third_network_takes_its_class_and_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    class Third(SegmentationNetwork):
        title = "the third"

        def model(self, settings: TrainSettings) -> ModelConfig:
            return ModelConfig(96, 96, settings.label_nc, num_upsampling_layers="normal")

    monkeypatch.setitem(TRAINABLES, "third", Third())  # type: ignore[arg-type]
    settings = TrainSettings(network="third", label_nc=7)  # type: ignore[arg-type]
    assert (settings.model.width, settings.model.label_nc) == (96, 7)
    with pytest.raises(UserError, match="--ngf .*--network third"):
        TrainSettings(network="third", ngf=8)  # type: ignore[arg-type]
