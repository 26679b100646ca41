"""What the user asks of a scoring: every option of `launch/score.py`, with its default."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ecgan.errors import UserError
from jobs.bounds import CLASSES, at_least
from jobs.options import option
from jobs.sharded.settings import ShardedSettings


@dataclass(frozen=True)
class ScoreSettings(ShardedSettings):
    results: str = option("results", "folder of the pictures to score", path=True)
    input_path: str = option("data/test", "test set: folder with label_to_img.json and the masks' folder", path=True)
    img_path: str = option(
        "data/train/imgs", "folder of the training photos: the references, and what FID compares to", path=True
    )
    output_path: str | None = option(
        None, "folder that gets score.json and images.csv; by default RESULTS.score", path=True
    )
    inception_weights: str | None = option(
        None, "pytorch-fid's weights, for the FID; by default ECGAN_INCEPTION or the cache folders", path=True
    )
    segmenter: str | None = option(
        None,
        "training of configs/segmenter.yaml or SegFormer's weights; by default runs/segmenter if it is there",
        path=True,
    )
    aesthetic: str | None = option(
        None, "Python file with load(weights), which returns what scores a picture", path=True
    )
    aesthetic_weights: str | None = option(None, "passed to that load()", path=True)
    label_nc: int = option(29, "classes of the masks", CLASSES)
    contain_dontcare_label: bool = option(False, "mask value 255 is no class; such pixels do not count")
    shards: int = option(1, "parts into which the pictures are split", at_least(1))
    on_bad_input: Literal["stop", "skip"] = option("stop", "bad input: stop before any work, or score all the others")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.aesthetic_weights and not self.aesthetic:
            raise UserError("--aesthetic_weights belongs to --aesthetic, which is not given")
