"""Other engines that paint what our G paints, on the CPU: the dense G of `torch_generator` in PyTorch and in OpenVINO.

Each goes from class ids to an array, with our G's weights by name. Nothing but the comparison needs them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import metadata, util

import numpy as np

from ecgan.config import ModelConfig

#: What a form is called -> the distributions that it needs; OpenVINO gets the network from PyTorch.
FORMS = {
    "PyTorch float32": ("torch",),
    "PyTorch bfloat16": ("torch",),
    "OpenVINO float32": ("torch", "openvino"),
    "OpenVINO bfloat16": ("torch", "openvino"),
}
#: Paints one mask, (1, H, W) of class ids, with its code, (1, z_dim) float32: image2, (1, 3, H, W) float32.
Painter = Callable[[np.ndarray, np.ndarray], np.ndarray]


def missing(form: str) -> list[str]:
    """The distributions that `form` needs and that are not installed."""
    return [name for name in FORMS[form] if util.find_spec(name) is None]


def versions() -> dict[str, str]:
    """Of the engines that are installed."""
    return {name: metadata.version(name) for name in ("torch", "openvino") if util.find_spec(name) is not None}


def painter(form: str, config: ModelConfig, arrays: Mapping[str, np.ndarray], threads: int) -> Painter:
    """`arrays`: the tensors of our G by name. Raises ImportError where the engine is not installed."""
    engine, precision = form.split()
    return {"PyTorch": _pytorch, "OpenVINO": _openvino}[engine](precision, config, arrays, threads)


def _pytorch(precision: str, config: ModelConfig, arrays: Mapping[str, np.ndarray], threads: int) -> Painter:
    import torch
    from torch_generator import TorchGenerator

    torch.set_num_threads(threads)
    generator = TorchGenerator(config, arrays, dtype=getattr(torch, precision), memory_format=torch.channels_last)
    return lambda codes, labels: generator(codes, labels).float().numpy()


def _openvino(precision: str, config: ModelConfig, arrays: Mapping[str, np.ndarray], threads: int) -> Painter:
    # It reports to its maker that it was used, as soon as it is imported, but goes without what does so.
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    import openvino
    import torch
    from torch_generator import TorchGenerator

    generator = TorchGenerator(config, arrays)

    example = torch.zeros(1, config.z_dim), torch.zeros(1, config.height, config.width, dtype=torch.int64)
    with torch.no_grad():
        model = openvino.convert_model(torch.jit.trace(generator.paint, example, check_trace=False))
    # Shapes that are known beforehand are what it is fastest with.
    model.reshape({number: openvino.PartialShape(list(each.shape)) for number, each in enumerate(example)})
    asked = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": {"float32": "f32", "bfloat16": "bf16"}[precision],
    }
    compiled = openvino.Core().compile_model(model, "CPU", asked)
    return lambda codes, labels: compiled((codes, labels.astype(np.int64)))[0]
