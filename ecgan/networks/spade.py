"""SPADE: normalisation whose scale and shift are painted by the semantic mask (docs/specification.md, section 2)."""

from __future__ import annotations

from collections.abc import Sequence

from ecgan.config import FIRST_NOISE_STRENGTH
from ecgan.networks.exact_sparse import Distinct, Surroundings
from ecgan.networks.layers import SpectralConv, conv3x3, lrelu, normalise_batch, upsample
from ecgan.networks.noise_maps import NoiseMaps, needed
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

    def execute(
        self, x: jt.Var, segmap: Segmap, found: Surroundings | None, activated: bool, bias: jt.Var | None = None
    ) -> jt.Var:
        """In evaluation; in training `modulate` follows a normalisation that several layers may share.

        `found`: what is distinct in the masks, if it is worth looking up; x may then be half the size of
        the result, and is doubled. `activated`: a leaky ReLU follows. `bias`: (channels,), still to be
        added to x, which costs nothing in a table.
        """
        if found is None:
            return self._modulate_densely(self.param_free_norm(_biased(x, bias)), segmap, activated)
        table = found.table(self, lambda distinct: self._folded(distinct, bias))
        return found.look_up.modulate(x, table, activated)

    def modulate(self, normalised: jt.Var, segmap: Segmap, found: Surroundings | None, activated: bool) -> jt.Var:
        if found is None:
            return self._modulate_densely(normalised, segmap, activated)
        return found.look_up.modulate(normalised, found.table(self, self._unfolded), activated)

    def _modulate_densely(self, normalised: jt.Var, segmap: Segmap, activated: bool) -> jt.Var:
        shared = self.mlp_shared(segmap.at(*normalised.shape[2:]))
        modulated = normalised * (1 + self.mlp_gamma(shared)) + self.mlp_beta(shared)
        return lrelu(modulated) if activated else modulated

    def _unfolded(self, distinct: Distinct) -> jt.Var:
        """1 + gamma and beta of each surrounding, (2, channels, K)."""
        gamma, beta = distinct.through(self.mlp_shared[0], self.mlp_gamma, self.mlp_beta)
        return jt.stack([1 + gamma, beta], dim=0)

    def _folded(self, distinct: Distinct, bias: jt.Var | None) -> jt.Var:
        """Scale and shift of each surrounding in evaluation, with the running mean and variance in them."""
        scale, shift = self._unfolded(distinct)
        norm = self.param_free_norm
        scale = scale * (1 / jt.sqrt(norm.running_var + norm.eps)).unsqueeze(1)
        mean = norm.running_mean if bias is None else norm.running_mean - bias
        return jt.stack([scale, shift - mean.unsqueeze(1) * scale], dim=0)


class SPADEBlock(nn.Module):
    """Residual block, fin -> fout channels; where they differ the shortcut is learned. A block that is `noisy` adds
    noise to what its second SPADE modulates, to each channel of variance 1 as much as it has learned."""

    def __init__(self, fin: int, fout: int, semantic_nc: int, spectral: bool = False, noisy: bool = False) -> None:
        fmid = min(fin, fout)
        self.conv_0 = SpectralConv(fin, fmid, 3, padding=1, spectral=spectral)
        self.conv_1 = SpectralConv(fmid, fout, 3, padding=1, spectral=spectral)
        self.norm_0 = SPADE(fin, semantic_nc)
        self.norm_1 = SPADE(fmid, semantic_nc)
        self.learned_shortcut = fin != fout
        if self.learned_shortcut:
            self.conv_s = SpectralConv(fin, fout, 1, bias=False, spectral=spectral)
            self.norm_s = SPADE(fin, semantic_nc)
        self.noise_strength = jt.full((fmid,), FIRST_NOISE_STRENGTH) if noisy else None

    def execute(self, x: jt.Var, segmap: Segmap, noise_maps: NoiseMaps | None = None, doubled: bool = False) -> jt.Var:
        """Of x, or of x upsampled x2 if `doubled`. `noise_maps`: needed if it is noisy."""
        factor = 2 if doubled else 1
        size = (factor * x.shape[2], factor * x.shape[3])
        if self.learned_shortcut:
            first, last = _apply([(self.norm_0, True), (self.norm_s, False)], x, segmap, size)
            shortcut = self.conv_s(last)
        else:
            (first,) = _apply([(self.norm_0, True)], x, segmap, size)
            shortcut = upsample(x) if doubled else x
        dx = self.conv_0(first, with_bias=False)
        noise = None
        if self.noise_strength is not None:
            noise = self.noise_strength.reshape((1, -1, 1, 1)) * needed(noise_maps).at(*size)
        (second,) = _apply([(self.norm_1, True)], dx, segmap, size, self.conv_0.bias, noise)
        return shortcut + self.conv_1(second)


def _biased(x: jt.Var, bias: jt.Var | None) -> jt.Var:
    return x if bias is None else x + bias.reshape((1, -1, 1, 1))


def _apply(
    layers: Sequence[tuple[SPADE, bool]],
    x: jt.Var,
    segmap: Segmap,
    size: tuple[int, int],
    bias: jt.Var | None = None,
    noise: jt.Var | None = None,
) -> list[jt.Var]:
    """Each layer on the same x, plus a bias, upsampled to `size` (height, width); and a leaky ReLU if so said. `noise`
    is added to the normalised x.

    In training the layers see the same batch, so it is normalised once for all, and before it is upsampled,
    which changes neither mean nor variance.
    """
    norms = [layer.param_free_norm for layer, _ in layers]
    training = norms[0].is_training()
    found = segmap.surroundings(*size) if segmap.exact_sparse else None
    if training:
        x = normalise_batch(norms, _biased(x, bias))
        x = x if noise is None else x + noise
    elif noise is not None:
        x = x + noise * jt.sqrt(norms[0].running_var + norms[0].eps).reshape((1, -1, 1, 1))
    if found is None and tuple(x.shape[2:]) != size:
        x = upsample(x)
    return [
        layer.modulate(x, segmap, found, activated) if training else layer(x, segmap, found, activated, bias)
        for layer, activated in layers
    ]
