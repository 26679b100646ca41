"""A loss on colour statistics: the tone of a picture as mean and covariance in CIELAB, wherever its colours lie.

Those are what colour transfer between pictures matches (Reinhard et al. 2001; Xiao and Ma 2006), so that G takes its
tone from the style code and does not leave it to the transfer.
"""

from __future__ import annotations

import numpy as np

from ecgan.runtime import jt

#: sRGB's primaries in CIE XYZ, each row divided by the white point D65 (IEC 61966-2-1).
_TO_XYZ = np.array(
    [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]], np.float32
) / np.array([[0.9505], [1.0], [1.089]], np.float32)
#: L = 116 f(Y) - 16, a = 500 (f(X) - f(Y)), b = 200 (f(Y) - f(Z)); without the 16, which no difference sees.
_TO_LAB = np.array([[0, 116, 0], [500, -500, 0], [0, 200, -200]], np.float32)
#: Below it CIELAB's cube root is a straight line.
_LINEAR = (6 / 29) ** 3


def to_lab(pictures: jt.Var) -> jt.Var:
    """(N, 3, H, W) sRGB in [-1, 1] -> (N, 3, H * W) in hundredths of CIELAB's units, L without its -16."""
    n = pictures.shape[0]
    x = pictures.reshape((n, 3, -1)) * 0.5 + 0.5
    # Both roots are kept from where their slope has no end; what is chosen there is the straight line.
    linear = jt.ternary(x > 0.04045, ((x.maximum(0.04) + 0.055) / 1.055).pow(2.4), x / 12.92)
    xyz = _mix(_TO_XYZ, linear)
    root = jt.ternary(xyz > _LINEAR, xyz.maximum(_LINEAR).pow(1 / 3), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return _mix(_TO_LAB / 100, root)


def tone_distance(ours: jt.Var, theirs: jt.Var) -> jt.Var:
    """Of two batches of pictures, (N, 3, H, W) in [-1, 1]: mean absolute difference of their colours' means, plus that
    of their covariances, picture by picture, in hundredths of CIELAB's units; `theirs` are constants."""
    (mean, covariance), (their_mean, their_covariance) = (_moments(to_lab(each)) for each in (ours, theirs.detach()))
    return (mean - their_mean).abs().mean() + (covariance - their_covariance).abs().mean()


def _mix(matrix: np.ndarray, x: jt.Var) -> jt.Var:
    """(3, 3) times (N, 3, pixels)."""
    rows = [sum((float(w) * x[:, i] for i, w in enumerate(row) if w), 0.0) for row in matrix]
    return jt.stack(rows, dim=1)


def _moments(colours: jt.Var) -> tuple[jt.Var, jt.Var]:
    """(N, 3, pixels) -> mean (N, 3, 1), covariance (N, 3, 3)."""
    mean = colours.mean(2, keepdims=True)
    apart = colours - mean
    products = [[(apart[:, i] * apart[:, k]).mean(1) for k in range(3)] for i in range(3)]
    return mean, jt.stack([jt.stack(row, dim=1) for row in products], dim=1)
