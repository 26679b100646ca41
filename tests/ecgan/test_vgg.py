"""The perceptual loss: VGG19's features, and reading its weights from every kind of file there is."""

from __future__ import annotations

import collections
import hashlib
import io
import pickle
import sys
import types
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from ecgan.checkpoint import original, torch_file
from ecgan.checkpoint.vgg import LAYERS, find_vgg19, read_vgg19, shapes
from ecgan.errors import UserError

FIXTURES = Path(__file__).parents[1] / "fixtures"


@pytest.fixture(scope="module")
def weights() -> dict[str, np.ndarray]:
    return {name: draw(shape) for name, shape in shapes().items()}


def draw(shape: tuple[int, ...]) -> np.ndarray:
    """Weights that keep activations near 1, or biases."""
    if len(shape) == 1:
        return np.full(shape, 0.1, np.float32)
    deviation = (2 / np.prod(shape[1:])) ** 0.5
    return (np.random.default_rng(shape[0]).standard_normal(shape) * deviation).astype(np.float32)


def convolve(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """(C, H, W), 3x3, padding 1, then ReLU."""
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    height, width = x.shape[1:]
    total = sum(
        np.einsum("oc,chw->ohw", weight[:, :, i, j], padded[:, i : i + height, j : j + width])
        for i in range(3)
        for j in range(3)
    )
    return np.maximum(total + bias[:, None, None], 0)


def test_features_are_those_of_the_network(weights: dict[str, np.ndarray]) -> None:
    from ecgan.networks.vgg import VGG19Features
    from ecgan.runtime import jt

    picture = np.random.default_rng(1).uniform(-1, 1, (1, 3, 32, 48)).astype(np.float32)
    maps = [value.numpy() for value in VGG19Features(weights)(jt.array(picture))]
    assert [m.shape[1:] for m in maps] == [(64, 32, 48), (128, 16, 24), (256, 8, 12), (512, 4, 6), (512, 2, 3)]
    x, wanted = picture[0], []
    for layer in LAYERS:
        if layer in (5, 10, 19, 28):
            c, h, w = x.shape
            x = x.reshape(c, h // 2, 2, w // 2, 2).max((2, 4))
        x = convolve(x, weights[f"features.{layer}.weight"], weights[f"features.{layer}.bias"])
        if layer in (0, 5, 10, 19, 28):
            wanted.append(x)
    for ours, theirs in zip(maps, wanted, strict=True):
        assert np.allclose(ours[0], theirs, rtol=1e-3, atol=1e-4 * np.abs(theirs).max())


def test_the_loss_by_hand() -> None:
    from ecgan.runtime import jt
    from ecgan.training.perceptual import perceptual

    ours = [jt.array([float(k), 0.0]) for k in (32, 16, 8, 4, 1)]
    theirs = [jt.zeros(2) for _ in ours]
    assert perceptual(ours, theirs).item() == pytest.approx(5 / 2)


def test_the_picture_learns_and_the_weights_do_not(weights: dict[str, np.ndarray]) -> None:
    from ecgan.networks.vgg import VGG19Features
    from ecgan.runtime import jt
    from ecgan.training.perceptual import perceptual

    vgg = VGG19Features(weights)
    picture = jt.array(np.zeros((1, 3, 32, 32), np.float32))
    real = vgg(jt.array(np.full((1, 3, 32, 32), 0.5, np.float32)))
    (gradient,) = jt.grad(perceptual(vgg(picture), real), [picture])
    assert np.abs(gradient.numpy()).sum() > 0
    assert all(weight.is_stop_grad() for weight in vgg._weights.values())


def test_the_real_picture_does_not_learn() -> None:
    from ecgan.runtime import jt
    from ecgan.training.perceptual import perceptual

    ours, theirs = jt.ones(2), jt.zeros(2)
    to_ours, to_theirs = jt.grad(perceptual([ours] * 5, [theirs] * 5), [ours, theirs])
    assert to_ours.numpy().sum() == pytest.approx(1 + 1 / 4 + 1 / 8 + 1 / 16 + 1 / 32)
    assert not to_theirs.numpy().any()


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
def test_weights_are_read_from_every_kind_of_file(
    tmp_path: Path, weights: dict[str, np.ndarray], torch_names: Any, kind: str
) -> None:
    more = weights | {"classifier.0.weight": np.zeros((2, 2), np.float32)}
    path = tmp_path / {"zip": "v.pth", "legacy": "v.pth", "safetensors": "v.safetensors"}.get(kind, "v.pkl")
    if kind == "safetensors":
        save_file(more, path)
    elif path.suffix == ".pth":
        write_torch(path, more, torch_names, kind == "legacy")
    else:
        write_jittor(path, more, kind == "jittor")
    read = read_vgg19(path)
    assert read.keys() == weights.keys()
    assert all(np.array_equal(read[name], weights[name]) for name in weights)

    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(UserError, match=path.name.replace(".", r"\.")):
        read_vgg19(path)


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
    path = tmp_path / "v.pkl"
    path.write_bytes(pickle.dumps(collections.OrderedDict(arrays), protocol))
    read = original.read_arrays(path, must_be_marked=False)
    assert all(np.array_equal(read[name], arrays[name]) for name in arrays)


def test_a_small_file_can_not_fill_the_memory(tmp_path: Path, torch_names: Any) -> None:
    path = tmp_path / "v.pth"
    repeated = np.lib.stride_tricks.as_strided(np.ones(1, np.float32), (300, 200), (0, 0))
    write_torch(path, {"a": repeated}, torch_names, is_legacy=False)
    with zipfile.ZipFile(path) as archive:
        named = archive.read("vgg/data.pkl")
    for compression, message in ((zipfile.ZIP_STORED, "beyond its storage"), (zipfile.ZIP_DEFLATED, "compressed")):
        with zipfile.ZipFile(path, "w", compression) as archive:
            archive.writestr("vgg/data.pkl", named)
            archive.writestr("vgg/data/0", bytes(4))
        with pytest.raises(UserError, match=message):
            read_vgg19(path)


def test_a_storage_that_is_part_of_another_is_not_misread(tmp_path: Path, torch_names: Any) -> None:
    class Part(TorchPickler):
        def persistent_id(self, value: Any) -> Any:
            whole = super().persistent_id(value)
            return whole and (*whole[:-1], ("1", 2, 4))

    path = tmp_path / "v.pth"
    write_torch(path, {"a": np.ones(4, np.float32)}, torch_names, is_legacy=True)
    content = path.read_bytes()
    stream, part = io.BytesIO(), io.BytesIO()
    TorchPickler(stream, torch_names, True).dump(collections.OrderedDict(a=np.ones(4, np.float32)))
    Part(part, torch_names, True).dump(collections.OrderedDict(a=np.ones(4, np.float32)))
    assert stream.getvalue() in content
    path.write_bytes(content.replace(stream.getvalue(), part.getvalue()))
    with pytest.raises(UserError, match="part of another"):
        read_vgg19(path)


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
        read_vgg19(path)
    assert not (tmp_path / "ran").exists()


def test_other_networks_are_not_taken_for_vgg19(tmp_path: Path, weights: dict[str, np.ndarray]) -> None:
    path = tmp_path / "vgg.safetensors"
    save_file({name: value for name, value in weights.items() if "features.25" not in name}, path)
    with pytest.raises(UserError, match=r"vgg\.safetensors does not hold .*features\.25\.weight is missing"):
        read_vgg19(path)
    header = b'{"features.0.bias":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}'
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    with pytest.raises(UserError, match=r"vgg\.safetensors.*bfloat16"):
        read_vgg19(path)
    broken = weights | {"features.0.bias": np.full(64, np.nan, np.float32)}
    save_file(broken, path)
    with pytest.raises(UserError, match="not finite"):
        read_vgg19(path)


def test_where_weights_are_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, cache = tmp_path / "home", tmp_path / "cache"
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("ECGAN_CACHE", str(cache))
    monkeypatch.delenv("ECGAN_VGG19", raising=False)
    monkeypatch.delenv("JITTOR_HOME", raising=False)
    hub = ".cache/jittor/jt1.3.11/g++12.2.0/py3.11.7/Linux-6/CPU/7b6b/default"
    with pytest.raises(UserError, match=r"download .*vgg19\.pkl.*vgg_weights=FILE.*lambda_vgg=0"):
        find_vgg19(None)
    found = []
    for path in (  # each goes before those above it
        home / ".cache/torch/hub/checkpoints/vgg19-dcbb9e9d.pth",
        cache / "jittor-cpu" / hub / "checkpoints/vgg19.pkl",
        home / hub / "cu12.2.140_sm_86/checkpoints/vgg19.pkl",
        home / ".cache/jittor/checkpoints/vgg19.pkl",
        cache / "vgg19.safetensors",
        tmp_path / "named.pth",
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        if path.name == "named.pth":
            monkeypatch.setenv("ECGAN_VGG19", str(path))
        found.append(find_vgg19(None) == path)
    assert found == [True] * 6
    with pytest.raises(UserError, match="vgg_weights=.*nothing"):
        find_vgg19(str(tmp_path / "nothing"))
