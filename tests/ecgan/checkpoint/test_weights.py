"""The door for files of weights: every kind of file there is, none that can run code; one way of finding a file."""

from __future__ import annotations

import collections
import hashlib
import io
import pickle
import sys
import types
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT
from safetensors.numpy import save_file

from ecgan.checkpoint import original, torch_file
from ecgan.checkpoint.inception import NAME, find_inception, read_inception
from ecgan.checkpoint.segmenter import open_segmenter
from ecgan.checkpoint.vgg import find_vgg19, read_vgg19
from ecgan.checkpoint.weights import read_weights
from ecgan.errors import UserError

FIXTURES = ROOT / "tests/fixtures"


@pytest.fixture
def torch_names(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Just enough of PyTorch's names for pickles that refer to them; the project never imports it."""

    def rebuild(*_: Any) -> None: ...

    rebuild.__module__, rebuild.__qualname__, rebuild.__name__ = (
        "torch._utils",
        "_rebuild_tensor_v2",
        "_rebuild_tensor_v2",
    )
    storage = type("FloatStorage", (), {"__module__": "torch"})
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    torch.FloatStorage, utils._rebuild_tensor_v2 = storage, rebuild  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)
    return types.SimpleNamespace(storage=storage, rebuild=rebuild)


class TorchPickler(pickle.Pickler):
    """Writes a dict of arrays as PyTorch would, storages by reference."""

    def __init__(self, stream: Any, names: Any, is_legacy: bool) -> None:
        super().__init__(stream, 2)
        self.names, self.is_legacy, self.stored = names, is_legacy, []

    def persistent_id(self, value: Any) -> Any:
        if not isinstance(value, types.SimpleNamespace):
            return None
        rest = (None,) if self.is_legacy else ()
        return ("storage", self.names.storage, value.key, "cpu", value.array.size, *rest)

    def reducer_override(self, value: Any) -> Any:
        if not isinstance(value, np.ndarray):
            return NotImplemented
        storage = types.SimpleNamespace(key=str(len(self.stored)), array=value)
        self.stored.append(storage)
        strides = tuple(step // 4 for step in value.strides)
        return self.names.rebuild, (storage, 0, value.shape, strides, False, collections.OrderedDict())


def write_torch(path: Path, arrays: dict[str, np.ndarray], names: Any, is_legacy: bool) -> None:
    stream = io.BytesIO()
    pickler = TorchPickler(stream, names, is_legacy)
    pickler.dump(collections.OrderedDict(arrays))
    if not is_legacy:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("vgg/data.pkl", stream.getvalue())
            for stored in pickler.stored:
                archive.writestr(f"vgg/data/{stored.key}", stored.array.tobytes())
        return
    with open(path, "wb") as file:
        for value in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}):
            pickle.dump(value, file, 2)
        file.write(stream.getvalue())
        pickle.dump([stored.key for stored in pickler.stored], file, 2)
        for stored in pickler.stored:
            file.write(stored.array.size.to_bytes(8, "little") + stored.array.tobytes())


def write_jittor(path: Path, arrays: dict[str, np.ndarray], is_marked: bool) -> None:
    content = pickle.dumps(arrays, 4)
    path.write_bytes(content + (hashlib.sha1(content).digest() + b"HCAJSLHD" if is_marked else b""))


@pytest.mark.parametrize("kind", ["zip", "legacy", "jittor", "old jittor", "safetensors"])
def test_weights_are_read_from_every_kind_of_file(tmp_path: Path, torch_names: Any, kind: str) -> None:
    chance = np.random.default_rng(0)
    weights = {"a.weight": chance.random((8, 3, 3, 3), np.float32), "a.bias": chance.random(1000, np.float32)}
    path = tmp_path / {"zip": "w.pth", "legacy": "w.pth", "safetensors": "w.safetensors"}.get(kind, "w.pkl")
    if kind == "safetensors":
        save_file(weights, path)
    elif path.suffix == ".pth":
        write_torch(path, weights, torch_names, kind == "legacy")
    else:
        write_jittor(path, weights, kind == "jittor")
    read = read_weights(path)
    assert read.keys() == weights.keys()
    assert all(np.array_equal(read[name], weights[name]) for name in weights)

    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(UserError, match=path.name.replace(".", r"\.")):
        read_weights(path)


