"""Weights as the operators of this folder take them: in panels, and filled up to a multiple of `BLOCK` channels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ecgan.networks.cpu.code import kept, nothing, operator
from ecgan.runtime import jt
from ecgan.runtime.precision import Precision

#: As in vectors.h.
BLOCK = 16
#: From so many tiles of 4x4 pixels on, transformed weights are worth four times the memory of the weights.
_TILES_WORTH_IT = 96


def padded(channels: int) -> int:
    return -(-channels // BLOCK) * BLOCK


class Kernel:
    """Weights of a 3x3 convolution: `taps`, or what Winograd's way makes of them, `products`, in their place."""

    #: What has `ecgan::Weights` and `ecgan::convolve` for them.
    header = "winograd"

    def __init__(
        self,
        weight: np.ndarray,
        bias: np.ndarray | None,
        height: int,
        width: int,
        pieces: Sequence[int] | None = None,
    ) -> None:
        """`weight`: (F, C, 3, 3); `bias`: (F,); for maps `height` x `width`. `pieces`: how many channels each piece of
        its input has, one piece if not given."""
        if pieces is not None:
            weight = _spread(weight, pieces)
        features, channels = weight.shape[:2]
        self.channels, self.features = padded(channels), padded(features)
        self.taps, self.products = self._arranged(weight, height, width)
        self.bias = filled(np.zeros(features, np.float32) if bias is None else bias)

    def _arranged(self, weight: np.ndarray, height: int, width: int) -> tuple[jt.Var, jt.Var]:
        taps = pack(weight.reshape((*weight.shape[:2], 9)), outer=1)
        if (height + 3) // 4 * ((width + 3) // 4) < _TILES_WORTH_IT:
            return taps, nothing(1)
        code = 'ecgan::transform_all(data["channels"], data["features"], in0_p, out0_p);'
        size = 36 * self.channels * self.features
        sizes = {"channels": self.channels, "features": self.features}
        return nothing(1), kept(operator([size], [taps], code, "winograd", **sizes))


class RoundedKernel(Kernel):
    """The same rounded to bfloat16, as oneDNN wants them for maps of this size."""

    header = "bfloat16"

    def _arranged(self, weight: np.ndarray, height: int, width: int) -> tuple[jt.Var, jt.Var]:
        sizes = {"channels": self.channels, "features": self.features, "height": height, "width": width}
        cut = 'const ecgan::Cut cut(data["channels"], data["features"], data["height"], data["width"]);'
        ask = f"{cut} out0_p[0] = cut.groups; out0_p[1] = cut.together; out0_p[2] = cut.weights_apart();"
        groups, together, size = map(int, operator([3], [nothing(1)], ask, "bfloat16", **sizes).numpy())
        full = np.zeros((groups * together, self.channels, 3, 3), np.float32)
        full[: weight.shape[0], : weight.shape[1]] = weight
        arrange = f"{cut} ecgan::arrange(cut, in0_p, out0_p);"
        return kept(operator([groups * size], [jt.array(full)], arrange, "bfloat16", **sizes)), nothing(1)


#: By what numbers are multiplied in.
KERNELS: dict[Precision, type[Kernel]] = {"float32": Kernel, "bfloat16": RoundedKernel}


def pack(weight: np.ndarray, outer: int = 1) -> jt.Var:
    """(F, A, B) -> panels of features with rows in the order (a, b) or, if `outer` is 2, (b, a).

    A, the channels, and F are filled up to multiples of `BLOCK`.
    """
    features, channels, taps = weight.shape
    sizes = {"features": padded(features), "channels": padded(channels), "taps_first": outer == 2}
    code = """
        const int64_t features = in0_shape0, channels = in0_shape1, taps = in0_shape2, of_feature = channels * taps;
        const int64_t all_features = data["features"], all_channels = data["channels"];
        if (data["taps_first"])
            ecgan::pack(in0_p, features, of_feature, taps, 1, channels, taps, all_features, taps, out0_p);
        else
            ecgan::pack(in0_p, features, of_feature, channels, taps, taps, 1, all_features, all_channels, out0_p);
    """
    given = jt.array(np.ascontiguousarray(weight, np.float32))
    return kept(operator([padded(features) * padded(channels) * taps], [given], code, "product", **sizes))


def filled(values: np.ndarray) -> jt.Var:
    """(…, C) -> (…, C filled up with zeros)."""
    missing = padded(values.shape[-1]) - values.shape[-1]
    return kept(jt.array(np.pad(values.astype(np.float32), [(0, 0)] * (values.ndim - 1) + [(0, missing)])))


def _spread(weight: np.ndarray, pieces: Sequence[int]) -> np.ndarray:
    """Input channels of (F, C, 3, 3) with zeros behind each piece, up to a multiple of `BLOCK`."""
    parts = np.split(weight, np.cumsum(pieces)[:-1], axis=1)
    return np.concatenate(
        [
            np.pad(part, ((0, 0), (0, padded(count) - count), (0, 0), (0, 0)))
            for part, count in zip(parts, pieces, strict=True)
        ],
        axis=1,
    )
