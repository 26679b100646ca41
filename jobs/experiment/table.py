"""What came of an experiment, variant by variant: scores over seeds, steps, speed, hours, state. From files alone."""

from __future__ import annotations

import csv
import dataclasses
import io
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ecgan.checkpoint import list_states
from ecgan.errors import UserError
from ecgan.files import write_atomically, write_json
from ecgan.scoring import terms, total
from ecgan.training import state as states
from jobs.experiment import progress
from jobs.experiment.chains import Chain
from jobs.experiment.progress import StageState
from jobs.run import record, values
from jobs.run.clock import now
from jobs.run.find import is_run
from jobs.run.folder import RunDir
from jobs.run.state import State
from jobs.run.status import read_status
from jobs.train.standing import Standing

#: A mean over seeds, and its standard deviation: None of one seed alone.
Spread = tuple[float, float | None]
_TOTAL = "total"
#: Numbers of a training, by the field of a result, and what a person reads above them.
_OF_TRAINING = {"steps": "steps", "images_per_second": "pictures/s", "hours": "hours"}


@dataclass(frozen=True, kw_only=True)
class Result:
    """Of one chain. `scores`: by term, and the total if all of its terms are known. `hours`: of training."""

    seed: int
    state: State
    words: str
    steps: int | None = None
    images_per_second: float | None = None
    hours: float | None = None
    scores: dict[str, float]


@dataclass(frozen=True)
class Row:
    """Of one variant, over its seeds."""

    variant: str
    differs: dict[str, Any]
    results: tuple[Result, ...]

    @property
    def words(self) -> str:
        """How its chains stand."""
        count = Counter(result.words for result in self.results)
        if len(count) == 1:
            return next(iter(count))
        return ", ".join(f"{number} {words}" for words, number in count.items())

    def spread(self, name: str) -> Spread | None:
        """Of a score, or of what is told of trainings; None if no seed has it."""
        found = [
            value for each in self.results if (value := each.scores.get(name, getattr(each, name, None))) is not None
        ]
        if not found:
            return None
        return statistics.fmean(found), statistics.stdev(found) if len(found) > 1 else None

    @property
    def rank(self) -> tuple[int, float]:
        """The more of the total's terms are known the earlier, and then what the total makes of them."""
        known = {name: spread[0] for name in total.TERMS if (spread := self.spread(name))}
        return -len(known), -total.of_known(known) if "style" in known else 0.0


@dataclass(frozen=True)
class Table:
    """`rows`: the best first; `scores`: names of the columns that there are, in their order."""

    title: str
    rows: tuple[Row, ...]
    scores: tuple[str, ...]

    @property
    def columns(self) -> dict[str, str]:
        """What a person reads above each number, by its name."""
        titles = {term.name: term.title for term in terms.TERMS}
        of_training = {
            name: title for name, title in _OF_TRAINING.items() if any(row.spread(name) for row in self.rows)
        }
        return {name: titles.get(name, name) for name in self.scores} | of_training


def table(home: RunDir, chains: Sequence[Chain]) -> Table:
    """`home`: the experiment's folder."""
    alive = is_run(home.path) and not read_status(home.path).is_over
    found: dict[str, list[Result]] = {}
    for chain in chains:
        found.setdefault(chain.variant, []).append(_result(chain, alive))
    differs = {chain.variant: chain.differs for chain in chains}
    rows = sorted(
        (Row(name, differs[name], tuple(results)) for name, results in found.items()), key=lambda row: row.rank
    )
    known = {name for row in rows for result in row.results for name in result.scores}
    return Table(home.path.name, tuple(rows), tuple(name for name in (_TOTAL, *_names()) if name in known))


def lines(whole: Table) -> list[str]:
    """For a person."""
    head = ["variant", *whole.columns.values(), "state"]
    body = [[row.variant, *(shown(name, row.spread(name)) for name in whole.columns), row.words] for row in whole.rows]
    widths = [max(map(len, column)) for column in zip(head, *body, strict=True)]
    return [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip()
        for cells in [head, *body]
    ]