@pytest.mark.parametrize("layout", ["zip", "legacy"])
def test_files_that_pytorch_wrote(layout: str) -> None:
    """PyTorch 2.13 wrote them with `torch.save(tensors, path)`, the second with _use_new_zipfile_serialization=False:

    base = torch.arange(24.0)
    tensors = OrderedDict(whole=base, turned=base[4:16].view(3, 4).t(), number=torch.tensor(3.5),
                          counts=torch.tensor([1, 2]), double=base[:6].double())
    tensors._metadata = OrderedDict({"": {"version": 1}})    # which every state_dict() has
    """
    base = np.arange(24, dtype=np.float32)
    wanted = {"whole": base, "turned": base[4:16].reshape(3, 4).T, "number": np.float32(3.5)}
    wanted |= {"counts": np.array([1, 2]), "double": base[:6].astype(np.float64)}
    read = torch_file.read_arrays(FIXTURES / f"torch-{layout}.pth")
    assert read.keys() == wanted.keys()
    for name, array in wanted.items():
        assert (read[name].shape, read[name].dtype) == (array.shape, array.dtype)
        assert np.array_equal(read[name], array)


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_pickles_of_a_state_dict(tmp_path: Path, protocol: int) -> None:
    arrays = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.ones(2, np.float32)}
    arrays["a turned"] = np.asfortranarray(arrays["a"])
    path = tmp_path / "w.pkl"
    path.write_bytes(pickle.dumps(collections.OrderedDict(arrays), protocol))
    read = original.read_arrays(path, must_be_marked=False)
    assert all(np.array_equal(read[name], arrays[name]) for name in arrays)


def test_a_small_file_can_not_fill_the_memory(tmp_path: Path, torch_names: Any) -> None:
    path = tmp_path / "w.pth"
    repeated = np.lib.stride_tricks.as_strided(np.ones(1, np.float32), (300, 200), (0, 0))
    write_torch(path, {"a": repeated}, torch_names, is_legacy=False)
    with zipfile.ZipFile(path) as archive:
        named = archive.read("vgg/data.pkl")
    for compression, message in ((zipfile.ZIP_STORED, "beyond its storage"), (zipfile.ZIP_DEFLATED, "compressed")):
        with zipfile.ZipFile(path, "w", compression) as archive:
            archive.writestr("vgg/data.pkl", named)
            archive.writestr("vgg/data/0", bytes(4))
        with pytest.raises(UserError, match=message):
            read_weights(path)


def test_a_storage_that_is_part_of_another_is_not_misread(tmp_path: Path, torch_names: Any) -> None:
    class Part(TorchPickler):
        def persistent_id(self, value: Any) -> Any:
            whole = super().persistent_id(value)
            return whole and (*whole[:-1], ("1", 2, 4))

    path = tmp_path / "w.pth"
    write_torch(path, {"a": np.ones(4, np.float32)}, torch_names, is_legacy=True)
    content = path.read_bytes()
    stream, part = io.BytesIO(), io.BytesIO()
    TorchPickler(stream, torch_names, True).dump(collections.OrderedDict(a=np.ones(4, np.float32)))
    Part(part, torch_names, True).dump(collections.OrderedDict(a=np.ones(4, np.float32)))
    assert stream.getvalue() in content
    path.write_bytes(content.replace(stream.getvalue(), part.getvalue()))
    with pytest.raises(UserError, match="part of another"):
        read_weights(path)


class Evil:
    def __reduce__(self) -> Any:
        return (eval, ("open('ran', 'w')",))


@pytest.mark.parametrize("name", ["evil.pth", "evil.zip.pth", "evil.pkl"])
def test_a_file_can_not_run_code(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / name
    if "zip" in name:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x/data.pkl", pickle.dumps({"a": Evil()}))
    elif name.endswith(".pkl"):
        path.write_bytes(pickle.dumps({"a": Evil()}))
    else:
        path.write_bytes(b"".join(pickle.dumps(v, 2) for v in (0x1950A86A20F9469CFC6C, 1001, {}, {"a": Evil()})))
    with pytest.raises(UserError, match="refused"):
        read_weights(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("read", [read_vgg19, read_inception, open_segmenter, read_weights])
def test_a_format_that_nobody_knows_is_named(tmp_path: Path, read: Callable[[Path], object]) -> None:
    path = tmp_path / "weights.onnx"
    path.touch()
    with pytest.raises(UserError, match=r"weights\.onnx.*\.safetensors, \.pth"):
        read(path)


def test_letters_may_be_of_any_case(tmp_path: Path) -> None:
    path = tmp_path / "W.SafeTensors"
    save_file({"a": np.arange(3.0)}, path)
    assert list(read_weights(path)) == ["a"]


@pytest.mark.parametrize(
    ("find", "variable", "field"),
    [(find_vgg19, "ECGAN_VGG19", "vgg_weights"), (find_inception, "ECGAN_INCEPTION", "inception_weights")],
)
def test_what_is_named_must_be_there(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    find: Callable[[str | None], Path | None],
    variable: str,
    field: str,
) -> None:
    there = tmp_path / "there.pth"
    there.touch()
    monkeypatch.setenv(variable, str(there))
    assert find(None) == there
    with pytest.raises(UserError, match=f"{field}=.*nothing"):
        find(str(tmp_path / "nothing"))
    monkeypatch.setenv(variable, str(tmp_path / "nothing"))
    with pytest.raises(UserError, match=f"^{variable} .*nothing"):
        find(None)
    assert find(str(there)) == there


def test_the_caches_are_looked_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("ECGAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("ECGAN_INCEPTION", raising=False)
    assert find_inception(None) is None
    for folder in (tmp_path / ".cache/torch/hub/checkpoints", tmp_path / "cache"):
        folder.mkdir(parents=True)
        (folder / NAME).touch()
        assert find_inception(None) == folder / NAME
