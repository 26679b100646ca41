"""When what is due in a training: saving, measuring, the end; and how long it takes."""

from __future__ import annotations

import time

from jobs.train.pace import Pace
from jobs.train.plan import TrainPlan


class Clock:
    """The seconds of training, over all starts, and what they and the steps say is due.

    `keeps_time`: whether this is the rank whose clock counts for all; on the others nothing is due by time.
    """

    def __init__(self, plan: TrainPlan, keeps_time: bool) -> None:
        self._plan, self._settings, self._keeps_time = plan, plan.settings, keeps_time
        self._pace = Pace(plan.settings.batch_size)
        self.seconds = 0.0
        self._counted = self._saved = time.monotonic()

    def start(self, seconds: float) -> None:
        """Training begins now, or goes on after so many seconds of it."""
        self.seconds = seconds
        self._counted = self._saved = time.monotonic()

    def step(self) -> None:
        """A step has ended now."""
        self._pace.step()
        moment = time.monotonic()
        self.seconds += moment - self._counted
        self._counted = moment

    def saving(self) -> None:
        """A state is being saved, or tried to be: the next is due by time when the interval has passed again."""
        self._saved = time.monotonic()

    def saved(self) -> None:
        """What that took is no training."""
        self._counted = time.monotonic()

    def is_measuring_due(self, taken: int) -> bool:
        """`taken`: steps, in all."""
        return self._ends_epoch(taken, self._settings.eval_every_epochs)

    def is_save_due(self, taken: int) -> bool:
        steps, minutes = self._settings.save_every_steps, self._settings.save_every_minutes
        by_steps = bool(steps) and taken % steps == 0
        by_time = self._keeps_time and bool(minutes) and time.monotonic() - self._saved >= 60 * minutes
        return by_steps or by_time or self._ends_epoch(taken, self._settings.save_every_epochs)

    @property
    def is_time_over(self) -> bool:
        minutes = self._settings.max_minutes
        return self._keeps_time and minutes is not None and self.seconds >= 60 * minutes

    @property
    def images_per_second(self) -> float | None:
        """None until it can be told."""
        return self._pace.images_per_second

    def expected_steps(self, taken: int) -> int:
        """Steps when it will end, by number or by time."""
        speed, minutes = self.images_per_second, self._settings.max_minutes
        if minutes is None or speed is None:
            return self._plan.steps
        left = max(0.0, 60 * minutes - self.seconds) * speed / self._settings.batch_size
        return min(self._plan.steps, taken + round(left))

    def seconds_to_go(self, taken: int) -> float | None:
        """None until it can be told."""
        return self._pace.seconds_for(self.expected_steps(taken) - taken)

    def _ends_epoch(self, taken: int, every: int) -> bool:
        """Whether an epoch has just ended whose number is a multiple of `every`; 0: no epoch's is."""
        epochs, rest = divmod(taken, self._plan.sampler.steps_per_epoch)
        return bool(every) and rest == 0 and epochs % every == 0