def shown(name: str, spread: Spread | None) -> str:
    """ "0.5123 ±0.0110"; empty if it is not known."""
    if spread is None:
        return ""
    digits = {term.name: term.digits for term in terms.TERMS} | {"steps": 0, "images_per_second": 2, "hours": 2}
    mean, deviation = (None if value is None else f"{value:.{digits.get(name, 4)}f}" for value in spread)
    return f"{mean} ±{deviation}" if deviation is not None else str(mean)


def save(home: RunDir, whole: Table) -> None:
    """Writes table.json and table.csv. Raises OSError."""
    write_json(
        home.table,
        {"created": now(), "experiment": whole.title, "variants": [_values(whole, row) for row in whole.rows]},
    )
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(
        ["variant", "state", "seeds", *(f"{name}{end}" for name in whole.columns for end in ("", "_spread"))]
    )
    for row in whole.rows:
        spreads = [row.spread(name) or (None, None) for name in whole.columns]
        cells = ["" if value is None else f"{value:.6g}" for spread in spreads for value in spread]
        writer.writerow([row.variant, row.words, len(row.results), *cells])
    write_atomically(home.table.with_suffix(".csv"), buffer.getvalue())


def _values(whole: Table, row: Row) -> dict[str, Any]:
    spreads = {name: spread for name in whole.columns if (spread := row.spread(name))}
    return {
        "variant": row.variant,
        "differs": row.differs,
        "state": row.words,
        "means": {name: mean for name, (mean, _) in spreads.items()},
        "spreads": {name: spread for name, (_, spread) in spreads.items()},
        "seeds": [dataclasses.asdict(result) for result in row.results],
    }


def _result(chain: Chain, alive: bool) -> Result:
    found = progress.states(chain, alive)
    by_stage = {each.stage: each for each in found}
    return Result(
        seed=chain.seed,
        **_standing(found),
        **(_training(chain) if "train" in by_stage and by_stage["train"].status else {}),
        scores=_scores(chain, by_stage.get("score")),
    )


def _standing(found: Iterable[StageState]) -> dict[str, Any]:
    """State and words of a chain: those of its first stage that is not done."""
    for each in found:
        if not each.state.is_success:
            status = each.status if each.state.is_at_work else None
            share = f" {100 * (status.done or 0) // status.total} %" if status and status.total else ""
            return {"state": each.state, "words": f"{each.stage} {each.state}{share}"}
    return {"state": State.DONE, "words": str(State.DONE)}


def _training(chain: Chain) -> dict[str, Any]:
    told = record.read(RunDir(chain.training))
    saved = list_states(RunDir(chain.training).states)
    hours = None
    if saved:
        try:
            found = states.look_at(saved[-1])
            hours = Standing.of_state(found.path, found.progress).seconds / 3600
        except (UserError, OSError):  # just being put aside
            pass
    return {"steps": told.done, "images_per_second": told.images_per_second, "hours": hours}


def _scores(chain: Chain, stage: StageState | None) -> dict[str, float]:
    """Empty if the pictures have not been scored as they are now."""
    run = chain.run("score")
    if stage is None or run is None or not stage.state.is_success:
        return {}
    try:
        score = values.read_object(run.score)
    except (OSError, ValueError):
        return {}
    found = {term.name: _number(score.get(term.name), term.first.key) for term in terms.TERMS}
    found |= {"mean_iou": _number(score.get("mask_accuracy"), "mean_iou"), _TOTAL: _number(score, _TOTAL)}
    return {name: value for name, value in found.items() if value is not None}


def _number(entry: object, key: str) -> float | None:
    value = entry.get(key) if isinstance(entry, Mapping) else None
    return float(value) if isinstance(value, (int, float)) else None


def _names() -> list[str]:
    """Of scores, in the order of their columns."""
    return [
        name
        for term in terms.TERMS
        for name in ((term.name, "mean_iou") if term.name == "mask_accuracy" else (term.name,))
    ]
