"""One thing done to many in threads: in order, and no longer than anybody wants it."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from ecgan.threads import in_threads


class Interrupted(BaseException):
    """As Ctrl-C: no error of what is done."""


def test_results_are_in_the_order_of_the_items() -> None:
    ticks: list[int] = []
    assert in_threads(lambda item: item * item, range(50), 4, lambda: ticks.append(1)) == [n * n for n in range(50)]
    assert len(ticks) == 50 and in_threads(str, []) == []


@pytest.mark.parametrize("breaks", ["work", "tick"])
def test_what_has_not_begun_is_left_when_one_fails(breaks: str) -> None:
    begun: list[int] = []

    def fail() -> None:
        raise Interrupted

    def work(item: int) -> None:
        begun.append(item)
        if item == 0 and breaks == "work":
            fail()
        time.sleep(0.01)  # all of them would take seconds

    tick: Callable[[], object] = fail if breaks == "tick" else lambda: None
    with pytest.raises(Interrupted):
        in_threads(work, range(1000), 2, tick)
    assert len(begun) < 500
