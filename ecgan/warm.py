"""Compiles the operators that painting with a model needs, in a process of its own.

Jittor compiles an operator when it first runs. `warm_painting` paints grey pictures with a model
of the same shape in a child process that may compile on all cores; every later process finds the
result in the cache.
"""

from __future__ import annotations

import json
import sys

import numpy as np

from ecgan import runtime
from ecgan.config import ModelConfig


def warm_painting(model: ModelConfig, device: str, batch: int = 1) -> None:
    """Compiles what painting `batch` pictures at a time needs, unless it is compiled; one process does, others wait.

    Raises UserError naming the log if it fails.
    """
    key = json.dumps({"model": model.to_dict(), "batch": batch}, sort_keys=True)
    log = runtime.cache_dir() / "logs" / f"operators-{device}.log"
    command = [sys.executable, "-m", "ecgan.warm", device, key]
    runtime.once(
        f"painting {key}",
        device,
        lambda: runtime.run_compiling(command, "compiling the model's operators (about a minute, once)", log),
    )


def _paint_grey(model: ModelConfig, batch: int) -> None:
    from ecgan.networks import Encoder, Generator, Segmap
    from ecgan.runtime import jt

    encoder, generator = Encoder(model), Generator(model)
    encoder.eval()
    generator.eval()
    with jt.no_grad():
        mu, logvar = encoder(jt.array(np.zeros((1, 3, model.height, model.width), np.float32)))
        codes = jt.array(np.repeat(mu.numpy() + logvar.numpy(), batch, axis=0))
        labels = np.zeros((batch, model.height, model.width), np.uint8)
        generator(codes, Segmap(labels, model.semantic_nc)).image2.numpy()


if __name__ == "__main__":
    runtime.start(sys.argv[1], parallel_compiler=True)  # type: ignore[arg-type]
    asked = json.loads(sys.argv[2])
    _paint_grey(ModelConfig.from_dict(asked["model"]), asked["batch"])
