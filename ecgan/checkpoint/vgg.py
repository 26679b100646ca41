"""VGG19's weights for the perceptual loss: where they are found, and reading them without running code."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ecgan.checkpoint.weights import find_weights, insist_on_finite, read_weights
from ecgan.errors import UserError
from ecgan.runtime.cache import cache_dir, home

#: Channels of the convolutions up to relu5_1, by their place in the network: features.0, features.2, …
LAYERS = {0: 64, 2: 64, 5: 128, 7: 128, 10: 256, 12: 256, 14: 256, 16: 256, 19: 512, 21: 512, 23: 512, 25: 512} | {
    28: 512
}
_HUB = "https://cg.cs.tsinghua.edu.cn/jittor/assets/build/checkpoints/vgg19.pkl"
_TORCHVISION = "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth"
_NAMES = ("vgg19.safetensors", "vgg19.pkl", "vgg19-dcbb9e9d.pth")


def find_vgg19(path: str | None) -> Path:
    """The file that `path` names, else the first found in ECGAN_VGG19, our cache folder and the hubs' caches.

    Raises UserError that says how to get it.
    """
    found = find_weights(path, "vgg_weights", "ECGAN_VGG19", _NAMES, _jittor_hubs())
    if found is None:
        raise UserError(
            f"the perceptual loss needs VGG19's weights, and there are none: download {_HUB} (or {_TORCHVISION}) into "
            f"{cache_dir()}",
            hint="or say <vgg_weights=FILE>, or train without it: <lambda_vgg=0>",
        )
    return found


def _jittor_hubs() -> Iterator[Path]:
    """Where Jittor keeps what it downloads: below folders for each version of it, the compiler, Python and CPU.

    Its home is the user's, JITTOR_HOME, or one of ours.
    """
    named = os.environ.get("JITTOR_HOME")
    users = [Path(named) if named else None, home()]
    homes = [*(folder for folder in users if folder), *sorted(cache_dir().glob("jittor-*"))]
    for folder in homes:
        cache = folder / ".cache/jittor"
        yield cache / "checkpoints"
        yield from sorted(cache.glob("jt*/**/checkpoints"))


def read_vgg19(path: Path) -> dict[str, np.ndarray]:
    """Weight and bias of each of LAYERS as `features.K.weight` and `.bias`, float32. Raises UserError."""
    arrays = read_weights(path)
    for name, shape in shapes().items():
        if name not in arrays or arrays[name].shape != shape:
            has = f"has shape {arrays[name].shape}" if name in arrays else "is missing"
            raise UserError(f"{path} does not hold VGG19's weights: {name} {has}, {shape} is needed")
    used = {name: np.ascontiguousarray(arrays[name], np.float32) for name in shapes()}
    insist_on_finite(path, used)
    return used


def shapes() -> dict[str, tuple[int, ...]]:
    """Of everything that `read_vgg19` gives."""
    found: dict[str, tuple[int, ...]] = {}
    fin = 3
    for layer, fout in LAYERS.items():
        found[f"features.{layer}.weight"], found[f"features.{layer}.bias"] = (fout, fin, 3, 3), (fout,)
        fin = fout
    return found
