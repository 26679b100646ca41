"""One thing done to many, in threads: decoding, hashing and reading run outside Python's lock."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from ecgan.cores import cores

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
    results = []
    with ThreadPoolExecutor(threads or cores()) as pool:
        try:
            for result in pool.map(work, items):
                results.append(result)
                tick()
        except BaseException:  # leaving the pool would work off all that is left
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return results
