"""What `bench/gpu.py` measures, part by part; each runs in a process of its own, whose memory and settings are its own.

Nothing here needs OpenCV or files: masks are bands with wavy borders, photos are noise, which times don't depend on.
"""

from __future__ import annotations

import ctypes
import platform
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from measure import Times, peak_memory

from ecgan.config import ModelConfig
from ecgan.runtime import cuda, starting
from ecgan.runtime.devices import Device, gpu_archs

#: Name -> environment and flags of Jittor. cuDNN by itself takes TF32 where the card has it; products stay float32.
PRECISIONS: dict[str, tuple[dict[str, str], dict[str, int]]] = {
    "fp32": ({"NVIDIA_TF32_OVERRIDE": "0"}, {}),
    "default": ({}, {}),
    "tf32": ({}, {"use_tensorcore": 1}),
    "bf16 products": ({}, {"use_tensorcore": 2}),
    "fp16 products": ({}, {"use_tensorcore": 3}),
    "amp fp16": ({}, {"auto_mixed_precision_level": 5}),
}
FORMS = ("dense", "exact-sparse")
_TINY = ModelConfig(128, 64, ngf=4, ndf=4, num_upsampling_layers="normal")
_SMALL = ModelConfig(256, 192, ngf=16, ndf=16)
#: Of a card that the training has to fit.
_CARD_OF_INTEREST = 24 << 30


@dataclass(frozen=True)
class Setting:
    """`quick`: tiny networks and two repeats. `precision`: of PRECISIONS."""

    device: Device
    quick: bool
    precision: str = "default"
    form: str = "exact-sparse"
    batch: int = 1

    @property
    def model(self) -> ModelConfig:
        return _TINY if self.quick else ModelConfig()

    @property
    def repeats(self) -> int:
        return 2 if self.quick else 10


def begin(setting: Setting) -> None:
    """Starts Jittor, which compiles on all cores, before anything else can; the precision's environment is set."""
    starting.start(setting.device, parallel_compiler=True)
    from ecgan.runtime import jt

    for flag, value in PRECISIONS[setting.precision][1].items():
        setattr(jt.flags, flag, value)


def machine(setting: Setting) -> dict[str, Any]:
    """Card, driver and versions."""
    found: dict[str, Any] = {"python": platform.python_version(), "numpy": np.__version__, "device": setting.device}
    found["jittor"] = metadata.version("jittor")
    toolkit = cuda.find()
    if toolkit is not None:
        found |= {name: part.version for name, part in toolkit.parts.items() if part.version}
    if setting.device == "cuda" and toolkit is not None:
        found["overlays"] = [overlay.what for overlay in cuda.overlays(toolkit, gpu_archs())]
        found["compute capability"] = [arch / 10 for arch in gpu_archs()]
        found["memory"] = memory_of_card()[1]
    return found


def limits(setting: Setting) -> dict[str, float]:
    """Multiply-adds and bytes per second that the card reaches: large products, and a copy read and written."""
    begin(setting)
    from ecgan.runtime import jt

    size, numbers = (256, 1 << 16) if setting.quick else (8192, 1 << 28)
    if setting.device == "cpu" and not setting.quick:
        size, numbers = 2048, 1 << 24
    a, x = jt.randn((size, size)), jt.randn((numbers,))
    of_product = timed(lambda: jt.matmul(a, a), setting.repeats)
    of_copy = timed(lambda: x + 1, setting.repeats)
    return {"multiply_adds_per_s": size**3 / of_product.least, "bytes_per_s": 8 * numbers / of_copy.least}


def reference(setting: Setting, file: Path) -> dict[str, str]:
    """Writes what this device computes of E, G and D, a training step, and the sparse path."""
    begin(setting)
    np.savez(file, **_outputs(_TINY if setting.quick else _SMALL))
    return {"file": file.name}


