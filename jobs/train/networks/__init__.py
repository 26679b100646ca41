"""The networks that can be trained, by the word that `--network` takes: one line for each. Starts no Jittor."""

from __future__ import annotations

from typing import Any, Literal

from jobs.train.networks.ecgan import Ecgan
from jobs.train.networks.segmenter import SegmentationNetwork
from jobs.train.networks.trainable import Trainable

__all__ = ["TRAINABLES", "Network", "Trainable"]

Network = Literal["ecgan", "segmenter"]
TRAINABLES: dict[Network, Trainable[Any]] = {
    "ecgan": Ecgan(),
    "segmenter": SegmentationNetwork(),
}
