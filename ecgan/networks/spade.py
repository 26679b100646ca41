"""SPADE: normalisation whose scale and shift are painted by the semantic mask (SPEC section 2)."""

from __future__ import annotations

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
        shared = self.mlp_shared(segmap.at(x.shape[2], x.shape[3]))
        return self.param_free_norm(x) * (1 + self.mlp_gamma(shared)) + self.mlp_beta(shared)


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
        shortcut = self.conv_s(self.norm_s(x, segmap)) if self.learned_shortcut else x
        dx = self.conv_0(lrelu(self.norm_0(x, segmap)))
        dx = self.conv_1(lrelu(self.norm_1(dx, segmap)))
        return shortcut + dx
