"""How much memory painting takes, so that no more workers start than fit."""

from __future__ import annotations

from ecgan.config import ModelConfig

#: Python, Jittor and oneDNN without a model.
_BASE = 350 << 20
_FLOAT = 4


def painting_memory(model: ModelConfig, batch: int) -> int:
    """Bytes at the peak of generating `batch` pictures on the CPU, an estimate from above.

    The largest maps are at full resolution: in the last block (`ngf` to 2 `ngf` channels, several
    alive at once) and behind `mlp_shared` (128 channels). The factors were fitted to peaks
    measured at ngf 8 and 64.
    """
    weights = _FLOAT * (25_700 * model.ngf**2 + 140_000 * model.ngf)
    maps = _FLOAT * model.width * model.height * (14 * model.ngf + 5 * 128)
    return _BASE + 2 * weights + batch * maps
