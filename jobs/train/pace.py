"""How fast a training goes, and when it will end."""

from __future__ import annotations

import time
from collections import deque

#: Steps that the speed is the mean of.
_WINDOW = 50


class Pace:
    """Speed over the last steps. The first step is left out: it compiles what is not compiled yet."""

    def __init__(self, images_per_step: int) -> None:
        self._images = images_per_step
        self._ends: deque[float] = deque(maxlen=_WINDOW + 1)

    def step(self) -> None:
        """A step has ended now."""
        self._ends.append(time.monotonic())

    @property
    def images_per_second(self) -> float | None:
        """None until two steps have ended."""
        if len(self._ends) < 2:
            return None
        return self._images * (len(self._ends) - 1) / max(1e-9, self._ends[-1] - self._ends[0])

    def seconds_for(self, steps: int) -> float | None:
        """How long `steps` more will take at this speed."""
        speed = self.images_per_second
        return None if speed is None else steps * self._images / speed
