"""The shape of the networks: what a checkpoint must be told, or tells, about itself."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ecgan.errors import UserError

#: How SPADE's scale and shift are computed: at every pixel, or once for all pixels with the same surroundings.
Spade = Literal["dense", "exact-sparse"]
Upsampling = Literal["normal", "more", "most"]

#: Number of x2 nearest upsamplings between the first feature map and the picture.
UPSAMPLINGS: dict[Upsampling, int] = {"normal": 5, "more": 6, "most": 7}
#: What the networks' numbers are at most; there is no sense in more, and no machine for it.
LARGEST = {"ngf": 512, "ndf": 512, "z_dim": 4096, "num_D": 8, "n_layers_D": 8, "width": 1 << 16, "height": 1 << 16}


@dataclass(frozen=True)
class ModelConfig:
    """Everything that decides the networks' tensors and the size of their pictures.

    `width` x `height` is the size in pixels at which the networks run; both must be multiples of
    2 ** UPSAMPLINGS[num_upsampling_layers]. `label_nc` counts the classes without the don't-care
    class; with `contain_dontcare_label` mask value 255 is one class more, numbered `label_nc`.
    `spectral_norm` divides weights by their spectral norm, which the original only seems to do.
    """

    width: int = 512
    height: int = 384
    label_nc: int = 29
    contain_dontcare_label: bool = False
    ngf: int = 64
    ndf: int = 64
    z_dim: int = 256
    num_upsampling_layers: Upsampling = "more"
    num_D: int = 2
    n_layers_D: int = 4
    spectral_norm: bool = False

    def __post_init__(self) -> None:
        if self.num_upsampling_layers not in UPSAMPLINGS:
            raise UserError(
                f"num_upsampling_layers is {self.num_upsampling_layers!r}; it must be one of {', '.join(UPSAMPLINGS)}"
            )
        for name in ("label_nc", "ngf", "ndf", "z_dim", "num_D", "n_layers_D"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}; it must be at least 1")
        for name, most in LARGEST.items():
            if getattr(self, name) > most:
                raise UserError(f"{name} is {getattr(self, name)}; it must be at most {most}")
        if self.semantic_nc > 256:
            raise UserError(f"there are {self.semantic_nc} classes; a mask has a byte for each pixel: at most 256")
        step = self.stride
        if self.width < step or self.height < step or self.width % step or self.height % step:
            raise UserError(
                f"network size {self.width}x{self.height} does not fit num_upsampling_layers="
                f"{self.num_upsampling_layers}: width and height must be multiples of {step}"
            )

    @property
    def stride(self) -> int:
        """Pixels of the picture to one position of the first feature map, along either axis."""
        return int(2 ** UPSAMPLINGS[self.num_upsampling_layers])

    @property
    def latent_size(self) -> tuple[int, int]:
        """(height, width) of the first feature map."""
        return self.height // self.stride, self.width // self.stride

    @property
    def semantic_nc(self) -> int:
        """Channels of the one-hot mask."""
        return self.label_nc + int(self.contain_dontcare_label)

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ModelConfig:
        """Raises UserError on a key that is not ours, or a value of the wrong type."""
        unknown = set(values) - {field.name for field in dataclasses.fields(cls)}
        if unknown:
            raise UserError(f"unknown key in the model configuration: {', '.join(sorted(unknown))}")
        for name, value in values.items():
            if type(value) is not type(getattr(cls, name)):
                raise UserError(
                    f"the model configuration's {name} is {value!r}; a {type(getattr(cls, name)).__name__} is needed"
                )
        return cls(**values)


@dataclass(frozen=True)
class SegformerShape:
    """Of the network that finds classes in photos, by default SegFormer's B0.

    `widths` and `depths` (in blocks) of its stages, `heads` of their attention, `reductions` of the attention's keys
    along either axis, `decoder`: channels where the stages meet.
    """

    classes: int = 29
    widths: tuple[int, ...] = (32, 64, 160, 256)
    depths: tuple[int, ...] = (2, 2, 2, 2)
    heads: tuple[int, ...] = (1, 2, 5, 8)
    reductions: tuple[int, ...] = (8, 4, 2, 1)
    decoder: int = 256

    @classmethod
    def of(cls, shapes: Mapping[str, tuple[int, ...]]) -> SegformerShape:
        """What tensors of these shapes belong to. Raises KeyError if that is no SegFormer of any size."""
        encoder, stages = "segformer.encoder", range(len(cls.heads))
        return cls(
            classes=shapes["decode_head.classifier.weight"][0],
            widths=tuple(shapes[f"{encoder}.patch_embeddings.{i}.proj.weight"][0] for i in stages),
            depths=tuple(
                len([name for name in shapes if re.fullmatch(rf"{encoder}\.block\.{i}\.\d+\.layer_norm_1\.bias", name)])
                for i in stages
            ),
            reductions=tuple(shapes.get(f"{encoder}.block.{i}.0.attention.self.sr.weight", (1,))[-1] for i in stages),
            decoder=shapes["decode_head.linear_fuse.weight"][0],
        )

    @property
    def tensors(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of all tensors that the network needs."""
        encoder, decoder = "segformer.encoder", self.decoder
        layers: dict[str, tuple[int, ...]] = {}  # shapes of their weights
        for i, (fin, width) in enumerate(zip((3, *self.widths), self.widths, strict=False)):
            kernel = 3 if i else 7
            layers |= {f"{encoder}.patch_embeddings.{i}.proj": (width, fin, kernel, kernel)}
            layers |= {f"{encoder}.patch_embeddings.{i}.layer_norm": (width,), f"{encoder}.layer_norm.{i}": (width,)}
            layers |= {f"decode_head.linear_c.{i}.proj": (decoder, width)}
            for j in range(self.depths[i]):
                parts = _block_of(width, self.reductions[i])
                layers |= {f"{encoder}.block.{i}.{j}.{part}": shape for part, shape in parts.items()}
        layers |= {"decode_head.batch_norm": (decoder,), "decode_head.classifier": (self.classes, decoder, 1, 1)}
        found = {f"{layer}.weight": shape for layer, shape in layers.items()}
        found |= {f"{layer}.bias": shape[:1] for layer, shape in layers.items()}
        found |= {f"decode_head.batch_norm.running_{kind}": (decoder,) for kind in ("mean", "var")}
        return found | {"decode_head.linear_fuse.weight": (decoder, len(self.widths) * decoder, 1, 1)}


def _block_of(width: int, reduction: int) -> dict[str, tuple[int, ...]]:
    """Layers of a block with the shapes of their weights."""
    square = ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense")
    found: dict[str, tuple[int, ...]] = dict.fromkeys(square, (width, width))
    found |= dict.fromkeys(("layer_norm_1", "layer_norm_2"), (width,))
    found |= {"mlp.dense1": (4 * width, width), "mlp.dense2": (width, 4 * width)}
    found |= {"mlp.dwconv.dwconv": (4 * width, 1, 3, 3)}
    if reduction > 1:
        found |= {"attention.self.sr": (width, width, reduction, reduction), "attention.self.layer_norm": (width,)}
    return found
