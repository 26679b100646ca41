"""What the user asks of a generation: every option of `launch/generate.py`, with its default."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ecgan.colour import ColourTransfer
from ecgan.config import Spade, Upsampling
from ecgan.data.images import ENCODINGS, Format, Size
from ecgan.errors import UserError
from ecgan.runtime.precision import PrecisionChoice
from jobs.bounds import at_least, between
from jobs.options import option, parse_size
from jobs.sharded.settings import ShardedSettings

_WITH_QUALITY = " and ".join(encoding.name for encoding in ENCODINGS.values() if encoding.has_quality)


@dataclass(frozen=True)
class GenerateSettings(ShardedSettings):
    input_path: str = option("data/test", "test set: folder with label_to_img.json and the masks' folder", path=True)
    img_path: str = option("data/train/imgs", "folder of the reference photos", path=True)
    checkpoint: str | None = option(
        None,
        "folder or .pkl, or drawn: what comes with the project; by default the newest below runs/ and checkpoints/",
        path=True,
    )
    which_epoch: str | None = option(
        None, "which checkpoint of the original, where a folder holds several; else latest"
    )
    output_path: str = option("results", "folder that gets the pictures, all of them or none", path=True)
    shards: int = option(1, "parts into which the masks are split", at_least(1))
    batch: int = option(1, "pictures that go through the network together on a GPU; on the CPU always one", at_least(1))
    seed: int = option(0, "seed of the noise in the styles, and in maps of a model that has it there")
    samples_per_mask: int = option(
        1, "pictures for each mask, with --seed and the numbers that follow it, called NAME.seedS", at_least(1)
    )
    spade: Spade = option("exact-sparse", "compute what the mask decides once for all like pixels, or at each")
    precision: PrecisionChoice = option(
        "float32", "what convolutions multiply in; auto: bfloat16 where this machine's CPU has matrix units for it"
    )
    noise: float = option(
        1.0, "scale of that noise: 1 as in the original, 0 for the reference's mean style", at_least(0)
    )
    colour_transfer: ColourTransfer = option("lab", "give the picture the reference's colour statistics, or not")
    size: str | None = option(None, "WIDTHxHEIGHT of the pictures; by default the network's own")
    format: Format = option("jpg", "file format of the pictures")
    quality: int = option(95, f"{_WITH_QUALITY} quality, 1 to 100", between(1, 100))
    how_many: int | None = option(None, "only the first so many masks, by name", at_least(1))
    network_size: str | None = option(None, "WIDTHxHEIGHT of an original's network that has no opt.txt")
    num_upsampling_layers: Upsampling | None = option(None, "upsampling layers of an original that has no opt.txt")
    on_bad_input: Literal["stop", "skip"] = option("stop", "bad input: stop before any work, or finish without it")
    overwrite: bool = option(
        False, "replace results and unfinished runs that are not of these settings and masks, or changed since"
    )
    retry_failed: bool = option(False, "make only the pictures that failed in the last run")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not ENCODINGS[self.format].has_quality and self.quality != GenerateSettings.quality:
            raise UserError(f"--quality is {_WITH_QUALITY}'s: --format {self.format} has none")
        self.picture_size, self.network  # noqa: B018  # raise now if they are malformed

    @property
    def seeds(self) -> tuple[int, ...]:
        """Of the pictures of each mask."""
        return tuple(range(self.seed, self.seed + self.samples_per_mask))

    @property
    def picture_size(self) -> Size | None:
        return parse_size("--size", self.size)

    @property
    def network(self) -> Size | None:
        return parse_size("--network_size", self.network_size)
