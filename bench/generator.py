"""Generation: dense and exact-sparse side by side, by mask and batch; where the time goes; memory; other engines.

python bench/generator.py [--quick] [--masks FOLDER] [--json FILE]
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from beside import beside
from measure import (
    Times,
    codes,
    elapsed,
    in_child,
    masks,
    matrix_product_peak,
    options,
    peak_memory,
    side_by_side,
    write,
)
from operators import by_operator

from ecgan.config import ModelConfig
from ecgan.errors import UserError
from ecgan.memory import painting_memory
from ecgan.runtime import starting
from ecgan.runtime.precision import choose_precision

if TYPE_CHECKING:
    from ecgan.networks.painting import PaintingNetwork

DENSE, SPARSE = "dense", "exact-sparse"


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
    which = forms()
    figures |= _by_mask(model, asked.masks, which, repeats, peak)
    figures["batches"] = _by_batch(model, asked.masks, which, max(2, repeats // 2))
    figures["layers"] = _by_layer(model, asked.masks, repeats, peak)
    if device == "cpu":
        painting = paintings(make_generator(model), [SPARSE])[SPARSE]
        paint = painter(painting, model.z_dim, masks(asked.masks, (model.width, model.height), 1)[0][None])
        figures["operators"] = by_operator(paint, repeats, peak)
    figures["memory"] = _memory(model, asked.masks, which)
    figures |= beside(model, asked.masks, which, repeats)
    write(figures, asked.json)


def forms() -> list[str]:
    """Of ours, those that this machine has."""
    try:
        choose_precision("bfloat16", starting.start(), "exact-sparse")
    except UserError as error:
        print(f"bfloat16 is left out: {error}")
        return [DENSE, SPARSE]
    return [DENSE, SPARSE, f"{SPARSE} bfloat16"]


def make_generator(model: ModelConfig) -> Any:
    from ecgan.networks import Generator

    generator = Generator(model)
    generator.eval()
    return generator


def paintings(generator: Any, which: Sequence[str]) -> dict[str, PaintingNetwork]:
    """G in each form, with the weights of `generator`, which is the dense form itself."""
    from ecgan.networks import Segmap, to_arrays
    from ecgan.networks.painting import PaintingNetwork, painting_network

    made = {DENSE: PaintingNetwork(generator, lambda labels: Segmap(labels, generator.config.semantic_nc))}
    arrays = to_arrays(generator)
    for form in which:
        if form != DENSE:
            precision: Any = form.removeprefix(SPARSE).strip() or "float32"
            made[form] = painting_network(generator.config, arrays, precision=precision)
    return {form: made[form] for form in which}


def painter(painting: PaintingNetwork, z_dim: int, labels: np.ndarray) -> Callable[[], np.ndarray]:
    """Paints the masks (N, H, W), from class ids to an array; nothing is kept from one call to the next."""
    from ecgan.runtime import jt

    code = codes(len(labels), z_dim)

    def paint() -> np.ndarray:
        with jt.no_grad():
            return np.asarray(painting.network(jt.array(code), painting.mask(labels)).image2.numpy())

    return paint


def _by_mask(
    model: ModelConfig, folder: Path | None, which: Sequence[str], repeats: int, peak: float
) -> dict[str, Any]:
    """The masks in question one after the other, as one figure; and the two extremes.

    Multiply-adds are those of direct convolutions: Winograd's way has a quarter of them, so it may be above the peak.
    """
    from arithmetic import layers

    from ecgan.networks import Segmap

    generator = make_generator(model)
    made = paintings(generator, which)
    shape = (model.height, model.width)
    kinds = {
        "landscapes": masks(folder, (model.width, model.height), 4),
        "one class": [np.zeros(shape, np.uint8)],
        "noise": [np.random.default_rng(0).integers(0, model.semantic_nc, shape, np.uint8)],
    }
    found: dict[str, Any] = {}
    print(f"{'masks':<12}{'form':<24}{'seconds a picture':<32}{'G multiply-adds':>16}{'of peak':>9}{'over dense':>12}")
    for kind, labels in kinds.items():
        runs: dict[str, Callable[[], object]] = {}
        for form in which:
            paints = [painter(made[form], model.z_dim, each[None]) for each in labels]
            runs[form] = lambda paints=paints: [paint() for paint in paints]
        times = {
            form: Times(*(seconds / len(labels) for seconds in vars(each).values()))
            for form, each in side_by_side(runs, repeats).items()
        }
        counted = [layer for each in labels for layer in layers(generator, Segmap(each[None], model.semantic_nc, True))]
        counts = {
            form: sum(layer.dense if form == DENSE else layer.sparse for layer in counted) / len(labels)
            for form in which
        }
        of_peak = {form: counts[form] / times[form].median / peak for form in which}
        over_dense = {form: times[DENSE].median / times[form].median for form in which}
        for form in which:
            print(
                f"{kind:<12}{form:<24}{times[form]!s:<32}{counts[form] / 1e9:>16.1f}{of_peak[form]:>9.2f}"
                f"{over_dense[form]:>12.2f}"
            )
        found[kind] = {
            "seconds": times,
            "multiply_adds": counts,
            "of_peak": of_peak,
            "over_dense": over_dense,
            "sparse_over_dense": over_dense[SPARSE],
        }
    print()
    landscapes = found["landscapes"]
    return {
        "sparse_over_dense": landscapes["sparse_over_dense"],
        "dense_over_peak": landscapes["of_peak"]["dense"],
        "by_mask": found,
    }


def _by_batch(model: ModelConfig, folder: Path | None, which: Sequence[str], repeats: int) -> dict[str, Any]:
    made = paintings(make_generator(model), which)
    found = {}
    print(f"{'batch':<8}{'form':<24}seconds a picture")
    for batch in (1, 2, 4):
        labels = np.stack(masks(folder, (model.width, model.height), batch))
        times = side_by_side({form: painter(made[form], model.z_dim, labels) for form in which}, repeats)
        for form, each in times.items():
            print(f"{batch:<8}{form:<24}{each.median / batch:9.3f}")
            found[f"{form}, {batch}"] = each.median / batch
    print()
    return found


def _by_layer(model: ModelConfig, folder: Path | None, repeats: int, peak: float) -> list[dict[str, Any]]:
    """The dense form: each layer run to its end before the next begins, which costs some time in all."""
    from arithmetic import layers

    from ecgan.networks import Segmap
    from ecgan.networks.layers import SpectralConv
    from ecgan.networks.spade import SPADE
    from ecgan.runtime import jt, nn

    generator = make_generator(model)
    labels = masks(folder, (model.width, model.height), 1)[0][None]
    counted = {layer.name: layer for layer in layers(generator, Segmap(labels, model.semantic_nc, True))}
    seconds: dict[str, list[float]] = defaultdict(list)

    def watch(name: str, module: Any) -> None:
        execute = module.execute

        def timed(x: jt.Var, *rest: object, **options: object) -> jt.Var:
            x.sync()
            started = time.perf_counter()
            out = execute(x, *rest, **options)
            out.sync()
            seconds[name].append(time.perf_counter() - started)
            return out

        module.execute = timed

    for name, module in generator.named_modules():
        if isinstance(module, (SPADE, SpectralConv, nn.Conv)) and ".mlp_" not in name:
            watch(name, module)
    paint = painter(paintings(generator, [DENSE])[DENSE], model.z_dim, labels)
    paint()  # compiles
    seconds.clear()
    totals = [elapsed(paint) for _ in range(repeats)]
    rows = []
    print(f"{'layer, dense':<20}{'G mult.-adds':>13}{'s':>9}{'of peak':>9}")
    for name, times in seconds.items():
        count, median = counted[name].dense, Times.of(times).median
        rows.append({"layer": name, "dense_s": median, "dense": count})
        print(f"{name:<20}{count / 1e9:>13.2f}{median:>9.3f}{count / median / peak:>9.2f}")
    of_layers, total = sum(row["dense_s"] for row in rows), Times.of(totals).median
    print(f"{of_layers:.3f} s in these layers, {total - of_layers:.3f} s between them\n")
    return rows


def _memory(model: ModelConfig, folder: Path | None, which: Sequence[str]) -> dict[str, int]:
    found = {form: in_child(_peak_of_painting, model, folder, form) for form in which}
    found["estimated"] = painting_memory(model, 1)
    print("memory at the peak, GiB: " + ", ".join(f"{name} {value / 2**30:.2f}" for name, value in found.items()))
    return found


def _peak_of_painting(model: ModelConfig, folder: Path | None, form: str) -> int:
    starting.start()
    painting = paintings(make_generator(model), [form])[form]
    paint = painter(painting, model.z_dim, masks(folder, (model.width, model.height), 1)[0][None])
    for _ in range(2):
        paint()
    return peak_memory()


if __name__ == "__main__":
    main()
