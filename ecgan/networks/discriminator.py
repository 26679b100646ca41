"""Discriminator D: patch critics at several scales, with their feature maps (docs/specification.md, section 2)."""

from __future__ import annotations

from collections import OrderedDict

from ecgan.config import ModelConfig
from ecgan.networks.convolution import Conv
from ecgan.networks.layers import LRELU_SLOPE, SpectralConv, xavier
from ecgan.runtime import jt, nn

KERNEL, PADDING = 4, 2
MAX_CHANNELS = 512


class PatchCritic(nn.Module):
    """One scale: convolutions of which each layer's output is a feature map, the last the logits."""

    def __init__(self, config: ModelConfig) -> None:
        fin = config.semantic_nc + 3
        first = xavier(nn.Conv(fin, config.ndf, KERNEL, stride=2, padding=PADDING))
        layers = [nn.Sequential(first, nn.LeakyReLU(LRELU_SLOPE))]
        channels = config.ndf
        for k in range(1, config.n_layers_D):
            stride = 1 if k == config.n_layers_D - 1 else 2
            fout = min(2 * channels, MAX_CHANNELS)
            conv = SpectralConv(channels, fout, KERNEL, stride, PADDING, bias=False, spectral=config.spectral_norm)
            norm = nn.InstanceNorm(fout, affine=False)
            layers.append(nn.Sequential(nn.Sequential(conv, norm), nn.LeakyReLU(LRELU_SLOPE)))
            channels = fout
        layers.append(nn.Sequential(xavier(Conv(channels, 1, KERNEL, PADDING))))
        self.models = nn.Sequential(OrderedDict((f"model{k}", layer) for k, layer in enumerate(layers)))

    def execute(self, x: jt.Var) -> list[jt.Var]:
        features = []
        for layer in self.models:
            x = layer(x)
            features.append(x)
        return features


class Discriminator(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        self.sequential = nn.Sequential(
            OrderedDict((f"discriminator_{scale}", PatchCritic(config)) for scale in range(config.num_D))
        )

    def execute(self, x: jt.Var) -> list[list[jt.Var]]:
        """x: one-hot mask and picture, (N, classes + 3, H, W).

        Returns for each scale, finest first, the outputs of its layers; the last are the logits.
        """
        outputs = []
        for critic in self.sequential:
            outputs.append(critic(x))
            x = nn.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)
        return outputs
