"""The shape of the networks: what a checkpoint must be told, or tells, about itself."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Literal

from ecgan.errors import UserError

#: How SPADE's scale and shift are computed: at every pixel, or once for all pixels with the same surroundings.
Spade = Literal["dense", "exact-sparse"]
Upsampling = Literal["normal", "more", "most"]

#: Number of x2 nearest upsamplings between the first feature map and the picture.
UPSAMPLINGS: dict[Upsampling, int] = {"normal": 5, "more": 6, "most": 7}
#: Switches of a model: tensors beside the original's, with which a training can begin from a model without them.
ADDITIONS = ("noise_maps", "colour_means")
#: What the networks' numbers are at most; there is no sense in more, and no machine for it.
LARGEST = {"ngf": 512, "ndf": 512, "z_dim": 4096, "num_D": 8, "n_layers_D": 8, "width": 1 << 16, "height": 1 << 16}


@dataclass(frozen=True)
class ModelConfig:
    """Everything that decides the networks' tensors and the size of their pictures.

    `width` x `height` is the size in pixels at which the networks run; both must be multiples of
    2 ** UPSAMPLINGS[num_upsampling_layers]. `label_nc` counts the classes without the don't-care
    class; with `contain_dontcare_label` mask value 255 is one class more, numbered `label_nc`.
    `spectral_norm` divides weights by their spectral norm, which the original only seems to do. `noise_maps`: G
    adds noise to its maps, which the original's does not (`ecgan.networks.noise_maps`). `colour_means`: E sees the
    photo's mean colours as well, which its normalisation hides from the original's.
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
    noise_maps: bool = False
    colour_means: bool = False

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
    def features_size(self) -> tuple[int, int]:
        """(height, width) of the feature map behind G's block `up_0`."""
        height, width = self.latent_size
        factor = 4 if self.num_upsampling_layers == "normal" else 8
        return factor * height, factor * width

    @property
    def additions(self) -> list[str]:
        """What these networks have that the original's have not, and that a model can get later on."""
        return [name for name in ADDITIONS if getattr(self, name)]

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


#: Channels of the segmentation discriminator's maps at most.
_WIDEST = 512
#: What G adds of its noise maps before it has learned how much to add.
FIRST_NOISE_STRENGTH = 0.2
#: Squares along either side of a photo, of each of which E may see the mean colour: as many as its last map has places.
COLOUR_SQUARES = 4
#: Channels of the embeddings that the projection head makes of G's features.
EMBEDDING = 256


def unet_widths(model: ModelConfig) -> list[int]:
    """Channels of the segmentation discriminator's maps, from full size down, each half as large as the one before: as
    often as both of a picture's sides can be halved without rest, down to two pixels, but six times at most, as in
    OASIS (2021)."""
    both = math.gcd(model.width, model.height)
    without_rest = (both & -both).bit_length() - 1
    halvings = min(6, without_rest, min(model.width, model.height).bit_length() - 2)
    return [min(model.ndf << max(0, level - 1), _WIDEST) for level in range(halvings + 1)]
