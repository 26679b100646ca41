"""A plan's items lie in a file of their own, of which a shard reads its own part."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from ecgan.errors import UserError
from jobs.sharded import items


@dataclass(frozen=True)
class Part:
    name: str
    shard: int | None = None


@dataclass(frozen=True)
class Plan:
    title: str
    parts: tuple[Part, ...]


PLAN = Plan("any", tuple(Part(f"p{number}", shard) for number, shard in enumerate([None, 0, None, 0, 1, 1, None])))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    items.save(tmp_path / "plan.json", PLAN, "parts", {"fingerprint": "f"})
    return tmp_path / "plan.json"


def load(path: Path, shard: int | None = None) -> Plan:
    return items.load(path, Plan, "parts", Part, shard)


def names(plan: Plan) -> list[str]:
    return [part.name for part in plan.parts]


def test_all_comes_back_and_each_part_alone(path: Path) -> None:
    assert load(path) == PLAN
    assert [names(load(path, shard)) for shard in (0, 1)] == [["p1", "p3"], ["p4", "p5"]]
    assert '"fingerprint": "f"' in path.read_text() and "p1" not in path.read_text()


def test_a_shard_reads_nothing_of_the_others(path: Path) -> None:
    beside = path.with_name("items.jsonl")
    lines = beside.read_bytes().splitlines(keepends=True)
    for number in (1, 2, 3, 4, 7):  # what lies before and behind shard 1's
        lines[number] = b"x" * (len(lines[number]) - 1) + b"\n"
    beside.write_bytes(b"".join(lines))
    assert names(load(path, 1)) == ["p4", "p5"]
    for shard in (0, None):
        with pytest.raises(UserError, match=r"items\.jsonl"):
            load(path, shard)


def test_items_of_another_plan_are_refused(path: Path, tmp_path: Path) -> None:
    """As a kill leaves them that comes between the two files."""
    described = path.read_text()
    items.save(path, dataclasses.replace(PLAN, parts=PLAN.parts[1:]), "parts", {})
    path.write_text(described)
    for spoil in (lambda beside: None, lambda beside: beside.write_text("{"), Path.unlink):
        spoil(tmp_path / "items.jsonl")
        for shard in (None, 0):
            with pytest.raises(UserError, match=r"items\.jsonl .*again"):
                load(path, shard)


@pytest.mark.parametrize("left", range(1, len(PLAN.parts) + 2))
def test_items_cut_short_are_refused(path: Path, left: int) -> None:
    """At a line's end, too, so that all that is left are items. A shard goes by its own."""
    beside = path.with_name("items.jsonl")
    lines = beside.read_bytes().splitlines(keepends=True)
    beside.write_bytes(b"".join(lines[:left]))
    for shard, behind in ((None, len(lines)), (0, 5), (1, 7)):
        if left >= behind:
            assert load(path, shard).parts
        else:
            with pytest.raises(UserError, match=r"items\.jsonl is cut short"):
                load(path, shard)


def test_a_plan_of_before_does_not_say_how_long_its_items_are(path: Path) -> None:
    plan = json.loads(path.read_text())
    del plan["items"]["size"]
    path.write_text(json.dumps(plan))
    assert load(path) == PLAN and names(load(path, 1)) == ["p4", "p5"]


def test_there_is_no_such_shard(path: Path) -> None:
    with pytest.raises(UserError, match=r"items\.jsonl"):
        load(path, 2)
    with pytest.raises(UserError, match="no plan"):
        load(path.with_name("other.json"))
