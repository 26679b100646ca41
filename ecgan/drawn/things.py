"""Single things of a scene: each knows how far it is and how to put itself into a layout."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ecgan.drawn.layout import Layout


@dataclass(frozen=True)
class Thing:
    """`z`: metres ahead."""

    z: float
    stamp: Callable[[Layout], None]


def stamp_all(layout: Layout, things: Iterable[Thing]) -> None:
    """The farthest first."""
    for thing in sorted(things, key=lambda thing: -thing.z):
        thing.stamp(layout)
