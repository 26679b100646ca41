"""Inception v3's weights for the FID: pytorch-fid's file, read without running code."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np

from ecgan.checkpoint.weights import find_weights, insist_on_finite, read_weights
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
    more = f"; it is to be had from {_ADDRESS}"
    return find_weights(path, "inception_weights", "ECGAN_INCEPTION", [NAME], more=more)


def read_inception(path: Path) -> dict[str, np.ndarray]:
    """Its tensors by name, without the classifier that the FID does not use. Raises UserError."""
    used = {name: array for name, array in read_weights(path).items() if name.endswith(_USED)}
    if _digest(used) != _TENSORS:
        raise UserError(f"{path} does not hold pytorch-fid's Inception v3: its tensors are others; get {_ADDRESS}")
    insist_on_finite(path, used)
    return used


def _digest(arrays: dict[str, np.ndarray]) -> str:
    shapes = sorted((name, list(array.shape)) for name, array in arrays.items())
    return hashlib.sha256(json.dumps(shapes).encode()).hexdigest()
