"""Reads checkpoints of the original: `latest_net_{G,D,E}.pkl` and the `opt.txt` beside them.

A pickle can run code when it is loaded. The unpickler here knows NumPy arrays and Jittor's
variables and nothing else, so a file from the network can't. docs/specification.md, section 5,
has the format.
"""

from __future__ import annotations

import collections
import hashlib
import io
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np

from ecgan.errors import UserError, reason
from ecgan.files import read_bytes

#: What Jittor puts behind the pickle: 20 bytes SHA-1 of it, then these.
MAGIC = b"HCAJSLHD"
_SHA1_BYTES = 20
#: Bytes of an opt.txt, and characters of a line that counts; the original's are far below.
_LONGEST_OPTIONS, _LONGEST_LINE = 1 << 20, 1000


def read_arrays(path: Path, sha256: str | None = None, must_be_marked: bool = True) -> dict[str, np.ndarray]:
    """The tensors in `path` by name, float32.

    `must_be_marked`: refuse what older versions of Jittor wrote, without checksum and mark behind the pickle.

    Raises UserError if the file is missing, damaged, not the one whose hash is `sha256`, or a pickle
    of anything but named arrays.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"can't read checkpoint {path}: {error.strerror}") from None
    if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
        raise UserError(f"{path} has changed since it was opened; start again")
    if content.endswith(MAGIC):
        content, checksum = content[: -len(MAGIC) - _SHA1_BYTES], content[-len(MAGIC) - _SHA1_BYTES : -len(MAGIC)]
        if hashlib.sha1(content).digest() != checksum:
            raise UserError(f"{path} is damaged: its checksum does not match its content; copy it again")
    elif must_be_marked:
        raise UserError(f"{path} is not a checkpoint that Jittor saved, or was cut off: it does not end in its mark")
    try:
        value = _ArraysOnly(io.BytesIO(content)).load()
    except _Refused as refused:
        raise UserError(f"{path} is refused: its pickle asks for {refused}, which no checkpoint needs") from None
    except Exception as error:
        raise UserError(f"{path} holds a pickle that can't be read: {error}") from None
    if not isinstance(value, dict) or not value:
        raise UserError(f"{path} holds {type(value).__name__} instead of named tensors")
    arrays = {}
    for name, array in value.items():
        if not isinstance(name, str) or not isinstance(array, np.ndarray) or array.dtype.kind != "f":
            raise UserError(f"{path}: entry {name!r} is not a tensor of floats")
        arrays[name] = np.ascontiguousarray(array, dtype=np.float32)
    return arrays


def read_options(path: Path) -> dict[str, str]:
    """The `name: value` lines of an opt.txt as text, without the remarks about defaults.

    Raises UserError if it can't be read.
    """
    options = {}
    try:
        text = read_bytes(path, _LONGEST_OPTIONS).decode(errors="replace")
    except OSError as error:
        raise UserError(f"can't read {path}: {reason(error)}") from None
    for line in text.splitlines():
        if len(line) <= _LONGEST_LINE and (match := re.match(r"\s*(\w+): ?(.*?)\s*(\[default: .*\])?\s*$", line)):
            options[match[1]] = match[2].strip()
    return options


class _Refused(Exception):
    pass


def _variable(value: Any = None, *_rest: Any) -> Any:
    """Stands in for Jittor's variable, which is pickled as a wrapper around its array."""
    return value


def _empty_array(_kind: Any, _shape: Any, _dtype: Any) -> np.ndarray:
    """Stands in for NumPy's `_reconstruct`: an array that the pickle then fills."""
    return np.empty((0,), np.int8)


def _array_of_buffer(buffer: Any, dtype: np.dtype, shape: Any, order: Any) -> np.ndarray:
    """Stands in for NumPy's `_frombuffer`, which pickles of protocol 5 use."""
    return np.frombuffer(buffer, dtype).reshape(shape, order=order)


def _float_dtype(name: Any, *_rest: Any) -> np.dtype:
    if not isinstance(name, str) or not re.fullmatch(r"[<>=|]?f[248]", name):
        raise _Refused(f"an array of type {name!r}")
    return np.dtype(name)


class _ArraysOnly(pickle.Unpickler):
    _ADMITTED = {
        ("jittor", "jittor_core.Var"): _variable,
        ("jittor_core", "Var"): _variable,
        ("jittor.jittor_core", "Var"): _variable,
        ("numpy.core.multiarray", "_reconstruct"): _empty_array,
        ("numpy._core.multiarray", "_reconstruct"): _empty_array,
        ("numpy.core.numeric", "_frombuffer"): _array_of_buffer,
        ("numpy._core.numeric", "_frombuffer"): _array_of_buffer,
        ("collections", "OrderedDict"): collections.OrderedDict,
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): _float_dtype,
    }

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self._ADMITTED[module, name]
        except KeyError:
            raise _Refused(f"{module}.{name}") from None

    def persistent_load(self, pid: Any) -> Any:
        raise _Refused(f"something outside the file ({pid!r})")
