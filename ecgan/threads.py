"""One thing done to many, in threads: decoding, hashing and reading run outside Python's lock."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from ecgan.cores import cores

#: Items that a thread takes at a time, at most: handing over costs more than a look at a file. Of few items it takes so
#: few that each thread comes back about so often.
_CHUNK, _TURNS = 64, 16

Item = TypeVar("Item")
Result = TypeVar("Result")


def readers() -> int:
    """Threads that open and decode files: two for each core, since a disk is waited for, too."""
    return 2 * cores()


def in_threads(
    work: Callable[[Item], Result],
    items: Iterable[Item],
    threads: int | None = None,
    tick: Callable[[], object] = lambda: None,
) -> list[Result]:
    """What `work` makes of each of `items`, in their order. `threads`: by default as many as there are cores.

    `tick` is called after each, in this thread. What either of them raises, Ctrl-C included, is raised as soon as what
    is in hand is done: items that have not been begun never are.
    """
    items = list(items)
    threads = threads or cores()
    size = max(1, min(_CHUNK, len(items) // (threads * _TURNS)))
    ended = threading.Event()
    results = []

    def work_off(start: int) -> list[Result]:
        return [work(item) for item in items[start : start + size] if not ended.is_set()]

    with ThreadPoolExecutor(threads) as pool:
        try:
            for found in pool.map(work_off, range(0, len(items), size)):
                for result in found:
                    results.append(result)
                    tick()
        except BaseException:  # leaving the pool would work off all that is left
            ended.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return results
