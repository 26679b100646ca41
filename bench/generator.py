"""Generation: dense and exact-sparse side by side, by mask and batch; where the time goes; memory; other engines.

python bench/generator.py [--quick] [--masks FOLDER] [--json FILE]
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from beside import beside
from measure import Times, codes, in_child, masks, matrix_product_peak, options, peak_memory, side_by_side, write

from ecgan.config import ModelConfig
from ecgan.memory import painting_memory
from ecgan.runtime import starting

FORMS = ("dense", "exact-sparse")


def main() -> None:
    parser = options(__doc__)
    asked = parser.parse_args()
    model = ModelConfig(256, 192, ngf=16, ndf=16) if asked.quick else ModelConfig()
    repeats = asked.repeats or (3 if asked.quick else 5)
    device = starting.start()
    figures: dict[str, Any] = {
        "device": device,
        "size": f"{model.width}x{model.height}",
        "ngf": model.ngf,
        "masks": asked.masks.name if asked.masks else "drawn",
        "peak_multiply_adds_per_s": (peak := matrix_product_peak()),
    }
    print(f"{device}, {figures['size']}, ngf {model.ngf}; matrix products reach {peak / 1e9:.0f} G multiply-adds/s\n")
    figures |= _by_mask(model, asked.masks, repeats, peak)
    figures["batches"] = _by_batch(model, asked.masks, max(2, repeats // 2))
    figures["layers"] = _by_layer(model, asked.masks, repeats, peak)
    figures["memory"] = _memory(model, asked.masks)
    figures |= beside(model, asked.masks, FORMS, repeats)
    write(figures, asked.json)


def make_generator(model: ModelConfig) -> Any:
    from ecgan.networks import Generator

    generator = Generator(model)
    generator.eval()
    return generator


def painter(generator: Any, labels: np.ndarray, form: str) -> Callable[[], np.ndarray]:
    """Paints the masks (N, H, W), from class ids to an array; nothing is kept from one call to the next."""
    from ecgan.networks import Segmap
    from ecgan.runtime import jt

    code = codes(len(labels), generator.config.z_dim)

    def paint() -> np.ndarray:
        with jt.no_grad():
            segmap = Segmap(labels, generator.config.semantic_nc, form == "exact-sparse")
            return np.asarray(generator(jt.array(code), segmap).image2.numpy())

    return paint


def _by_mask(model: ModelConfig, folder: Path | None, repeats: int, peak: float) -> dict[str, Any]:
    """The masks in question one after the other, as one figure; and the two extremes."""
    from arithmetic import layers

    from ecgan.networks import Segmap

    generator = make_generator(model)
    shape = (model.height, model.width)
    kinds = {
        "landscapes": masks(folder, (model.width, model.height), 4),
        "one class": [np.zeros(shape, np.uint8)],
        "noise": [np.random.default_rng(0).integers(0, model.semantic_nc, shape, np.uint8)],
    }
    found: dict[str, Any] = {}
    print(f"{'masks':<12}{'form':<14}{'seconds a picture':<32}{'G multiply-adds':>16}{'of peak':>9}")
    for kind, labels in kinds.items():
        runs: dict[str, Callable[[], object]] = {}
        for form in FORMS:
            paints = [painter(generator, each[None], form) for each in labels]
            runs[form] = lambda paints=paints: [paint() for paint in paints]
        times = {
            form: Times(*(seconds / len(labels) for seconds in vars(each).values()))
            for form, each in side_by_side(runs, repeats).items()
        }
        counted = [layers(generator, Segmap(each[None], model.semantic_nc, True)) for each in labels]
        counts = {
            form: sum(getattr(layer, form.removeprefix("exact-")) for each in counted for layer in each) / len(labels)
            for form in FORMS
        }
        of_peak = {form: counts[form] / times[form].median / peak for form in FORMS}
        for form in FORMS:
            print(f"{kind:<12}{form:<14}{times[form]!s:<32}{counts[form] / 1e9:>16.1f}{of_peak[form]:>9.2f}")
        ratio = times["dense"].median / times["exact-sparse"].median
        print(f"{'':<12}sparse over dense, pictures a second: {ratio:.2f}\n")
        found[kind] = {"seconds": times, "multiply_adds": counts, "of_peak": of_peak, "sparse_over_dense": ratio}
    landscapes = found["landscapes"]
    return {
        "sparse_over_dense": landscapes["sparse_over_dense"],
        "dense_over_peak": landscapes["of_peak"]["dense"],
        "by_mask": found,
    }


def _by_batch(model: ModelConfig, folder: Path | None, repeats: int) -> dict[str, Any]:
    generator = make_generator(model)
    found = {}
    print(f"{'batch':<8}{'form':<14}seconds a picture")
    for batch in (1, 2, 4):
        labels = np.stack(masks(folder, (model.width, model.height), batch))
        times = side_by_side({form: painter(generator, labels, form) for form in FORMS}, repeats)
        for form, each in times.items():
            print(f"{batch:<8}{form:<14}{each.median / batch:9.3f}")
            found[f"{form}, {batch}"] = each.median / batch
    print()
    return found


def _by_layer(model: ModelConfig, folder: Path | None, repeats: int, peak: float) -> list[dict[str, Any]]:
    """Each layer run to its end before the next begins, which costs some time in all."""
    from arithmetic import layers

    from ecgan.networks import Segmap
    from ecgan.networks.layers import SpectralConv
    from ecgan.networks.spade import SPADE
    from ecgan.runtime import jt, nn

    generator = make_generator(model)
    labels = masks(folder, (model.width, model.height), 1)[0][None]
    counted = {layer.name: layer for layer in layers(generator, Segmap(labels, model.semantic_nc, True))}
    seconds: dict[str, dict[str, list[float]]] = {form: defaultdict(list) for form in FORMS}
    form = ""

    def watch(name: str, module: Any) -> None:
        execute = module.execute

        def timed(x: jt.Var, *rest: object, **options: object) -> jt.Var:
            x.sync()
            started = time.perf_counter()
            out = execute(x, *rest, **options)
            out.sync()
            seconds[form][name].append(time.perf_counter() - started)
            return out

        module.execute = timed

    for name, module in generator.named_modules():
        if isinstance(module, (SPADE, SpectralConv, nn.Conv)) and ".mlp_" not in name:
            watch(name, module)
    totals: dict[str, list[float]] = defaultdict(list)
    for repeat in range(repeats + 1):
        for form in FORMS:
            started = time.perf_counter()
            painter(generator, labels, form)()
            totals[form].append(time.perf_counter() - started)
            if not repeat:  # compiled just now
                totals[form].clear()
                seconds[form].clear()
    rows = []
    print(
        f"{'layer':<20}{'G mult.-adds':>13}{'dense s':>9}{'of peak':>9}{'G mult.-adds':>15}{'sparse s':>9}"
        f"{'of peak':>9}"
    )
    for name, layer in counted.items():
        if name not in seconds["dense"] or name not in seconds["exact-sparse"]:
            continue  # no layer of its own
        dense, sparse = (Times.of(seconds[form][name]).median for form in FORMS)
        row = {"layer": name, "dense_s": dense, "sparse_s": sparse, "dense": layer.dense, "sparse": layer.sparse}
        rows.append(row)
        print(
            f"{name:<20}{layer.dense / 1e9:>13.2f}{dense:>9.3f}{layer.dense / dense / peak:>9.2f}"
            f"{layer.sparse / 1e9:>15.2f}{sparse:>9.3f}{layer.sparse / sparse / peak:>9.2f}"
        )
    for form, key in zip(FORMS, ("dense_s", "sparse_s"), strict=True):
        of_layers, total = sum(row[key] for row in rows), Times.of(totals[form]).median
        print(f"{form}: {of_layers:.3f} s in these layers, {total - of_layers:.3f} s between them")
    print()
    return rows


def _memory(model: ModelConfig, folder: Path | None) -> dict[str, int]:
    found = {form: in_child(_peak_of_painting, model, folder, form) for form in FORMS}
    found["estimated"] = painting_memory(model, 1)
    print("memory at the peak, GiB: " + ", ".join(f"{name} {value / 2**30:.2f}" for name, value in found.items()))
    return found


def _peak_of_painting(model: ModelConfig, folder: Path | None, form: str) -> int:
    starting.start()
    paint = painter(make_generator(model), masks(folder, (model.width, model.height), 1)[0][None], form)
    for _ in range(2):
        paint()
    return peak_memory()


if __name__ == "__main__":
    main()
