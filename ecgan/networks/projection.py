"""Projection head P: what makes embeddings of G's features, for the contrast between classes, and is not painted with.

Two layers with a ReLU between them, as in Wang et al., "Exploring Cross-Image Pixel Contrast for Semantic
Segmentation", ICCV 2021, and in Chen et al., SimCLR, 2020.
"""

from __future__ import annotations

from ecgan.config import EMBEDDING, ModelConfig
from ecgan.networks.layers import xavier
from ecgan.runtime import jt, nn

#: Keeps an embedding of nothing but zeros from a division by 0.
_EPSILON = 1e-12


class ProjectionHead(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        channels = 8 * config.ngf
        self.hidden, self.out = xavier(nn.Linear(channels, channels)), xavier(nn.Linear(channels, EMBEDDING))

    def execute(self, features: jt.Var) -> jt.Var:
        """(M, 8 * ngf), a row for each pixel -> (M, 256), each row of length 1."""
        x = self.out(self.hidden(features).maximum(0.0))
        return x / (x.sqr().sum(1, keepdims=True) + _EPSILON).sqrt()