def agreement(setting: Setting, file: Path) -> dict[str, float]:
    """The greatest difference from each value of the reference; relative for a step's loss terms."""
    begin(setting)
    expected = np.load(file)
    values = _outputs(_TINY if setting.quick else _SMALL)
    return {name: _difference(name, value, expected[name]) for name, value in values.items()}


def _difference(name: str, value: np.ndarray, expected: np.ndarray) -> float:
    apart = np.abs(value.astype(np.float64) - expected)
    return float((apart / np.maximum(1e-6, np.abs(expected)) if name.startswith("step") else apart).max())


def _outputs(model: ModelConfig) -> dict[str, np.ndarray]:
    from ecgan.networks import Discriminator, Encoder, Generator, Segmap, load_arrays
    from ecgan.random_model import random_arrays
    from ecgan.runtime import jt
    from ecgan.synthesis import to_network

    networks = {"G": Generator(model), "E": Encoder(model), "D": Discriminator(model)}
    arrays = {name: random_arrays(network, 1) for name, network in networks.items()}
    for name, network in networks.items():
        load_arrays(network, arrays[name], name)
        network.eval()
    labels, photo = bands(2, model), photos(2, model)
    values = {}
    with jt.no_grad():
        seen = jt.array(to_network(photo))
        mu, logvar = networks["E"](seen)
        values |= {"E mu": mu.numpy(), "E logvar": logvar.numpy()}
        code = jt.array(np.random.default_rng(0).standard_normal((2, model.z_dim)).astype(np.float32))
        for form in FORMS:
            segmap = Segmap(labels, model.semantic_nc, form == "exact-sparse")
            values[f"G image2 {form}"] = networks["G"](code, segmap).image2.numpy()
        judged = networks["D"](jt.concat([segmap.at(model.height, model.width), seen], dim=1))
        values |= {f"D{scale} logits": maps[-1].numpy() for scale, maps in enumerate(judged)}
    for form in FORMS:
        learner = make_learner(model, form, with_vgg=False)
        learner.start_from(arrays, "the benchmark")
        terms = learner.step(make_samples(2, model), 1e-4)
        values |= {f"step {form} {name}": np.asarray(value) for name, value in terms.items()}
    return values


def painting(setting: Setting) -> dict[str, Any]:
    """Seconds of painting a batch of masks, from class ids to an array, and memory at the peak."""
    begin(setting)
    from ecgan.networks import Generator, Segmap
    from ecgan.runtime import jt

    model = setting.model
    generator = Generator(model)
    generator.eval()
    labels, code = bands(setting.batch, model), jt.array(np.zeros((setting.batch, model.z_dim), np.float32))

    def paint() -> jt.Var:
        with jt.no_grad():
            return generator(code, Segmap(labels, model.semantic_nc, setting.form == "exact-sparse")).image2

    times = timed(paint, setting.repeats)
    figures = {"seconds": vars(times), "images_per_s": setting.batch / times.median, "peak_bytes": peak(setting)}
    figures["multiply_adds"] = _multiply_adds(generator, labels, setting.form)
    return figures | {"least_bytes": setting.batch * _least_bytes(generator, labels[:1])}


def _multiply_adds(generator: Any, labels: np.ndarray, form: str) -> int:
    """Of the batch."""
    from arithmetic import layers

    from ecgan.networks import Segmap

    each = [layers(generator, Segmap(one[None], generator.config.semantic_nc, True)) for one in labels]
    return sum(getattr(layer, form.removeprefix("exact-")) for counted in each for layer in counted)


