"""Landscapes drawn by code, photo and exact mask together: training data that anybody may use.

The layout of a scene decides its mask, the style (time of day, weather, season) its colours. So a
mask says nothing about colours and a reference nothing about layout, as in the contest.
"""

from ecgan.drawn.paint import paint
from ecgan.drawn.scene import SMALLEST, compose, draw
from ecgan.drawn.style import SEASONS, TIMES, WEATHERS, Style, Styles, pick_style
from ecgan.drawn.write import write_test_set, write_training_set

__all__ = [
    "SMALLEST",
    "SEASONS",
    "TIMES",
    "WEATHERS",
    "Style",
    "Styles",
    "compose",
    "draw",
    "paint",
    "pick_style",
    "write_test_set",
    "write_training_set",
]
