"""One shard of a scoring: part by part, read ahead, measured, written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ecgan.checkpoint.segmenter import open_segmenter
from ecgan.config import ModelConfig
from ecgan.data.images import BadImage, check_picture, read_mask, read_photo, resize_mask
from ecgan.errors import UserError
from ecgan.files import sha256_of
from ecgan.runtime import starting
from ecgan.runtime.warming import warm_scoring
from ecgan.scoring import terms
from ecgan.scoring.aesthetic import Scorer, load_scorer
from ecgan.scoring.agreement import Agreement
from ecgan.scoring.terms import Seen
from jobs import stop
from jobs.run import attempts
from jobs.run.folder import RunDir
from jobs.run.progress import Progress
from jobs.score import measurements
from jobs.score.measurements import Measurements
from jobs.score.plan import Judges, ScorePart, ScorePlan, Subject
from jobs.sharded.shard import Share

if TYPE_CHECKING:  # it needs Jittor, which is started on the right device first
    from ecgan.scoring.evaluator import Evaluator

_READERS = 2


class ScoreShare(Share[ScorePart]):
    """The parts of one shard of a scoring."""

    kept = "what is measured is kept"

    def __init__(self, run: RunDir, number: int) -> None:
        self._run, self._plan = run, ScorePlan.load(run.plan, number)
        self.items = self._plan.parts

    def left(self) -> list[ScorePart]:
        return [part for part in self.items if not measurements.is_whole(self._run, part, self._plan.judges)]

    def size(self, items: Sequence[ScorePart]) -> int:
        """In pictures."""
        return sum(len(part.subjects) for part in items)

    def load(self) -> None:
        _load_measurer(self._plan.judges)

    def make(self, items: Sequence[ScorePart], progress: Progress) -> bool:
        measurer = _load_measurer(self._plan.judges)
        with ThreadPoolExecutor(_READERS) as readers:
            for part in items:
                measured = measurer.measure(part, self._plan, readers, progress)
                if measured is None:
                    return False
                attempts.insist_on_newest()
                measured.save(self._run, part)
        return True


class _Files(NamedTuple):
    """What is read of a subject; of a photo the picture alone."""

    picture: np.ndarray
    labels: np.ndarray | None
    reference: np.ndarray | None


@dataclass(frozen=True)
class _Measurer:
    judges: Judges
    evaluator: Evaluator
    aesthetic: Scorer | None

    def measure(
        self, part: ScorePart, plan: ScorePlan, readers: ThreadPoolExecutor, progress: Progress
    ) -> Measurements | None:
        """None if it was asked to stop."""
        agreement = self.evaluator.no_agreement()
        rows: list[dict[str, Any]] = []
        failures: list[list[str]] = []
        features: list[np.ndarray] = []
        for subject, future in _reading(part, plan, readers):
            if stop.requested():
                return None
            try:
                row, vector, agreeing = self._measure(subject, future.result())
            except (BadImage, ValueError, RuntimeError) as error:
                print(f"{subject.name} failed: {error}", flush=True)
                failures.append([subject.name, str(error)])
                progress.count(failed=1)
                continue
            rows.append(row)
            features += [] if vector is None else [vector]
            if agreement is not None and agreeing is not None:
                agreement.merge(agreeing)
            progress.count(done=1)
        counts = agreement.counts if agreement is not None else np.zeros((0, 0))
        shape = (len(features), self.evaluator.dimension)
        return Measurements(rows, failures, np.array(features, np.float32).reshape(shape), counts)

    def _measure(self, subject: Subject, files: _Files) -> tuple[dict[str, Any], np.ndarray | None, Agreement | None]:
        if files.labels is None or files.reference is None:
            return {"name": subject.name}, _finite(self.evaluator.features(files.picture)), None
        measured = self.evaluator.measure(files.picture, files.labels)
        seen = Seen(files.picture, files.labels, files.reference, measured.agreement, self.aesthetic)
        row = {"name": subject.name} | self.numbers(seen)
        return row, None if measured.features is None else _finite(measured.features), measured.agreement

    def numbers(self, seen: Seen) -> dict[str, Any]:
        """By column, and a note with the reasons of those that are undefined."""
        numbers: dict[str, Any] = {}
        reasons: dict[str, None] = {}
        for term in terms.TERMS:
            if term.read is None or not self.judges.allow(term):
                continue
            for number, reading in zip(term.numbers, term.read(seen), strict=True):
                numbers[number.column] = reading.value
                reasons |= {reading.reason: None} if reading.reason else {}
        return numbers | {"note": "; ".join(reasons)}


def _finite(features: np.ndarray) -> np.ndarray:
    if not np.isfinite(features).all():
        raise ValueError("the network's features are not finite: its weights may be broken")
    return features


def _reading(part: ScorePart, plan: ScorePlan, readers: ThreadPoolExecutor) -> Iterator[tuple[Subject, Future[_Files]]]:
    futures = [readers.submit(_read, subject, plan) for subject in part.subjects]
    try:
        yield from zip(part.subjects, futures, strict=True)
    finally:
        for future in futures:
            future.cancel()


def _read(subject: Subject, plan: ScorePlan) -> _Files:
    """Raises BadImage."""
    path = Path(subject.path)
    picture = read_photo(path)
    if subject.mask is None or subject.reference is None:
        return _Files(picture, None, None)
    check_picture(path, plan.size)
    judges = plan.judges
    model = ModelConfig(label_nc=judges.label_nc, contain_dontcare_label=judges.contain_dontcare_label)
    return _Files(
        picture, resize_mask(read_mask(Path(subject.mask), model), plan.size), read_photo(Path(subject.reference))
    )


@lru_cache(maxsize=1)
def _load_measurer(judges: Judges) -> _Measurer:
    """The networks, once for all shards that this process runs. Starts Jittor. Raises UserError if one of them is no
    longer what was planned with."""
    _insist_on_planned(judges)
    segmenter = open_segmenter(Path(judges.segmenter)) if judges.segmenter else None
    inception = Path(judges.inception) if judges.inception else None
    starting.start(judges.device)
    if judges.of_features:
        warm_scoring(judges.inception, judges.segmenter, judges.segmenter_size, judges.device)
    from ecgan.scoring.evaluator import Evaluator

    aesthetic = load_scorer(Path(judges.aesthetic), judges.aesthetic_weights) if judges.aesthetic else None
    measurer = _Measurer(judges, Evaluator.load(inception, segmenter, judges.segmenter_size), aesthetic)
    _insist_on_planned(judges)  # again: what is read now may have been exchanged while that compiled
    return measurer


def _insist_on_planned(judges: Judges) -> None:
    """What they measure is kept under the hashes of the plan. Raises UserError naming a file that is another now."""
    for name, planned in judges.hashes:
        path = Path(getattr(judges, name))
        if not path.is_file() or sha256_of(path) != planned:
            raise UserError(f"{path} is gone or has changed since this was planned; start it again")
