"""What model a checkpoint of the original holds: from its tensors, its opt.txt, options or defaults.

The tensors say ngf, ndf, classes and the number of discriminators, but of size and upsampling
only the product of the first feature map's sides (docs/specification.md, section 5).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ecgan.config import UPSAMPLINGS, ModelConfig, Upsampling
from ecgan.errors import UserError

Shapes = Mapping[str, Mapping[str, tuple[int, ...]]]


@dataclass(frozen=True)
class ModelOverrides:
    """What the user says about a checkpoint's model; None leaves it to the checkpoint."""

    size: tuple[int, int] | None = None
    num_upsampling_layers: Upsampling | None = None

    def insist_on(self, model: ModelConfig, path: Path) -> None:
        """Raises UserError if a checkpoint that knows its model is told another one."""
        if self.size not in (None, (model.width, model.height)):
            raise UserError(f"{path} is a model for {model.width}x{model.height}", field="network_size")
        if self.num_upsampling_layers not in (None, model.num_upsampling_layers):
            raise UserError(f"{path} has {model.num_upsampling_layers}", field="num_upsampling_layers")


def infer_model(
    path: Path, shapes: Shapes, options: Mapping[str, str], overrides: ModelOverrides
) -> tuple[ModelConfig, str]:
    """Returns the model and one sentence on where size and upsampling layers come from.

    `shapes`: for each network the shape of each tensor; `options`: of its opt.txt. Raises UserError if they contradict.
    """
    generator = shapes["G"]
    values: dict[str, Any] = _from_generator(path, generator)
    try:
        values |= _from_discriminator(shapes.get("D", {}))
        values["z_dim"] = shapes["E"]["fc_mu.weight"][0] if "fc_mu.weight" in shapes["E"] else ModelConfig.z_dim
    except IndexError:
        raise UserError(f"checkpoint {path}: its tensors are of no ECGAN") from None

    size, size_source = _size(path, options, overrides)
    upsampling, upsampling_source = _upsampling(generator, options, overrides)
    source = f"size {size[0]}x{size[1]} from {size_source}, upsampling layers {upsampling!r} from {upsampling_source}"
    if options.get("no_instance") == "False":
        raise UserError(f"{path / 'opt.txt'} says it was trained with instance maps, which are not supported")
    try:
        model = ModelConfig(width=size[0], height=size[1], num_upsampling_layers=upsampling, **values)
    except UserError as error:
        raise UserError(f"checkpoint {path}: {error}; {source}") from None

    positions = generator["fc.weight"][0] // (16 * model.ngf)
    expected = model.latent_size[0] * model.latent_size[1]
    if positions != expected:
        raise UserError(
            f"checkpoint {path}: its first feature map has {positions} positions, but {source} would have {expected}",
            hint="say <network_size=WxH> and <num_upsampling_layers=normal|more|most>",
        )
    return model, source


def _from_generator(path: Path, generator: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    try:
        ngf = generator["head_0.conv_0.weight_orig"][0] // 16
        semantic_nc = generator["head_0.norm_0.mlp_shared.0.weight"][1]
        label_nc = generator["conv_comb1.weight"][0]
        generator["fc.weight"]
    except (KeyError, IndexError):
        raise UserError(f"checkpoint {path}: network G is not an ECGAN generator") from None
    if semantic_nc not in (label_nc, label_nc + 1):
        raise UserError(
            f"checkpoint {path}: its masks have {semantic_nc - label_nc} channels besides {label_nc} classes; "
            "only a don't-care class is known here, not instance maps"
        )
    return {"ngf": ngf, "label_nc": label_nc, "contain_dontcare_label": semantic_nc > label_nc}


def _from_discriminator(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    first = "sequential.discriminator_0.models.model0.0.weight"
    if first not in shapes:
        return {}
    names = [name.split(".") for name in shapes if name.startswith("sequential.")]
    return {
        "ndf": shapes[first][0],
        "num_D": len({name[1] for name in names}),
        "n_layers_D": len({name[3] for name in names}) - 1,
    }


def _size(path: Path, options: Mapping[str, str], overrides: ModelOverrides) -> tuple[tuple[int, int], str]:
    if overrides.size:
        return overrides.size, "network_size"
    if "crop_size" in options:
        try:
            width, aspect = int(options["crop_size"]), float(options.get("aspect_ratio", "1.333"))
            return (width, round(width / aspect)), "opt.txt"
        except (ValueError, ArithmeticError):  # no numbers, or none of which a height can be made
            raise UserError(
                f"{path / 'opt.txt'}: crop_size or aspect_ratio can't be those of a picture",
                hint="say <network_size=WxH>",
            ) from None
    return (ModelConfig.width, ModelConfig.height), "the default"


def _upsampling(
    generator: Mapping[str, tuple[int, ...]], options: Mapping[str, str], overrides: ModelOverrides
) -> tuple[Upsampling, str]:
    if overrides.num_upsampling_layers:
        return overrides.num_upsampling_layers, "num_upsampling_layers"
    if "up_4.conv_0.weight_orig" in generator:
        return "most", "the tensors"
    for name in UPSAMPLINGS:
        if options.get("num_upsampling_layers") == name:
            return name, "opt.txt"
    return ModelConfig.num_upsampling_layers, "the default"
