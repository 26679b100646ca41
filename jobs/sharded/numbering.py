"""Which shard each item of a plan belongs to."""

from __future__ import annotations

from collections.abc import Sequence


def numbered(todo: Sequence[bool], shards: int) -> list[int | None]:
    """For each item its shard, or None if it is not to be made: contiguous shards whose sizes differ by one at most.

    There are `shards` of them, but no more than items.
    """
    count = sum(todo)
    shards = min(shards, count)
    numbers: list[int | None] = []
    position = 0
    for wanted in todo:
        numbers.append(position * shards // count if wanted else None)
        position += wanted
    return numbers


def count(numbers: Sequence[int | None]) -> int:
    """How many shards `numbered` made."""
    return 1 + max((number for number in numbers if number is not None), default=-1)
