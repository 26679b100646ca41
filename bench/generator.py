"""Seconds per picture of the generator and the encoder, and the memory they take.

python bench/generator.py [--quick] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import time
from pathlib import Path

import numpy as np

from ecgan import runtime
from ecgan.config import ModelConfig
from ecgan.memory import painting_memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="a small model instead of the full-size one")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    options = parser.parse_args()
    model = ModelConfig(256, 192, ngf=8, ndf=8) if options.quick else ModelConfig()

    device = runtime.start()
    from ecgan.networks import Encoder, Generator, Segmap
    from ecgan.runtime import jt

    encoder, generator = Encoder(model), Generator(model)
    encoder.eval()
    generator.eval()
    labels = np.random.default_rng(0).integers(0, model.semantic_nc, (1, model.height // 16, model.width // 16))
    labels = labels.repeat(16, axis=1).repeat(16, axis=2).astype(np.uint8)
    photo = np.zeros((1, 3, model.height, model.width), np.float32)

    def encode() -> np.ndarray:
        with jt.no_grad():
            return np.asarray(encoder(jt.array(photo))[0].numpy())

    code = encode()

    def generate() -> np.ndarray:
        with jt.no_grad():
            return np.asarray(generator(jt.array(code), Segmap(labels, model.semantic_nc)).image2.numpy())

    figures: dict[str, object] = {"device": device, "size": f"{model.width}x{model.height}", "ngf": model.ngf}
    for name, function in (("encode", encode), ("generate", generate)):
        function()  # compiles and loads
        seconds = [_time(function) for _ in range(options.repeats)]
        figures[name] = {"median_s": statistics.median(seconds), "min_s": min(seconds), "max_s": max(seconds)}
        print(f"{name:<9} {statistics.median(seconds):8.3f} s   ({min(seconds):.3f} to {max(seconds):.3f})")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    figures["peak_bytes"], figures["estimated_bytes"] = peak, painting_memory(model, 1)
    print(f"memory    {peak / 2**30:8.2f} GiB at the peak, {painting_memory(model, 1) / 2**30:.2f} estimated")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


def _time(function: object) -> float:
    started = time.perf_counter()
    function()  # type: ignore[operator]
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