def _least_bytes(generator: Any, labels: np.ndarray) -> int:
    """Of one picture: each layer's input, output and weights once, in float32; all that is between layers left out."""
    from ecgan.networks import Segmap
    from ecgan.networks.layers import SpectralConv
    from ecgan.networks.spade import SPADE
    from ecgan.runtime import jt, nn

    numbers = [sum(value.numel() for value in generator.parameters())]

    def watch(module: Any) -> None:
        execute = module.execute

        def watched(x: jt.Var, *rest: Any, **options: Any) -> jt.Var:
            out = execute(x, *rest, **options)
            numbers.append(x.numel() + out.numel())
            return out

        module.execute = watched

    kinds = (SPADE, SpectralConv, nn.Conv)
    modules = [each for name, each in generator.named_modules() if isinstance(each, kinds) and ".mlp_" not in name]
    for module in modules:
        watch(module)
    with jt.no_grad():
        code = jt.zeros((1, generator.config.z_dim))
        generator(code, Segmap(labels, generator.config.semantic_nc, True)).image2.sync()
    for module in modules:
        del module.execute
    return 4 * sum(numbers)


def training(setting: Setting) -> dict[str, Any]:
    """Seconds of a step of the original's preset (VGG19 on), and memory at the peak."""
    begin(setting)
    restrict_workspaces(setting)
    learner = make_learner(setting.model, setting.form, with_vgg=True)
    samples = make_samples(setting.batch, setting.model)
    times = timed(lambda: learner.step(samples, 1e-4), setting.repeats)
    return {"seconds": vars(times), "steps_per_s": 1 / times.median, "peak_bytes": peak(setting)}


def loading(setting: Setting) -> dict[str, Any]:
    """Seconds of a step with samples at hand, and with samples read from files by the loader's threads."""
    begin(setting)
    from PIL import Image

    from ecgan.data.trainset import Pair
    from ecgan.training.loader import Loader
    from ecgan.training.sampler import Sampler

    model, count = setting.model, 8
    learner = make_learner(model, setting.form, with_vgg=True)
    samples = make_samples(1, model)
    at_hand = timed(lambda: learner.step(samples, 1e-4), setting.repeats)
    with tempfile.TemporaryDirectory() as folder:
        pairs = []
        for number, (labels, photo) in enumerate(zip(bands(count, model), photos(count, model), strict=True)):
            pair = Pair(f"{number}", Path(folder, f"{number}.jpg"), Path(folder, f"{number}.png"))
            Image.fromarray(photo).save(pair.photo)
            Image.fromarray(labels).save(pair.mask)
            pairs.append(pair)
        loader = Loader(pairs, model, Sampler(count, 1, seed=0))
        seconds, last = [], time.perf_counter()
        for batch in loader.batches(0, setting.repeats + 2):
            learner.step(batch, 1e-4)
            seconds.append(time.perf_counter() - last)
            last = time.perf_counter()
    read = Times.of(seconds[2:])
    return {"at_hand": vars(at_hand), "read": vars(read), "read_over_at_hand": read.median / at_hand.median}


def pytorch(setting: Setting) -> dict[str, Any]:
    """The dense generator in PyTorch, as `painting` does it. Raises ImportError where PyTorch is not installed."""
    import torch  # noqa: F401, before Jittor starts, which has them get along
    from torch_generator import TorchGenerator

    begin(Setting("cpu", setting.quick))
    from ecgan.networks import Generator, to_arrays

    model = setting.model
    fp16 = setting.precision == "amp fp16"
    torch.backends.cudnn.allow_tf32 = setting.precision != "fp32"
    torch.backends.cudnn.benchmark = True
    generator = TorchGenerator(
        model, to_arrays(Generator(model)), setting.device, torch.float16 if fp16 else torch.float32
    )
    labels, codes = bands(setting.batch, model), np.zeros((setting.batch, model.z_dim), np.float32)
    seconds = []
    for _ in range(setting.repeats + 2):
        started = time.perf_counter()
        generator(codes, labels).float().cpu().numpy()
        seconds.append(time.perf_counter() - started)
    times = Times.of(seconds[2:])
    found = {"seconds": vars(times), "images_per_s": setting.batch / times.median, "torch": torch.__version__}
    if setting.device == "cuda":
        found["peak_bytes"] = torch.cuda.max_memory_reserved()
    return found


# What the parts share


