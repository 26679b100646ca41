"""VGG19's weights for the perceptual loss: where they are found, and reading them without running code."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from ecgan import runtime
from ecgan.checkpoint import native, original, torch_file
from ecgan.errors import UserError

#: Channels of the convolutions up to relu5_1, by their place in the network: features.0, features.2, …
LAYERS = {0: 64, 2: 64, 5: 128, 7: 128, 10: 256, 12: 256, 14: 256, 16: 256, 19: 512, 21: 512, 23: 512, 25: 512} | {
    28: 512
}
_TORCH = (".pth", ".pt", ".bin")
_HUB = "https://cg.cs.tsinghua.edu.cn/jittor/assets/build/checkpoints/vgg19.pkl"
_TORCHVISION = "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth"
_NAMES = ("vgg19.safetensors", "vgg19.pkl", "vgg19-dcbb9e9d.pth")


def find_vgg19(path: str | None) -> Path:
    """The file that `path` names, else the first found in ECGAN_VGG19, our cache folder and the hubs' caches.

    Raises UserError that says how to get it.
    """
    if path is not None:
        given = Path(path).expanduser()
        if not given.is_file():
            raise UserError("no such file", field="vgg_weights", value=path)
        return given
    named = [Path(os.environ["ECGAN_VGG19"]).expanduser()] if os.environ.get("ECGAN_VGG19") else []
    if named and not named[0].is_file():
        raise UserError(f"ECGAN_VGG19 is {named[0]}: no such file")
    folders = [runtime.cache_dir(), *_jittor_hubs(), Path.home() / ".cache/torch/hub/checkpoints"]
    for candidate in [*named, *(folder / name for folder in folders for name in _NAMES)]:
        if candidate.is_file():
            return candidate
    raise UserError(
        f"the perceptual loss needs VGG19's weights, and there are none: download {_HUB} (or {_TORCHVISION}) into "
        f"{runtime.cache_dir()}",
        hint="or say <vgg_weights=FILE>, or train without it: <lambda_vgg=0>",
    )


def _jittor_hubs() -> list[Path]:
    """Where Jittor keeps what it downloads: below folders for each version of it, the compiler, Python and CPU.

    Its home is the user's, JITTOR_HOME, or one of ours.
    """
    homes = [Path.home(), *sorted(runtime.cache_dir().glob("jittor-*"))]
    if os.environ.get("JITTOR_HOME"):
        homes.insert(0, Path(os.environ["JITTOR_HOME"]))
    caches = [home / ".cache/jittor" for home in homes]
    return [folder for cache in caches for folder in (cache / "checkpoints", *sorted(cache.glob("jt*/**/checkpoints")))]


def read_vgg19(path: Path) -> dict[str, np.ndarray]:
    """Weight and bias of each of LAYERS as `features.K.weight` and `.bias`, float32. Raises UserError."""
    suffix = path.suffix.lower()
    if suffix == ".safetensors":
        return _checked(path, native.read(path))
    if suffix in _TORCH:
        return _checked(path, torch_file.read_arrays(path))
    return _checked(path, original.read_arrays(path, must_be_marked=False))  # the hub has older files, too


def shapes() -> dict[str, tuple[int, ...]]:
    """Of everything that `read_vgg19` gives."""
    found: dict[str, tuple[int, ...]] = {}
    fin = 3
    for layer, fout in LAYERS.items():
        found[f"features.{layer}.weight"], found[f"features.{layer}.bias"] = (fout, fin, 3, 3), (fout,)
        fin = fout
    return found


def _checked(path: Path, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    for name, shape in shapes().items():
        if name not in arrays or arrays[name].shape != shape:
            has = f"has shape {arrays[name].shape}" if name in arrays else "is missing"
            raise UserError(f"{path} does not hold VGG19's weights: {name} {has}, {shape} is needed")
        if not np.isfinite(arrays[name]).all():
            raise UserError(f"{path}: {name} is not finite everywhere: damaged")
    return {name: np.ascontiguousarray(arrays[name], np.float32) for name in shapes()}
