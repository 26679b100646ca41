"""Inception v3's weights for the FID: pytorch-fid's file, read without running code."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import numpy as np

from ecgan import runtime
from ecgan.checkpoint import native, torch_file
from ecgan.errors import UserError

NAME = "pt_inception-2015-12-05-6726825d.pth"
_ADDRESS = f"https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/{NAME}"
#: What of a layer the FID uses.
_USED = (".conv.weight", ".bn.weight", ".bn.bias", ".bn.running_mean", ".bn.running_var")
#: SHA-256 of the names and shapes of all tensors that count, so that no other network is taken for it.
_TENSORS = "53dfbd0c1bd592f43bd9a5c50b8fb183575be4d885e6f9835ec99912ac69d1f7"


def find_inception(path: str | None) -> Path | None:
    """The file that `path` names, else the first found in ECGAN_INCEPTION, our cache folder and PyTorch's; None if
    there is none. Raises UserError if the one that is named does not exist."""
    for field, named in (("inception_weights", path), (None, os.environ.get("ECGAN_INCEPTION"))):
        if named:
            given = Path(named).expanduser()
            if not given.is_file():
                where = f"ECGAN_INCEPTION {named}: " if field is None else ""
                raise UserError(f"{where}no such file; it is to be had from {_ADDRESS}", field=field, value=named)
            return given
    folders = (runtime.cache_dir(), Path.home() / ".cache/torch/hub/checkpoints")
    return next((folder / NAME for folder in folders if (folder / NAME).is_file()), None)


def read_inception(path: Path) -> dict[str, np.ndarray]:
    """Its tensors by name, without the classifier that the FID does not use. Raises UserError."""
    arrays = native.read(path) if path.suffix == ".safetensors" else torch_file.read_arrays(path)
    used = {name: array for name, array in arrays.items() if name.endswith(_USED)}
    if _digest(used) != _TENSORS:
        raise UserError(f"{path} does not hold pytorch-fid's Inception v3: its tensors are others; get {_ADDRESS}")
    for name, array in used.items():
        if not np.isfinite(array).all():
            raise UserError(f"{path}: {name} is not finite everywhere: damaged")
    return used


def _digest(arrays: dict[str, np.ndarray]) -> str:
    shapes = sorted((name, list(array.shape)) for name, array in arrays.items())
    return hashlib.sha256(json.dumps(shapes).encode()).hexdigest()
