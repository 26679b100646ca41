"""A contrast between classes: embeddings of G's pixels are to be near those of their class and far from others.

It is ECGAN's (Tang et al., "Edge Guided GANs with Contrastive Learning for Semantic Image Synthesis", ICLR 2023), after
Wang et al., "Exploring Cross-Image Pixel Contrast for Semantic Segmentation", ICCV 2021. Pixels are compared across the
layouts that go through G together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ecgan.config import ModelConfig
from ecgan.networks.projection import ProjectionHead
from ecgan.networks.segmap import resize_labels
from ecgan.runtime import jt

#: How many pixels of each picture are compared.
_ANCHORS = 128
#: What exp makes 0 of, also where it is added to a similarity.
_NEVER = -1e30


class Compared(NamedTuple):
    """Pixels of G's features that are compared, M in all.

    `places`: (M, 3) int32, picture, row and column of each. `shares`: (M, M), how much a pair of the same class counts,
    0 for others; they add up to 1, or to 0 where there is nothing to compare. `others`: (M, M), 0 for pixels of
    another class, else so little that they don't count.
    """

    places: jt.Var
    shares: jt.Var
    others: jt.Var

    @classmethod
    def of(cls, labels: np.ndarray, model: ModelConfig, draws: Sequence[np.random.Generator]) -> Compared:
        """Of masks (N, H, W), a generator for each saying which of its pixels are compared."""
        small = resize_labels(labels, *model.features_size)
        places = choose(small, model.label_nc, draws)
        shares, others = pairs(small[tuple(places.T)], model.label_nc)
        return cls(*(jt.array(each).stop_grad() for each in (places, shares, others)))

    def contrast(self, head: ProjectionHead, features: jt.Var, temperature: float) -> jt.Var:
        """Of (N, C, H, W), what G's `with_features` gives."""
        shape = [self.places.shape[0], features.shape[1]]
        pixels = features.reindex(shape, ["@e0(i0,0)", "i1", "@e0(i0,1)", "@e0(i0,2)"], extras=[self.places])
        return info_nce(head(pixels), self.shares, self.others, temperature)


def choose(labels: np.ndarray, classes: int, draws: Sequence[np.random.Generator]) -> np.ndarray:
    """Places of the pixels of masks (N, H, W) that are compared, as `Compared` has them: of each mask so many of each
    class as of any other, as far as there are, of no class (ids from `classes` on) only where nothing else is left."""
    chosen = [_choose(each, classes, draw) for each, draw in zip(labels, draws, strict=True)]
    pictures = np.repeat(np.arange(len(chosen)), [len(each) for each in chosen])
    return np.stack([pictures, *np.divmod(np.concatenate(chosen), labels.shape[2])], axis=1).astype(np.int32)


def pairs(ids: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """`shares` and `others` of `Compared`, float32, for pixels of these classes, (M,).

    Every pixel that has both some of its class and some of another to be compared with counts as much as any other
    such pixel, and in it one of its class as much as the next.
    """
    known = ids < classes
    both = known[:, None] & known
    same = both & (ids[:, None] == ids)
    other = both & ~same
    np.fill_diagonal(same, False)
    compared = same.any(1) & other.any(1)
    shares = same * compared[:, None] / np.maximum(same.sum(1, keepdims=True), 1) / max(1, compared.sum())
    return shares.astype(np.float32), np.where(other, 0, _NEVER).astype(np.float32)


def info_nce(embeddings: jt.Var, shares: jt.Var, others: jt.Var, temperature: float) -> jt.Var:
    """Mean, over pixels and those of their class, of -log(e^s / (e^s + sum of e^n)), in nats.

    s is the product of both embeddings, divided by `temperature`, n that with a pixel of another class. `embeddings`:
    (M, C), each of length 1; `shares`, `others`: of `pairs`. Equation 3 of Wang et al.
    """
    # Of a shape that is no scalar's, which Jittor may compile into operators if it is 1.
    sharpness = jt.array(np.full((1, 1), 1 / temperature, np.float32)).stop_grad()
    similar = jt.matmul(embeddings, embeddings.transpose(1, 0)) * sharpness
    apart = similar + others
    largest = apart.max(1, keepdims=True).stop_grad()
    excess = jt.log(jt.exp(apart - largest).sum(1, keepdims=True)) + largest - similar
    # Of log(1 + e^x), since x may be large; row by row, since a sum of so many in one loses digits.
    return ((excess.maximum(0.0) + jt.log(1 + jt.exp(-excess.abs()))) * shares).sum(1).sum()


def _choose(labels: np.ndarray, classes: int, draw: np.random.Generator) -> np.ndarray:
    """Of one mask (H, W), pixels by their number."""
    order = draw.permutation(labels.size)
    ids = labels.ravel()[order]
    by_class = np.argsort(ids, kind="stable")
    _, begins, counts = np.unique(ids[by_class], return_index=True, return_counts=True)
    rank = np.empty(labels.size, int)  # among those of its class
    rank[by_class] = np.arange(labels.size) - np.repeat(begins, counts)
    return order[np.lexsort((rank, ids >= classes))[:_ANCHORS]]