def timed(run: Callable[[], Any], repeats: int) -> Times:
    """Of a run to its very end on the device; two before compile what is needed and choose algorithms."""
    from ecgan.runtime import jt

    seconds = []
    for _ in range(repeats + 2):
        started = time.perf_counter()
        result = run()
        if isinstance(result, jt.Var):
            result.numpy() if result.numel() < 1 << 24 else result.sync(True)
        jt.sync_all(True)
        seconds.append(time.perf_counter() - started)
    return Times.of(seconds[2:])


def make_learner(model: ModelConfig, form: str, with_vgg: bool) -> Any:
    """With VGG19 of random weights: what it sees does not matter here."""
    from ecgan.checkpoint.vgg import shapes
    from ecgan.training.learner import Learner
    from ecgan.training.recipe import LossWeights, Recipe
    from ecgan.training.world import World

    chance = np.random.default_rng(0)
    vgg = {name: chance.standard_normal(shape, np.float32) * 0.03 for name, shape in shapes().items()}
    weights = LossWeights() if with_vgg else LossWeights(lambda_vgg=0)
    recipe = Recipe(weights, spade=form)  # type: ignore[arg-type]
    learner = Learner(model, recipe, World(0, 1, ["here"], None), vgg if with_vgg else None)
    learner.initialise(seed=0)
    return learner


def make_samples(count: int, model: ModelConfig) -> list[Any]:
    from ecgan.training.loader import LoadedSample

    chance = np.random.default_rng(1)
    each = zip(bands(count, model), photos(count, model), strict=True)
    return [
        LoadedSample(
            f"{number}", labels, photo, photo[..., 0], chance.standard_normal((2, model.z_dim)).astype(np.float32)
        )
        for number, (labels, photo) in enumerate(each)
    ]


def bands(count: int, model: ModelConfig) -> np.ndarray:
    """(count, height, width) uint8: eight bands with wavy borders, as landscapes have, of classes that differ."""
    rows, columns = np.mgrid[: model.height, : model.width] / np.array([model.height, model.width])[:, None, None]
    masks = []
    for number in range(count):
        wave = sum(
            np.sin((2 * k + 1 + number) * 3 * columns + 5 * k + number + 4 * rows) / (k + 1) ** 1.5 for k in range(12)
        )
        band = np.clip((rows + 0.06 * wave) * 8, 0, 7).astype(int)
        masks.append(np.random.default_rng(number).permutation(model.label_nc)[band])
    return np.stack(masks).astype(np.uint8)


def photos(count: int, model: ModelConfig) -> np.ndarray:
    """(count, height, width, 3) uint8 of noise in patches."""
    chance = np.random.default_rng(2)
    patches = chance.integers(0, 256, (count, model.height // 8, model.width // 8, 3), np.uint8)
    return patches.repeat(8, axis=1).repeat(8, axis=2)


def restrict_workspaces(setting: Setting) -> None:
    """Jittor lets cuDNN have a quarter of the card's memory to work in: of a larger card, no more than of 24 GB."""
    if setting.device == "cuda":
        from ecgan.runtime import jt

        jt.compile_extern.cudnn.set_max_workspace_ratio(0.25 * min(1.0, _CARD_OF_INTEREST / memory_of_card()[1]))


def peak(setting: Setting) -> int:
    """Bytes. On a GPU all that is taken, CUDA's own included: Jittor gives nothing back before it has to."""
    if setting.device == "cpu":
        return peak_memory()
    free, total = memory_of_card()
    return total - free


def memory_of_card() -> tuple[int, int]:
    """(free, in all) bytes of the first card, by CUDA's runtime."""
    found = cuda.find()
    assert found is not None
    library = ctypes.CDLL(str(found.parts["cudart"].library))
    free, total = ctypes.c_size_t(0), ctypes.c_size_t(0)
    library.cudaMemGetInfo(ctypes.byref(free), ctypes.byref(total))
    return free.value, total.value
