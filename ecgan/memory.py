"""How much memory painting takes, so that no more workers start than fit, and how large a training's state is."""

from __future__ import annotations

from ecgan.config import ModelConfig
from ecgan.runtime.devices import Device

#: Python, Jittor and oneDNN without a model.
_BASE = 350 << 20
_FLOAT = 4
#: Bytes at the peak of measuring pictures on the CPU, with both networks loaded.
SCORING_MEMORY = 1300 << 20
#: Bytes of a state of the segmentation network: 3.7 M numbers and two moments of each.
SEGMENTER_STATE = 3 * 3_800_000 * _FLOAT


def pictures_together(device: Device, asked: int, most: int) -> int:
    """How many pictures go through the networks at once, where `asked` may and there are `most` for one process.

    On the CPU one: several are no faster there (`ecgan.synthesis`), and take the memory of several.
    """
    return 1 if device == "cpu" else min(asked, most)


def painting_memory(model: ModelConfig, batch: int) -> int:
    """Bytes at the peak of generating `batch` pictures at once on the CPU, an estimate from above.

    The largest maps are at full resolution: in the last block (`ngf` to 2 `ngf` channels, several
    alive at once) and behind `mlp_shared` (128 channels). The factors were fitted to peaks
    measured at ngf 8 and 64.
    """
    weights = _FLOAT * (25_700 * model.ngf**2 + 140_000 * model.ngf)
    maps = _FLOAT * model.width * model.height * (14 * model.ngf + 5 * 128)
    return _BASE + 2 * weights + batch * maps


def state_size(model: ModelConfig, moving_average: bool) -> int:
    """Bytes of a training's state: E, G and D, two moments of each, and perhaps the average of G."""
    counts = parameter_counts(model)
    return _FLOAT * (3 * sum(counts.values()) + (counts["G"] if moving_average else 0))


def parameter_counts(model: ModelConfig) -> dict[str, int]:
    """Trained numbers of G, E and D (docs/specification.md, section 2), known without building them."""
    ngf, ndf, classes = model.ngf, model.ndf, model.semantic_nc
    h0, w0 = model.latent_size
    widths = [16 * ngf] * 4 + [8 * ngf, 4 * ngf, 2 * ngf, ngf]
    if model.num_upsampling_layers == "most":
        widths.append(ngf // 2)
    last = widths[-1]
    mixed = last + 6 + classes
    heads = (last, 32, 16, 8, 3)
    of_g = (
        _linear(model.z_dim, 16 * ngf * h0 * w0)
        + sum(_spade_block(*pair, classes) for pair in zip(widths, widths[1:], strict=False))
        + 2 * sum(_conv(*pair) for pair in zip(heads, heads[1:], strict=False))
        + _conv(mixed, model.label_nc)
        + _conv(model.label_nc, mixed)
        + _conv(mixed, 3)
        + _linear(model.label_nc, model.label_nc)
    )
    stages = (3, *(ngf * k for k in (1, 2, 4, 8, 8, 8)))
    of_e = sum(9 * a * b for a, b in zip(stages, stages[1:], strict=False)) + 2 * _linear(128 * ngf, model.z_dim)
    layers = [classes + 3, *(min(ndf * 2**k, 512) if k else ndf for k in range(model.n_layers_D))]
    of_scale = sum(16 * a * b for a, b in zip(layers, layers[1:], strict=False)) + ndf + 16 * layers[-1] + 1
    return {"G": of_g, "E": of_e, "D": model.num_D * of_scale}


def _spade_block(fin: int, fout: int, classes: int) -> int:
    middle = min(fin, fout)
    norms = (fin, middle) if fin == fout else (fin, middle, fin)
    shortcut = 0 if fin == fout else fin * fout
    of_norms = sum(_conv(classes, 128) + 2 * _conv(128, channels) for channels in norms)
    return _conv(fin, middle) + _conv(middle, fout) + shortcut + of_norms


def _conv(fin: int, fout: int) -> int:
    return 9 * fin * fout + fout


def _linear(fin: int, fout: int) -> int:
    return fin * fout + fout
