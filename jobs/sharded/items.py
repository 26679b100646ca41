"""The items of a plan: a file beside plan.json with a line for each, of which a shard reads its own part alone.

What a shard needs of memory and time is that of its own items, however many there are.
"""

from __future__ import annotations

import dataclasses
import json
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from ecgan.errors import UserError
from ecgan.files import fitted, open_file, read_any_json, whole_file, write_json
from ecgan.lines import line_as
from jobs.run.folder import ITEMS


class Item(Protocol):
    """A dataclass of what JSON has, and the like."""

    @property
    def shard(self) -> int | None: ...


Plan = TypeVar("Plan")
AnyItem = TypeVar("AnyItem", bound=Item)


@dataclass(frozen=True)
class Index:
    """`id`: stands in the file, too, and tells whether it is this plan's; `parts`: where in it each shard's items lie,
    from its first byte to the one behind the last. Items that are made already may lie among them. `size`: of the file
    in bytes, which plans of before don't say."""

    id: str
    parts: tuple[tuple[int, int], ...]
    size: int | None = None


def save(path: Path, plan: Any, field: str, more: dict[str, Any]) -> None:
    """Writes the dataclass `plan` to `path`, with what is `more`, and its items, which it has in `field`, beside it.

    Whoever dies between the two leaves items that belong to no plan.
    """
    id = secrets.token_hex(8)
    values = {each.name: getattr(plan, each.name) for each in dataclasses.fields(plan) if each.name != field}
    index = Index(id, *_write(path.with_name(ITEMS), id, getattr(plan, field)))
    write_json(path, more | values | {"items": index}, default=vars)


def load(path: Path, cls: type[Plan], field: str, item: type[AnyItem], shard: int | None = None) -> Plan:
    """The `cls` that `save` wrote; with a number only that shard's items are read, and are all that it has.

    Raises UserError if `path` is no plan of this version, or the items beside it are not its own, or not all of them.
    """
    try:
        values = read_any_json(path)
        index = fitted(values["items"], Index)
        plan = fitted({**values, field: []}, cls)
    except FileNotFoundError:
        raise UserError(f"{path}: there is no plan") from None
    except (OSError, ValueError, TypeError, KeyError):
        raise UserError(f"{path} is not a plan that this version can read: start the run again") from None
    beside = path.with_name(ITEMS)
    try:
        found = list(_read(beside, index, item, shard))
    except EOFError:
        raise UserError(f"{beside} is cut short: start the run again") from None
    except (OSError, ValueError, TypeError, IndexError):
        raise UserError(f"{beside} is not that of {path.name} beside it: start the run again") from None
    return dataclasses.replace(plan, **{field: tuple(found)})  # type: ignore[type-var]


def _write(path: Path, id: str, items: Sequence[Item]) -> tuple[tuple[tuple[int, int], ...], int]:
    """Gives `parts` and `size` of the Index."""
    parts: dict[int, tuple[int, int]] = {}
    with whole_file(path) as file:
        position = file.write(json.dumps({"id": id}).encode() + b"\n")
        for item in items:
            begin = position
            position += file.write(json.dumps(item, default=vars).encode() + b"\n")
            if item.shard is not None:
                parts[item.shard] = parts.get(item.shard, (begin, 0))[0], position
    return tuple(parts[shard] for shard in range(len(parts))), position


def _read(path: Path, index: Index, cls: type[AnyItem], shard: int | None) -> Iterator[AnyItem]:
    """Raises EOFError where the end is missing; OSError, ValueError, TypeError or IndexError where there is anything
    else."""
    with open_file(path) as file:
        line = file.readline()
        if line_as(line, _Head).id != index.id:
            raise ValueError("of another plan")
        position, end = len(line), index.size
        if shard is not None:
            position, end = index.parts[shard]
            file.seek(position)
        while (end is None or position < end) and (line := file.readline()):
            position += len(line)
            item = line_as(line, cls)
            if shard is None or item.shard == shard:
                yield item
        if end is not None and position < end:
            raise EOFError


@dataclass(frozen=True)
class _Head:
    id: str
