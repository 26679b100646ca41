"""Segmentation discriminator U: a U-Net that says of every pixel which class it is of, or that it was painted.

Schönfeld, Sushko et al., "You Only Need Adversarial Supervision for Semantic Image Synthesis" (OASIS), ICLR 2021.
"""

from __future__ import annotations

from ecgan.config import ModelConfig, unet_widths
from ecgan.networks.layers import SpectralConv, lrelu, upsample
from ecgan.runtime import jt, nn


class _Block(nn.Module):
    """Residual, fin -> fout channels, at one size."""

    def __init__(self, fin: int, fout: int, spectral: bool) -> None:
        self.conv_0 = SpectralConv(fin, fout, 3, padding=1, spectral=spectral)
        self.conv_1 = SpectralConv(fout, fout, 3, padding=1, spectral=spectral)
        self.conv_s = SpectralConv(fin, fout, 1, bias=False, spectral=spectral)

    def execute(self, x: jt.Var) -> jt.Var:
        return self.conv_s(x) + self.conv_1(lrelu(self.conv_0(lrelu(x))))


class SegmentationDiscriminator(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        channels, spectral = unet_widths(config), config.spectral_norm
        fins = [3, *channels[:-1]]
        self.down = nn.ModuleList([_Block(fin, fout, spectral) for fin, fout in zip(fins, channels, strict=True)])
        ups = [(below + beside, beside) for beside, below in zip(channels, channels[1:], strict=False)]
        self.up = nn.ModuleList([_Block(fin, fout, spectral) for fin, fout in ups])
        self.classify = SpectralConv(channels[0], config.label_nc + 1, 1, bias=False, spectral=spectral)

    def execute(self, pictures: jt.Var) -> jt.Var:
        """(N, 3, H, W) in [-1, 1] -> logits (N, classes + 1, H, W), the last of which is of what was painted."""
        maps, x = [], pictures
        for level, block in enumerate(self.down):
            x = block(nn.avg_pool2d(x, 2, stride=2) if level else x)
            maps.append(x)
        for block, beside in zip(reversed(list(self.up)), reversed(maps[:-1]), strict=True):
            x = block(jt.concat([upsample(x), beside], dim=1))
        return self.classify(lrelu(x))
