"""Checkpoints, the original's and ours, behind one door: `open_checkpoint` and `Checkpoint.arrays`."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from glob import glob
from pathlib import Path
from typing import Any

import numpy as np

from ecgan.checkpoint import native, original, tensors
from ecgan.checkpoint.infer import ModelOverrides, infer_model
from ecgan.checkpoint.shipped import located
from ecgan.config import ModelConfig
from ecgan.errors import UserError
from ecgan.files import sha256_of

__all__ = ["Checkpoint", "ModelOverrides", "find_newest", "list_states", "open_checkpoint", "open_pickles"]

NETWORKS = ("G", "E", "D")
LATEST = "latest"
#: What of a checkpoint is needed to paint, where it is there.
_PAINTERS = {"G", "E", "G_ema"}
#: Folder of a training run that holds its states, each a checkpoint.
STATES = "states"
_STATE = re.compile(r"step-\d{8,}")
#: What a checkpoint must have to paint with.
_ROLES = {"G": "generator", "E": "style encoder"}
_MODEL = "the checkpoint's model"
_ORIGINAL_NAME = re.compile(r"(?P<epoch>.+)_net_(?P<network>[GED])\.pkl")


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint on disk whose files have been found but whose tensors are read when asked for.

    `files`: path by network. `model_source`: for each doubtful part of `model`, where it was taken
    from, in words.
    """

    path: Path
    files: dict[str, Path]
    model: ModelConfig
    model_source: str
    sha256: dict[str, str] = field(repr=False)
    is_original: bool
    epoch: str | None = None

    def arrays(self, network: str) -> dict[str, np.ndarray]:
        """Tensors of "G", "E", "D" or "G_ema" by name; raises UserError if they are missing or damaged."""
        if network not in self.files:
            raise UserError(f"checkpoint {self.path} has no network {network}")
        if self.is_original:
            return original.read_arrays(self.files[network], self.sha256[network])
        return native.load_network(self.path, network, self.sha256[network])

    def verify(self, networks: Iterable[str] | None = None) -> None:
        """Raises UserError unless the files of `networks`, by default of those that painting needs, are those that were
        saved (of ours; a .pkl is checked whenever it is read) and their tensors are the model's."""
        for name in networks or (self.generator, "E"):
            if self.is_original:
                found = {key: array.shape for key, array in self.arrays(name).items()}
            else:
                native.verify(self.files[name], self.sha256[name])
                found = native.shapes(self.files[name])
            _insist_on_fit(name, self.files[name], self.model, found)

    @property
    def generator(self) -> str:
        """The generator to paint with: the moving average if there is one."""
        return "G_ema" if "G_ema" in self.files else "G"

    @cached_property
    def painting_hash(self) -> str:
        """SHA-256 over the tensors' files that change a picture: generator and encoder."""
        return "+".join(self.sha256[name] for name in (self.generator, "E"))


def open_checkpoint(path: Path, epoch: str | None = None, overrides: ModelOverrides | None = None) -> Checkpoint:
    """Opens a folder of ours, the newest state of a training run's folder, or a folder or .pkl of the original.

    `path` may be the name of a checkpoint that comes with the project (`ecgan.checkpoint.shipped`).

    `epoch` chooses among several checkpoints of the original in one folder (None: the latest); it may
    not be given for ours, nor contradict the name of a .pkl.
    `overrides` says what the tensors of an original can't, where its opt.txt is missing or wrong.

    Raises UserError if there is none, generator or encoder are missing, or their tensors are not the model's.
    """
    overrides = overrides or ModelOverrides()
    path = located(path)
    states = list_states(path / STATES)
    if states:
        path = states[-1]
    if (path / native.DESCRIPTION).is_file():
        if epoch is not None:
            raise _wrong_epoch(epoch, f"{path} holds one checkpoint, which is of our own format")
        return _open_native(path, overrides)
    if path.is_file():
        match = _ORIGINAL_NAME.fullmatch(path.name)
        if not match:
            raise UserError(f"{path}: a checkpoint file is named EPOCH_net_G.pkl (or _net_E, _net_D)")
        if epoch not in (None, match["epoch"]):
            raise _wrong_epoch(epoch, f"{path} is epoch {match['epoch']}")
        return _open_original(path.parent, match["epoch"], overrides)
    if path.is_dir():
        return _open_original(path, epoch or LATEST, overrides)
    raise UserError(f"checkpoint {path} does not exist")


def _wrong_epoch(epoch: str | None, fact: str) -> UserError:
    return UserError(fact, field="which_epoch", value=epoch)


def list_states(folder: Path) -> list[Path]:
    """The saved states of a training in `folder`, oldest first, whole or not."""
    found = [path for path in folder.glob("step-*") if _STATE.fullmatch(path.name) and path.is_dir()]
    return sorted(found, key=lambda path: int(path.name.removeprefix("step-")))


