"""Small convolutions: whether what was compiled runs, and computes what it should. Importing this starts Jittor."""

from __future__ import annotations

import numpy as np

from ecgan.runtime import jt, nn

#: Pictures, channels in and out, height and width.
_SHAPE = (2, 16, 24, 33, 47)


def convolution() -> float:
    """Runs one on the device in use and returns a number that depends on it: 5808."""
    x = jt.ones((1, 3, 8, 8))
    return float(nn.conv2d(x, jt.ones((4, 3, 3, 3)), padding=1).sum().item())


def convolution_error() -> float:
    """Of a 3x3 convolution and its gradients on the device in use against the CPU: the greatest difference, relative.

    About 1e-6 in float32, 1e-3 in TF32, which cuDNN uses by itself from compute capability 8.0 on.
    """
    there, here = _results(), _results_on_cpu()
    return max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in zip(there, here, strict=True))


def _results_on_cpu() -> list[np.ndarray]:
    used = jt.flags.use_cuda
    jt.flags.use_cuda = 0
    try:
        return _results()
    finally:
        jt.flags.use_cuda = used


def _results() -> list[np.ndarray]:
    """The convolution of fixed random numbers, and its gradients with respect to picture and weight."""
    pictures, channels, out, height, width = _SHAPE
    chance = np.random.default_rng(0)
    x = jt.array(chance.standard_normal((pictures, channels, height, width), np.float32))
    weight = jt.array(chance.standard_normal((out, channels, 3, 3), np.float32))
    y = nn.conv2d(x, weight, padding=1)
    weights_of_sum = jt.array(chance.standard_normal(y.shape, np.float32))
    return [value.numpy() for value in (y, *jt.grad((y * weights_of_sum).sum(), [x, weight]))]
