"""A loss on textures: how strong a picture's detail is at each place, in each direction and at each scale, whatever its
phase.

Such statistics of sub-bands are what textures are recognised and synthesised by (Heeger and Bergen 1995; Portilla and
Simoncelli 2000). They do not ask that grains lie where the photo's do, which no mask tells and which makes G paint the
mean of all places.
"""

from __future__ import annotations

from collections.abc import Iterator

from ecgan.runtime import jt

#: Sides of the windows over which the strength is averaged, in pixels of their scale.
WINDOW = 8
#: The picture itself, and halved once and twice.
_SCALES = 3


def texture_distance(ours: jt.Var, theirs: jt.Var) -> jt.Var:
    """Of two batches of pictures, (N, 3, H, W) in [-1, 1], H and W above `WINDOW`: mean absolute difference of the
    strengths of their detail, averaged over windows, channels, directions and scales; `theirs` are constants.

    A scale of which a side is no longer than a window is left out.
    """
    pairs = zip(_strengths(ours), _strengths(theirs.detach()), strict=True)
    distances = [(each - other).abs().mean() for each, other in pairs]
    return sum(distances[1:], distances[0]) / len(distances)


def _strengths(pictures: jt.Var) -> Iterator[jt.Var]:
    """(N, 3, H, W) -> for each scale and direction, (N, 3, rows, columns) of windows: mean absolute difference of
    neighbours."""
    for scale in range(_SCALES):
        if scale:
            pictures = _means(pictures, 2)
        if min(pictures.shape[2:]) <= WINDOW:
            return
        above, below, left, right = pictures[:, :, :-1], pictures[:, :, 1:], slice(None, -1), slice(1, None)
        differences = [
            pictures[:, :, :, right] - pictures[:, :, :, left],
            below - above,
            below[:, :, :, right] - above[:, :, :, left],  # without both diagonals, grain may look like a relief
            below[:, :, :, left] - above[:, :, :, right],
        ]
        yield from (_means(each.abs(), WINDOW) for each in differences)


def _means(x: jt.Var, side: int) -> jt.Var:
    """(N, C, H, W) -> (N, C, H // side, W // side): means of squares; a rest at the right or below is cut off."""
    n, channels, height, width = x.shape
    rows, columns = height // side, width // side
    whole = x[:, :, : rows * side, : columns * side]
    return whole.reshape((n, channels, rows, side, columns, side)).mean((3, 5))
