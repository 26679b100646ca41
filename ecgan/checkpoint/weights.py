"""The one door for files of weights that others made: finding one, and reading it by what its name ends in."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from ecgan.checkpoint import native, original, torch_file
from ecgan.errors import UserError
from ecgan.runtime.cache import cache_dir, home

#: What reads a file, by the end of its name. None of these can run what is in it.
_READERS: dict[str, Callable[[Path], dict[str, np.ndarray]]] = {
    ".safetensors": native.read,
    ".pth": torch_file.read_arrays,
    ".pt": torch_file.read_arrays,
    ".bin": torch_file.read_arrays,
    ".pkl": partial(original.read_arrays, must_be_marked=False),  # Jittor's hub has older files, too
}


def read_weights(path: Path) -> dict[str, np.ndarray]:
    """Its tensors by name. Raises UserError if it is of no format known here, damaged, or holds anything else."""
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise UserError(f"{path}: the name of a file of weights ends in one of {', '.join(_READERS)}")
    return reader(path)


def find_weights(
    given: str | None, field: str, variable: str, names: Iterable[str], hubs: Iterable[Path] = (), more: str = ""
) -> Path | None:
    """The file `given` for the setting `field`, else the one that the environment's `variable` names, else the first
    called one of `names` in our cache folder, `hubs` and PyTorch's cache; None if there is none.

    Raises UserError, with `more` to say, if the one that is named does not exist.
    """
    for source, named in ((field, given), (None, os.environ.get(variable))):
        if named:
            path = Path(named).expanduser()
            if not path.is_file():
                fact = "no such file" if source else f"{variable} {named}: no such file"
                raise UserError(f"{fact}{more}", field=source, value=named)
            return path
    candidates = (folder / name for folder in _folders(hubs) for name in names)
    return next((path for path in candidates if path.is_file()), None)


def insist_on_finite(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Raises UserError naming a tensor of the file `path` that is not finite everywhere."""
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise UserError(f"{path}: {name} is not finite everywhere: damaged")


def _folders(hubs: Iterable[Path]) -> Iterator[Path]:
    yield cache_dir()
    yield from hubs
    user = home()
    if user is not None:
        yield user / ".cache/torch/hub/checkpoints"