def open_pickles(paths: Iterable[Path], overrides: ModelOverrides | None = None) -> Checkpoint:
    """Opens files of the original wherever they lie; which network each is, its name or its tensors say.

    Raises UserError if one can't be read, generator or encoder are not among them, or they don't fit.
    """
    files: dict[str, Path] = {}
    for path in paths:
        if not path.is_file():
            raise UserError(f"{path}: {'a folder, not a file' if path.is_dir() else 'there is no such file'}")
        match = _ORIGINAL_NAME.fullmatch(path.name)
        network = match["network"] if match else _recognise(path)
        if network in files:
            raise UserError(f"{files[network]} and {path} are both network {network}")
        files[network] = path
    for name, role in _ROLES.items():
        if name not in files:
            raise UserError(f"none of {', '.join(map(str, files.values()))} holds the {role} (network {name})")
    return _describe_original(next(iter(files.values())).parent, files, overrides or ModelOverrides())


def find_newest(roots: Iterable[Path]) -> Path | None:
    """The folder below `roots` into which a checkpoint to paint with, ours or the original's, was written last."""
    names = (native.DESCRIPTION, "*_net_G.pkl")  # the module glob follows links to folders, Path.glob does not
    found = [Path(path) for root in roots for name in names for path in glob(f"{root}/**/{name}", recursive=True)]
    newest_first = sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)
    return next((path.parent for path in newest_first if _paints(path)), None)


def _paints(path: Path) -> bool:
    """Whether a generator belongs to what was found: not to the state of a segmentation network. What can't be read
    counts, too: whoever opens it says what is wrong."""
    if path.name != native.DESCRIPTION:
        return True
    try:
        return "G.safetensors" in native.describe(path.parent)["sha256"]
    except UserError:
        return True


def _open_native(path: Path, overrides: ModelOverrides) -> Checkpoint:
    description = native.describe(path)
    model = native.model(path, description)
    overrides.insist_on(model, path)
    sha256 = {name.removesuffix(".safetensors"): digest for name, digest in description["sha256"].items()}
    files = {name: path / f"{name}.safetensors" for name in sha256}
    files = {name: file for name, file in files.items() if file.exists()}
    missing = (sha256.keys() & _PAINTERS) - files.keys()  # the others only training needs
    if missing:
        raise UserError(f"checkpoint {path} lacks {min(missing)}.safetensors, which its {native.DESCRIPTION} lists")
    _insist_on_painting_networks(path, files)
    checkpoint = Checkpoint(path, files, model, f"model from {native.DESCRIPTION}", sha256, is_original=False)
    for name in (checkpoint.generator, "E"):
        _insist_on_fit(name, files[name], model, native.shapes(files[name]))
    return checkpoint


def _open_original(folder: Path, epoch: str, overrides: ModelOverrides) -> Checkpoint:
    files = {name: folder / f"{epoch}_net_{name}.pkl" for name in NETWORKS}
    files = {name: path for name, path in files.items() if path.is_file()}
    if not files:
        epochs = sorted(path.name.removesuffix("_net_G.pkl") for path in folder.glob("*_net_G.pkl"))
        there = f"; it has epochs {', '.join(epochs)}" if epochs else ""
        hint = "choose with <which_epoch>" if epochs else None
        fact = f"no checkpoint in {folder}: neither {native.DESCRIPTION} nor {epoch}_net_G.pkl{there}"
        raise UserError(fact, hint=hint)
    return dataclasses.replace(_describe_original(folder, files, overrides), epoch=epoch)


def _describe_original(folder: Path, files: dict[str, Path], overrides: ModelOverrides) -> Checkpoint:
    _insist_on_painting_networks(folder, files)
    options_file = folder / "opt.txt"
    options = original.read_options(options_file) if options_file.is_file() else {}
    shapes: dict[str, dict[str, tuple[int, ...]]] = {
        name: {key: array.shape for key, array in original.read_arrays(path).items()} for name, path in files.items()
    }
    model, source = infer_model(folder, shapes, options, overrides)
    for name in _ROLES:
        _insist_on_fit(name, files[name], model, shapes[name])
    sha256 = {name: sha256_of(path) for name, path in files.items()}
    return Checkpoint(folder, files, model, source, sha256, is_original=True)


def _insist_on_painting_networks(path: Path, files: dict[str, Any]) -> None:
    for name, role in _ROLES.items():
        if name not in files:
            raise UserError(f"checkpoint {path} has no {role} (network {name})")


def _insist_on_fit(network: str, file: Path, model: ModelConfig, found: Mapping[str, tuple[int, ...]]) -> None:
    tensors.insist_on_fit(f"{file}: network {network}", tensors.of_file(network, model) or {}, found, _MODEL)


def _recognise(path: Path) -> str:
    names = original.read_arrays(path)
    for network, mark in (("G", "head_0.conv_0.weight_orig"), ("E", "fc_mu.weight")):
        if mark in names:
            return network
    if any(name.startswith("sequential.discriminator_0.") for name in names):
        return "D"
    raise UserError(f"{path} holds none of the networks G, E, D")
