"""Our own checkpoints: a folder of safetensors, one per network, and checkpoint.json beside them.

Loading one can't run code. `checkpoint.json` says the model's configuration, where the tensors
came from and the SHA-256 of every file, so damage is noticed.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file
from safetensors.numpy import save as save_tensors

from ecgan.config import ModelConfig
from ecgan.errors import UserError, reason
from ecgan.files import read_any_json, sha256_of, whole_folder, write_json

DESCRIPTION = "checkpoint.json"
FORMAT = 1


def save(
    folder: Path,
    networks: dict[str, dict[str, np.ndarray]],
    model: ModelConfig,
    about: dict[str, Any],
    before_rename: Callable[[], None] | None = None,
) -> None:
    """Writes `folder`, whole or not at all. `networks`: tensors by name for each of "G", "E", "D", "G_ema".

    `before_rename` is called when all is written; what it raises keeps the folder from coming into being.
    Raises UserError if `folder` exists and is not empty; OSError if it can't be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} exists already; choose another name or remove it")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with whole_folder(folder) as new:
        files = {}
        for name, arrays in networks.items():
            file = new / f"{name}.safetensors"
            content = save_tensors({key: np.ascontiguousarray(array) for key, array in arrays.items()})
            with open(file, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            files[file.name] = hashlib.sha256(content).hexdigest()
        write_json(new / DESCRIPTION, {"format": FORMAT, "model": model.to_dict(), "about": about, "sha256": files})
        if before_rename is not None:
            before_rename()


def describe(folder: Path) -> dict[str, Any]:
    """The content of checkpoint.json; raises UserError if it is missing or not ours."""
    path = folder / DESCRIPTION
    try:
        description = read_any_json(path)
        if description["format"] != FORMAT:
            raise UserError(f"{path} has format {description['format']}; this version reads format {FORMAT}")
        if not all(isinstance(description[key], dict) for key in ("model", "sha256", "about")):
            raise TypeError
    except OSError as error:
        raise UserError(f"can't read {path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{path} is damaged: it is not the description of a checkpoint") from None
    return description


def model(folder: Path, description: dict[str, Any]) -> ModelConfig:
    """Of the networks in `folder`, as `describe` found it. Raises UserError that names the file if it is none."""
    try:
        return ModelConfig.from_dict(description["model"])
    except UserError as error:
        raise UserError(f"{folder / DESCRIPTION} is damaged: {error.fact}") from None


def load_network(folder: Path, name: str, sha256: str) -> dict[str, np.ndarray]:
    """The tensors of network `name`; raises UserError if the file is missing or its checksum is not `sha256`."""
    path = folder / f"{name}.safetensors"
    with ThreadPoolExecutor(1) as beside:
        verified = beside.submit(verify, path, sha256)
        try:
            return read(path)
        finally:
            verified.result()  # of a damaged file this says more than what came of reading it


def read(path: Path) -> dict[str, np.ndarray]:
    """The tensors of a file, those of half precision as float32; raises UserError if it can't be read."""
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError, TypeError) as error:  # TypeError: NumPy has no such type (bfloat16)
        raise UserError(f"can't read {path}: {error}") from None
    return {name: a.astype(np.float32) if a.dtype == np.float16 else a for name, a in tensors.items()}


def shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Of the tensors of a file by name, from its header, which also tells whether the file was cut off.

    Raises UserError if it can't be read.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118  # no dict
    except FileNotFoundError:
        raise UserError(f"can't read {path}: there is no such file") from None
    except OSError as error:
        raise UserError(f"can't read {path}: {reason(error)}") from None
    except SafetensorError as error:
        raise UserError(f"{path} is damaged: {error}") from None


def verify(path: Path, sha256: str) -> None:
    """Raises UserError unless `path` has the checksum `sha256`."""
    try:
        found = sha256_of(path)
    except OSError as error:
        raise UserError(f"can't read {path}: {error.strerror}") from None
    if found != sha256:
        raise UserError(f"{path} is damaged: its checksum is not the one in {DESCRIPTION}; copy it again")
