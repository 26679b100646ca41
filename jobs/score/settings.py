"""What the user asks of a scoring: every option of `launch/score.py`, with its default."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ecgan.errors import UserError
from ecgan.runtime.devices import DeviceChoice
from jobs.bounds import CLASSES, at_least, insist_on_bounds
from jobs.options import option


@dataclass(frozen=True)
class ScoreSettings:
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
    workers: int | None = option(
        None, "processes on this machine; by default what GPUs, cores and memory allow", at_least(1), here=True
    )
    threads: int | None = option(
        None, "CPU threads of each of them; by default OMP_NUM_THREADS, else its share of the cores", at_least(1)
    )
    cluster: str = option("auto", "where to run")
    device: DeviceChoice = option("auto", "what to compute on")
    on_bad_input: Literal["stop", "skip"] = option("stop", "bad input: stop before any work, or score all the others")
    cache_dir: str | None = option(None, "folder of compiled code; by default ECGAN_CACHE or ~/.cache/ecgan", path=True)
    dry_run: bool = option(False, "print the plan and do nothing")

    def __post_init__(self) -> None:
        insist_on_bounds(self)
        if self.aesthetic_weights and not self.aesthetic:
            raise UserError("--aesthetic_weights belongs to --aesthetic, which is not given")
