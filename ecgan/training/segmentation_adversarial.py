"""The losses of a segmentation discriminator, and LabelMix (Schönfeld, Sushko et al., OASIS, 2021).

U tells N classes and "painted" apart. Real pixels are of their classes, which count the more the rarer they are in the
step's batch; G's are "painted" to U, while G wants them to be taken for their classes.
LabelMix asks that U says of a mixture of real and painted regions, whole classes each, what it says of the regions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ecgan.runtime import jt
from ecgan.training.losses import cross_entropy


def class_shares(labels: np.ndarray, classes: int) -> np.ndarray:
    """(classes,): which share of all pixels each class has. `labels`: (N, H, W); ids from `classes` on are of none."""
    return np.bincount(labels.ravel(), minlength=classes)[:classes] / labels.size


def balance(labels: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """How much each pixel counts, (N, 1, H, W) float32: all pixels of a class as much as those of any other that is
    there, and all together as many as there are; those of no class 0.

    `labels`: (N, H, W); `shares`: of `class_shares`, in the whole batch of which they may be a part.
    """
    there = np.flatnonzero(shares)
    weights = np.zeros(256, np.float32)
    weights[there] = 1 / (shares[there] * len(there))
    return weights[labels][:, None]


def of_classes(logits: jt.Var, one_hot: jt.Var, weights: jt.Var) -> jt.Var:
    """Cross-entropy in nats, mean over all pixels, of pixels that are to be taken for their classes.

    `logits`: (N, classes + 1, H, W); `one_hot`: (N, classes or more, H, W); `weights`: of `balance`.
    """
    n, channels, height, width = logits.shape
    classes = one_hot[:, : channels - 1] * weights
    none = jt.zeros((n, 1, height, width))
    return cross_entropy(logits, jt.concat([classes, none], dim=1)) / (n * height * width)


def of_painted(logits: jt.Var) -> jt.Var:
    """The same, of pixels that are to be taken for painted ones; all count 1."""
    n, channels, height, width = logits.shape
    painted = (jt.array(np.arange(channels).reshape((1, -1, 1, 1))) == channels - 1).float32()
    return cross_entropy(logits, painted.expand(logits.shape)) / (n * height * width)


def regions(labels: Sequence[np.ndarray], draws: Sequence[np.random.Generator]) -> np.ndarray:
    """(N, 1, H, W) float32: 1 where a mixture is real, 0 where it is painted, a coin being thrown for each class."""
    coins = [draw.integers(0, 2, 256).astype(np.float32) for draw in draws]
    return np.stack([coin[each][None] for coin, each in zip(coins, labels, strict=True)])


def label_mix(of_mixture: jt.Var, of_real: jt.Var, of_fake: jt.Var, is_real: jt.Var) -> jt.Var:
    """Mean square of what U says of a mixture and what it says of its parts, (N, classes + 1, H, W) each."""
    return (of_mixture - (is_real * of_real + (1 - is_real) * of_fake)).sqr().mean()


def terms(
    network: Callable[[jt.Var], jt.Var],
    photo: jt.Var,
    fakes: Sequence[tuple[float, jt.Var]],
    one_hot: jt.Var,
    weights: jt.Var,
    is_real: jt.Var | None,
) -> dict[str, jt.Var]:
    """What U minimises: U_Fake and U_real, and LabelMix where `is_real` says what is real in the mixtures.

    `fakes`: G's pictures of the photo with their weights; the photo counts as often as these together.
    """
    of_photo = network(photo)
    of_fakes = [network(fake) for _, fake in fakes]
    shares = [weight for weight, _ in fakes]
    found = {
        "U_Fake": _weighted(shares, [of_painted(each) for each in of_fakes]),
        "U_real": sum(shares) * of_classes(of_photo, one_hot, weights),
    }
    if is_real is not None:
        mixtures = [network(is_real * photo + (1 - is_real) * fake) for _, fake in fakes]
        both = zip(mixtures, of_fakes, strict=True)
        found["LabelMix"] = _weighted(shares, [label_mix(mixed, of_photo, fake, is_real) for mixed, fake in both])
    return found


def _weighted(shares: Sequence[float], values: Sequence[jt.Var]) -> jt.Var:
    parts = [share * value for share, value in zip(shares, values, strict=True)]
    return sum(parts[1:], parts[0])
