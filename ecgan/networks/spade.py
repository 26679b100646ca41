"""SPADE: normalisation whose scale and shift are painted by the semantic mask (SPEC section 2)."""

from __future__ import annotations

from collections.abc import Sequence

from ecgan.networks.exact_sparse import Part
from ecgan.networks.layers import SpectralConv, conv3x3, lrelu
from ecgan.networks.segmap import Segmap
from ecgan.runtime import jt, nn

HIDDEN_CHANNELS = 128


class SPADE(nn.Module):
    """normalised(x) * (1 + gamma(mask)) + beta(mask) on (N, channels, H, W)."""

    def __init__(self, channels: int, semantic_nc: int) -> None:
        self.param_free_norm = nn.BatchNorm(channels, affine=False)
        self.mlp_shared = nn.Sequential(conv3x3(semantic_nc, HIDDEN_CHANNELS), nn.ReLU())
        self.mlp_gamma = conv3x3(HIDDEN_CHANNELS, channels)
        self.mlp_beta = conv3x3(HIDDEN_CHANNELS, channels)

    def execute(self, x: jt.Var, segmap: Segmap) -> jt.Var:
        """In evaluation; in training `modulate` follows a normalisation that several layers may share."""
        found = segmap.surroundings(x.shape[2], x.shape[3], apart=True) if segmap.exact_sparse else None
        if found is None:
            return self._modulate_densely(self.param_free_norm(x), segmap)
        scale, shift = found.tables_of(self, self._folded) if segmap.weights_stay else found.tables(self._folded)
        return x * found.look_up(scale) + found.look_up(shift)

    def modulate(self, normalised: jt.Var, segmap: Segmap) -> jt.Var:
        height, width = normalised.shape[2:]
        found = segmap.surroundings(height, width, apart=False) if segmap.exact_sparse else None
        if found is None:
            return self._modulate_densely(normalised, segmap)
        scale, shift = found.tables(self._unfolded)
        return normalised * found.look_up(scale) + found.look_up(shift)

    def _modulate_densely(self, normalised: jt.Var, segmap: Segmap) -> jt.Var:
        shared = self.mlp_shared(segmap.at(*normalised.shape[2:]))
        return normalised * (1 + self.mlp_gamma(shared)) + self.mlp_beta(shared)

    def _unfolded(self, part: Part) -> list[jt.Var]:
        """1 + gamma and beta of each surrounding."""
        gamma, beta = part.through(self.mlp_shared[0], self.mlp_gamma, self.mlp_beta)
        return [1 + gamma, beta]

    def _folded(self, part: Part) -> list[jt.Var]:
        """Scale and shift of each surrounding in evaluation, with the running mean and variance in them."""
        scale, shift = self._unfolded(part)
        norm = self.param_free_norm
        scale = scale * (1 / jt.sqrt(norm.running_var + norm.eps)).unsqueeze(1)
        return [scale, shift - norm.running_mean.unsqueeze(1) * scale]


class SPADEBlock(nn.Module):
    """Residual block, fin -> fout channels; where they differ the shortcut is learned."""

    def __init__(self, fin: int, fout: int, semantic_nc: int, spectral: bool = False) -> None:
        fmid = min(fin, fout)
        self.conv_0 = SpectralConv(fin, fmid, 3, padding=1, spectral=spectral)
        self.conv_1 = SpectralConv(fmid, fout, 3, padding=1, spectral=spectral)
        self.norm_0 = SPADE(fin, semantic_nc)
        self.norm_1 = SPADE(fmid, semantic_nc)
        self.learned_shortcut = fin != fout
        if self.learned_shortcut:
            self.conv_s = SpectralConv(fin, fout, 1, bias=False, spectral=spectral)
            self.norm_s = SPADE(fin, semantic_nc)

    def execute(self, x: jt.Var, segmap: Segmap) -> jt.Var:
        of_x = [self.norm_0, self.norm_s] if self.learned_shortcut else [self.norm_0]
        first, *last = _apply(of_x, x, segmap)
        shortcut = self.conv_s(last[0]) if last else x
        dx = self.conv_0(lrelu(first))
        (second,) = _apply([self.norm_1], dx, segmap)
        return shortcut + self.conv_1(lrelu(second))


def _apply(layers: Sequence[SPADE], x: jt.Var, segmap: Segmap) -> list[jt.Var]:
    """Each layer on the same x. In training they see the same batch, so it is normalised once for all."""
    if not layers[0].is_training():
        return [layer(x, segmap) for layer in layers]
    normalised = _normalise_batch([layer.param_free_norm for layer in layers], x)
    return [layer.modulate(normalised, segmap) for layer in layers]


def _normalise_batch(norms: Sequence[nn.BatchNorm], x: jt.Var) -> jt.Var:
    """Synchronised BatchNorm of x (N, C, H, W), whose statistics move the running ones of all `norms`."""
    dims = [0, 2, 3]
    mean, mean_square = jt.mean(x, dims=dims), jt.mean(x * x, dims=dims)
    if jt.in_mpi:  # one message for both
        both, channels = jt.concat([mean, mean_square], dim=0).mpi_all_reduce("mean"), x.shape[1]
        mean, mean_square = both[:channels], both[channels:]
    variance = (mean_square - mean * mean).maximum(0.0)
    rate = 1 / jt.sqrt(variance + norms[0].eps)
    for norm in norms:
        norm.running_mean.update(norm.running_mean + (mean - norm.running_mean) * norm.momentum)
        norm.running_var.update(norm.running_var + (variance - norm.running_var) * norm.momentum)
    return x * rate.broadcast(x, dims) - (mean * rate).broadcast(x, dims)
