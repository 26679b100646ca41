"""Semantic guidance: a frozen segmentation network tells G what it sees in its pictures.

Two terms. The cross-entropy of the classes that it finds against the mask asks that everything can be recognised: the
contest's mask accuracy, made something to learn from (as the segmentation loss of Tang et al., "Dual attention GANs for
large-scale semantic image synthesis", 2020, and the teacher's role of the discriminator in OASIS, 2021, have it). The
distance of its feature maps to those of the photo is a perceptual loss (Johnson et al. 2016) where VGG19's weights are
missing.
"""

from __future__ import annotations

from collections.abc import Sequence

from ecgan.networks.segformer import Seen, Segformer, enlarge
from ecgan.runtime import jt
from ecgan.training.losses import cross_entropy


class Guide:
    """A segmentation network that never learns, but through which gradients reach the picture."""

    def __init__(self, network: Segformer) -> None:
        network.eval()
        for var in network.state_dict().values():
            var.stop_grad()
        self._network = network

    def __call__(self, pictures: jt.Var) -> Seen:
        """`pictures`: (N, 3, H, W) in [-1, 1]; H and W are multiples of 32."""
        return self._network(pictures)


def recognition(seen: Seen, one_hot: jt.Var) -> jt.Var:
    """Cross-entropy in nats, mean over all pixels, of what was seen against the mask.

    `one_hot`: (N, semantic_nc, H, W); a pixel of a class that the network does not tell apart counts as 0.
    """
    n, _, height, width = one_hot.shape
    logits = enlarge(seen.logits, height, width)
    return cross_entropy(logits, one_hot[:, : logits.shape[1]]) / (n * height * width)


def likeness(ours: Sequence[jt.Var], theirs: Sequence[jt.Var]) -> jt.Var:
    """Mean absolute difference of the four stages' maps, normalised for each pixel as they are; `theirs` are
    constants."""
    terms = [(a - b.detach()).abs().mean() for a, b in zip(ours, theirs, strict=True)]
    return sum(terms[1:], terms[0]) / len(terms)
