"""G in evaluation on the CPU, for what a mask decides once for all like pixels (`ecgan.networks.exact_sparse`).

The layers are those of `ecgan.networks.generator`, which is the readable form; the results differ by rounding. Maps lie
in channels last, from the style code to the picture; each convolution reads what SPADE makes of the map before it, and
adds what belongs to its result, on the way.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ecgan.config import ModelConfig
from ecgan.networks.cpu.mask import Level, Mask
from ecgan.networks.cpu.operators import (
    Piece,
    Rows,
    attend,
    convolve,
    convolve_modulated,
    multiply,
    multiply_modulated,
    see,
    tabulate,
)
from ecgan.networks.cpu.weights import KERNELS, Kernel, filled, pack, padded
from ecgan.networks.generator import Pictures
from ecgan.networks.noise_maps import NoiseMaps, needed
from ecgan.runtime import jt
from ecgan.runtime.precision import Precision

Arrays = Mapping[str, np.ndarray]

_EPS = 1e-5


class Painter:
    """`arrays`: G's tensors by their names in checkpoints. `precision`: what 3x3 convolutions multiply in, but for the
    last three; all else is float32, and so are maps."""

    def __init__(self, model: ModelConfig, arrays: Arrays, precision: Precision = "float32") -> None:
        self.model = model
        kernel = KERNELS[precision]
        height, width = model.latent_size
        channels = 16 * model.ngf
        dense = arrays["fc.weight"].reshape((channels, height * width, -1)).transpose((1, 0, 2))
        bias = arrays["fc.bias"].reshape((channels, height * width)).T
        self._fc = pack(dense.reshape((channels * height * width, -1, 1)))
        self._fc_bias = filled(bias.reshape(-1))
        self._blocks = []
        doubled = {"head_0": False, "G_middle_0": True, "G_middle_1": model.num_upsampling_layers != "normal"}
        for name in ["head_0", "G_middle_0", "G_middle_1", "up_0", "up_1", "up_2", "up_3", "up_4"]:
            if f"{name}.conv_0.weight_orig" in arrays:
                factor = 2 if doubled.get(name, True) else 1
                height, width = factor * height, factor * width
                self._blocks.append(_Block(name, arrays, kernel, model.spectral_norm, height, width))
        self._heads = _Heads(arrays, kernel, model)

    def __call__(self, z: jt.Var, mask: Mask, noise_maps: NoiseMaps | None = None) -> Pictures:
        """z: (N, z_dim) style codes; mask: of N pictures at the network's size; noise_maps: for a model that has
        them."""
        height, width = self.model.latent_size
        missing = padded(z.shape[1]) - z.shape[1]
        if missing:
            z = jt.concat([z, jt.zeros((z.shape[0], missing))], dim=1)
        x = multiply(z, self._fc, self._fc_bias).reshape((z.shape[0], height, width, -1))
        for block in self._blocks:
            x = block(x, mask.at(block.height, block.width), noise_maps)
        return self._heads(x, mask.at(self.model.height, self.model.width), noise_maps)


class _Spade:
    def __init__(self, name: str, arrays: Arrays, plus: np.ndarray | float = 0.0) -> None:
        """`plus`: what is still to be added to the map before it is normalised."""
        self._name = name
        weight = arrays[f"{name}.mlp_shared.0.weight"]
        self._shared, self._shared_bias = _by_label(weight), filled(arrays[f"{name}.mlp_shared.0.bias"])
        self._gamma, self._beta = (
            pack(arrays[f"{name}.mlp_{part}.weight"].reshape((-1, weight.shape[0], 9)), outer=2)
            for part in ("gamma", "beta")
        )
        biases = [arrays[f"{name}.mlp_{part}.bias"] for part in ("gamma", "beta")]
        mean, variance = (arrays[f"{name}.param_free_norm.running_{part}"] for part in ("mean", "var"))
        rate = 1 / np.sqrt(variance + np.float32(_EPS))
        constants = filled(np.stack([*biases, rate, mean - plus]))
        self._constants = constants

    def table(self, level: Level) -> jt.Var:
        """(K, 2, C), with the running mean and variance in it."""

        def compute() -> jt.Var:
            hidden = see(level.inner, self._shared, self._shared_bias, cut=True)
            return tabulate(hidden, level.outer, self._gamma, self._beta, self._constants)

        return level.table(self._name, compute)


class _Block:
    def __init__(
        self, name: str, arrays: Arrays, kernel: type[Kernel], spectral: bool, height: int, width: int
    ) -> None:
        self.height, self.width = height, width
        bias = arrays[f"{name}.conv_0.bias"]  # in the table of what follows
        first, second = (_weight(f"{name}.conv_{i}", arrays, spectral) for i in (0, 1))
        self._conv_0 = kernel(first, None, height, width)
        self._conv_1 = kernel(second, arrays[f"{name}.conv_1.bias"], height, width)
        self._norm_0, self._norm_1 = _Spade(f"{name}.norm_0", arrays), _Spade(f"{name}.norm_1", arrays, bias)
        self._norm_s, self._conv_s = None, None
        if f"{name}.conv_s.weight_orig" in arrays:
            self._norm_s = _Spade(f"{name}.norm_s", arrays)
            weight = _weight(f"{name}.conv_s", arrays, spectral)
            self._conv_s = pack(weight.reshape((*weight.shape[:2], 1)))
        strength = arrays.get(f"{name}.noise_strength")
        variance = arrays[f"{name}.norm_1.param_free_norm.running_var"]
        self._noise_strength = None if strength is None else filled(strength * np.sqrt(variance + np.float32(_EPS)))

    def __call__(self, x: jt.Var, level: Level, noise_maps: NoiseMaps | None) -> jt.Var:
        dx = convolve_modulated(x, self._norm_0.table(level), level.index, self._conv_0)
        if self._noise_strength is not None:
            dx = dx + _noise(noise_maps, self.height, self.width) * self._noise_strength
        rows = self._shortcut(x, level)
        return convolve_modulated(dx, self._norm_1.table(level), level.index, self._conv_1, rows=rows)

    def _shortcut(self, x: jt.Var, level: Level) -> Rows:
        if self._norm_s is None or self._conv_s is None:
            return level.of_same(x)
        pairs, at = level.of_doubled
        table = self._norm_s.table(level)
        return Rows(multiply_modulated(x, table, pairs, self._conv_s, self._conv_1.features), at)


class _Heads:
    """Picture and edge map, and from them the picture that is kept."""

    def __init__(self, arrays: Arrays, kernel: type[Kernel], model: ModelConfig) -> None:
        size = model.height, model.width
        first = [arrays[f"conv_{kind}1.{part}"] for part in ("weight", "bias") for kind in ("edge", "img")]
        channels = first[0].shape[1]
        self._both = kernel(np.concatenate(first[:2]), np.concatenate(first[2:]), *size)
        self._edge, self._image = (
            [kernel(arrays[f"conv_{kind}{i}.weight"], arrays[f"conv_{kind}{i}.bias"], *size) for i in (2, 3, 4)]
            for kind in ("edge", "img")
        )
        mix, painted = arrays["conv_comb1.weight"], channels + 6
        # What is rounded this late nothing evens out: of a trained G's differences from float32 these three made most.
        self._mix = Kernel(mix[:, :painted], arrays["conv_comb1.bias"], *size, [channels, 3, 3])
        self._mix_mask, self._no_bias = _by_label(mix[:, painted:]), filled(np.zeros(len(mix)))
        self._spread = Kernel(arrays["conv_comb2.weight"], arrays["conv_comb2.bias"], *size)
        self._last = Kernel(arrays["conv_comb.weight"], arrays["conv_comb.bias"], *size)
        strength = arrays.get("noise_strength")
        self._noise_strength = None if strength is None else filled(strength.T)

    def __call__(self, x: jt.Var, level: Level, noise_maps: NoiseMaps | None) -> Pictures:
        both = convolve([Piece.of(x)], self._both)
        e1, i1 = Piece(both, 0, 32), Piece(both, 32, 32)
        e2 = convolve([e1], self._edge[0])
        e3 = convolve([Piece.of(e2)], self._edge[1])
        edge = convolve([Piece.of(e3)], self._edge[2], bounded=True)
        i2 = convolve([i1], self._image[0], gate=e1, gated_by=e2)
        i3 = convolve([Piece.of(i2)], self._image[1], gated_by=e3)
        image = convolve([Piece.of(i3)], self._image[2], bounded=True, gated_by=edge)

        of_mask = level.table("mix", lambda: see(level.inner, self._mix_mask, self._no_bias, cut=False))
        pieces = [Piece.of(x), Piece.of(image), Piece.of(edge)]
        f = convolve(pieces, self._mix, rows=Rows(of_mask, level.inner_at))
        f = convolve([Piece.of(f)], self._spread, factor=attend(f))
        if self._noise_strength is not None:
            f = f + _noise(noise_maps, *f.shape[1:3]) * self._noise_strength[level.labels]
        image2 = convolve([Piece.of(f)], self._last, bounded=True)
        return Pictures(*(_planes(each) for each in (image, image2, edge)))


def _noise(noise_maps: NoiseMaps | None, height: int, width: int) -> jt.Var:
    """(N, height, width, 1)."""
    return needed(noise_maps).at(height, width).reshape((-1, height, width, 1))


def _weight(name: str, arrays: Arrays, spectral: bool) -> np.ndarray:
    weight = arrays[f"{name}.weight_orig"]
    if not spectral:
        return weight
    matrix = weight.reshape((len(weight), -1))
    return weight / (arrays[f"{name}.weight_u"] @ matrix @ arrays[f"{name}.weight_v"])


def _by_label(weight: np.ndarray) -> jt.Var:
    """Of a convolution of one-hot labels (F, classes, 3, 3): what each label adds, (9, classes, F)."""
    return filled(weight.reshape((*weight.shape[:2], 9)).transpose((2, 1, 0)))


def _planes(x: jt.Var) -> jt.Var:
    """(N, H, W, 16) -> (N, 3, H, W)."""
    return x[:, :, :, :3].transpose((0, 3, 1, 2))
