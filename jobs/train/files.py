"""Files that a training reads beside its pairs: weights to start from, to learn by and to be measured with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ecgan.data.images import Size


@dataclass(frozen=True)
class Files:
    """Paths are absolute; None for what is not needed.

    `vgg`: VGG19's weights. `guide`: segmentation network that guides G. `init`: checkpoint to start from. `segmenter`,
    `inception`: networks to measure pictures with, the first at `segmenter_size` (width, height); `photos`: the
    training photos' folder, for the FID.
    """

    vgg: str | None = None
    guide: str | None = None
    init: str | None = None
    segmenter: str | None = None
    segmenter_size: Size | None = None
    inception: str | None = None
    photos: str | None = None

    @property
    def judges(self) -> list[Path]:
        """The networks that measure."""
        return [Path(path) for path in (self.segmenter, self.inception) if path]
