"""How much memory painting takes, so that no more workers start than fit, and how large a training's state is."""

from __future__ import annotations

from ecgan.checkpoint import tensors
from ecgan.config import ModelConfig, Spade
from ecgan.runtime.devices import Device

#: Python, Jittor and oneDNN without a model.
_BASE = 250 << 20
_FLOAT = 4
#: Bytes at the peak of measuring pictures on the CPU, with both networks loaded.
SCORING_MEMORY = 1300 << 20


def pictures_together(device: Device, asked: int, most: int) -> int:
    """How many pictures go through the networks at once, where `asked` may and there are `most` for one process.

    On the CPU one: several are no faster there (`ecgan.synthesis`), and take the memory of several.
    """
    return 1 if device == "cpu" else min(asked, most)


def painting_memory(model: ModelConfig, batch: int, spade: Spade = "exact-sparse") -> int:
    """Bytes at the peak of generating `batch` pictures at once on the CPU, an estimate from above.

    The weights are there twice, as they are in the file and as the operators take them. The largest maps are at full
    resolution: in the last block (`ngf` to 2 `ngf` channels), behind `mlp_shared` (128 channels), and of the mask's
    tables if every pixel has surroundings of its own. Before the last convolution they have ngf + 6 + classes channels,
    and with noise maps there are two more of them. The factors were fitted to peaks measured at ngf 8, 16 and 64, with
    29 and 150 classes and masks of noise.
    """
    weights = _FLOAT * (25_700 * model.ngf**2 + 140_000 * model.ngf)
    channels = 7 * model.ngf + 4 * 128 if spade == "exact-sparse" else 14 * model.ngf + 5 * 128
    channels += 2 * max(0, model.semantic_nc - 29)
    if model.noise_maps:
        channels += 2 * (model.ngf + 6 + model.semantic_nc)
    return _BASE + 2 * weights + batch * _FLOAT * model.width * model.height * channels


def state_size(model: ModelConfig, moving_average: bool, others: str = "D") -> int:
    """Bytes of a training's state: E, G and what else learns (letters of networks), two moments of each, and perhaps
    the average of G."""
    counts = [_trained(name, model) for name in "GE" + others]
    return _FLOAT * (3 * sum(counts) + (counts[0] if moving_average else 0))


def segmenter_state_size(model: ModelConfig) -> int:
    """Bytes of a state of the segmentation network that is trained: itself, and two moments of each number."""
    return _FLOAT * 3 * _trained("S", model)


def parameter_counts(model: ModelConfig) -> dict[str, int]:
    """Trained numbers of G, E and D."""
    return {name: _trained(name, model) for name in ("G", "E", "D")}


def _trained(name: str, model: ModelConfig) -> int:
    return tensors.count(tensors.trained(tensors.of_file(name, model) or {}))
