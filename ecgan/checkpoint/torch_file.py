"""Reads the tensors of PyTorch's files (.pth, .pt) without PyTorch, and without running what they hold.

Two layouts are about: a zip archive with data.pkl and one member per storage, and the one before
PyTorch 1.6: five pickles, then every storage's length and bytes. The unpickler knows named tensors
and nothing else.
"""

from __future__ import annotations

import collections
import io
import math
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ecgan.errors import UserError

#: Element types by the name of their storage class.
_TYPES = {"FloatStorage": np.dtype("<f4"), "DoubleStorage": np.dtype("<f8"), "HalfStorage": np.dtype("<f2")} | {
    "LongStorage": np.dtype("<i8")
}
_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001


class _Storage(NamedTuple):
    key: str
    kind: np.dtype


class _Tensor(NamedTuple):
    """A view into a storage; `strides` count elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Refused(Exception):
    pass


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The tensors in `path` by name. Raises UserError if it is missing or damaged, or holds anything but tensors."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"can't read {path}: {error.strerror}") from None
    try:
        named, storage = _read_zip(content) if content.startswith(b"PK") else _read_pickles(content)
        if not isinstance(named, dict) or not named:
            raise ValueError(f"it holds {type(named).__name__} instead of named tensors")
        return {str(name): _view(tensor, storage) for name, tensor in named.items()}
    except _Refused as refused:
        raise UserError(f"{path} is refused: its pickle asks for {refused}, which no weights need") from None
    except Exception as error:
        raise UserError(f"{path} is no file of PyTorch weights, or damaged: {error}") from None


def _read_zip(content: bytes) -> tuple[Any, Callable[[str], bytes]]:
    archive = zipfile.ZipFile(io.BytesIO(content))
    if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
        raise ValueError("it is compressed, which PyTorch never does")  # and a small one could fill the memory
    pickles = [name for name in archive.namelist() if name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise ValueError("there is no data.pkl in it")
    folder = pickles[0].removesuffix("data.pkl")
    named = _TensorsOnly(io.BytesIO(archive.read(pickles[0]))).load()
    return named, lambda key: archive.read(f"{folder}data/{key}")


def _read_pickles(content: bytes) -> tuple[Any, Callable[[str], bytes]]:
    stream = io.BytesIO(content)
    if _TensorsOnly(stream).load() != _MAGIC or _TensorsOnly(stream).load() != _PROTOCOL:
        raise ValueError("it does not begin as one")
    _TensorsOnly(stream).load()  # of the machine that wrote it
    unpickler = _TensorsOnly(stream)
    named = unpickler.load()
    parts: dict[str, bytes] = {}
    for key in _TensorsOnly(stream).load():
        length = int.from_bytes(_exactly(stream, 8), "little")
        parts[key] = _exactly(stream, length * unpickler.kinds[key].itemsize)
    return named, parts.__getitem__


def _exactly(stream: io.BytesIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) != size:
        raise ValueError("it was cut off")
    return data


def _view(tensor: Any, storage: Callable[[str], bytes]) -> np.ndarray:
    if not isinstance(tensor, _Tensor):
        raise ValueError(f"it holds {type(tensor).__name__} among its tensors")
    flat = np.frombuffer(storage(tensor.storage.key), tensor.storage.kind)
    last = tensor.offset + sum((n - 1) * stride for n, stride in zip(tensor.shape, tensor.strides, strict=True))
    forwards = min(tensor.shape, default=1) > 0 and min(tensor.strides, default=0) >= 0
    fits = 0 <= tensor.offset <= last < flat.size and math.prod(tensor.shape) <= flat.size  # strides of 0 repeat
    if not forwards or not fits:
        raise ValueError("a tensor reaches beyond its storage")
    steps = [stride * flat.itemsize for stride in tensor.strides]
    return np.array(np.lib.stride_tricks.as_strided(flat[tensor.offset :], tensor.shape, steps), order="C")


def _tensor(storage: Any, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_rest: Any) -> _Tensor:
    if not isinstance(storage, _Storage):
        raise ValueError("a tensor without storage")
    return _Tensor(storage, int(offset), tuple(map(int, shape)), tuple(map(int, strides)))


class _TensorsOnly(pickle.Unpickler):
    """`kinds`: element type of every storage that was named."""

    def __init__(self, stream: io.BytesIO) -> None:
        super().__init__(stream)
        self.kinds: dict[str, np.dtype] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if module == "torch._utils" and name in ("_rebuild_tensor", "_rebuild_tensor_v2"):
            return _tensor
        if module == "torch" and name in _TYPES:
            return _TYPES[name]
        raise _Refused(f"{module}.{name}")

    def persistent_load(self, pid: Any) -> _Storage:
        what, kind, key = pid[:3]
        if what != "storage" or not isinstance(kind, np.dtype):
            raise ValueError("an unknown kind of storage")
        if len(pid) > 5 and pid[5] is not None:
            raise ValueError("a storage that is part of another")  # the old layout allows it; weights are whole
        self.kinds[str(key)] = kind
        return _Storage(str(key), kind)
