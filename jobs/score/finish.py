"""The end of a scoring: all measurements together become score.json and images.csv."""

from __future__ import annotations

import csv
import io
import json
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np

import ecgan
from ecgan.errors import UserError
from ecgan.files import write_atomically, write_json
from ecgan.palette import class_name
from ecgan.scoring import frechet, reading, terms, total
from ecgan.scoring.agreement import Agreement
from ecgan.scoring.frechet import Gaussian, Moments
from ecgan.scoring.terms import Term
from jobs.run import attempts, record
from jobs.run.clock import now
from jobs.run.folder import RunDir
from jobs.run.state import State
from jobs.score import measurements, statistics
from jobs.score.measurements import Measurements
from jobs.score.plan import ScorePlan
from jobs.score.table import table
from jobs.sharded.finish import Finish

#: Below so many pictures a Fréchet distance says little, and a warning is due.
FEW = 1000


@dataclass(frozen=True)
class ScoreFinish(Finish):
    """Adds up what all parts have measured."""

    def __call__(self) -> int:
        """Raises UserError if parts were not measured at all."""
        run = RunDir(self.run_dir)
        plan = ScorePlan.load(run.plan)
        found = {part.key: measurements.load(run, part) for part in plan.parts}
        gone = [part for part in plan.parts if found[part.key] is None]
        if gone:
            lacking = sum(len(part.subjects) for part in gone)
            record.update(run, State.INCOMPLETE, done=plan.total - lacking, missing=lacking)
            raise UserError(f"{lacking} of {plan.total} pictures are not measured yet: the same command goes on")
        pictures = [measured for part in plan.of_kind("pictures") if (measured := found[part.key])]
        photos = [measured for part in plan.of_kind("photos") if (measured := found[part.key])]
        failures = [tuple(failure) for measured in (*pictures, *photos) for failure in measured.failures]
        rows = [row for measured in pictures for row in measured.rows]
        if not rows:
            raise UserError(f"no picture could be measured: {failures[0][1] if failures else 'there are none'}")
        score = _score(_Whole(run, plan, rows, pictures, _statistics(run, plan, photos), notes=[]))
        if left_out := len(failures) + len(plan.missing):
            score["notes"].append(f"{left_out} picture(s) or photo(s) could not be measured and are left out")
        score["not_scored"] = [{"name": name, "reason": reason} for name, reason in (*plan.missing, *failures)]
        attempts.insist_on_newest()
        write_atomically(run.numbers, _csv(rows, plan.judges.columns))
        write_json(run.score, score)
        record.update(run, State.DONE, done=plan.total - len(failures), failed=len(failures))
        print("\n".join(table(score)), flush=True)
        print(f"\n{run.score}, picture by picture in {run.numbers}", flush=True)
        for name, reason in failures[:20]:
            print(f"not scored: {name}: {reason}", file=sys.stderr)
        return len(failures) + len(plan.missing)

    def lack(self, count: int) -> str:
        return f"{count} picture(s) could not be scored: see {RunDir(self.run_dir).score}"

    def outcome(self) -> tuple[list[str], int]:
        score = json.loads(RunDir(self.run_dir).score.read_text())
        return table(score), len(score["not_scored"])


def _statistics(run: RunDir, plan: ScorePlan, photos: list[Measurements]) -> Gaussian | None:
    """Of the photos' features, known before or from what was measured now, which is then kept in the cache folder."""
    if plan.statistics is None:
        return None
    if not photos:
        known = statistics.load(run.statistics)
        if known is None:
            raise UserError(f"{run.statistics} is gone or damaged: run the same command again")
        return known
    gaussian = _gaussian(photos)
    if gaussian is not None and not any(measured.failures for measured in photos):
        file = statistics.in_cache(plan.statistics)
        try:
            statistics.save(file, gaussian)
        except OSError as error:
            print(f"note: the photos' statistics can't be kept in {file.parent}: {error.strerror}", file=sys.stderr)
    return gaussian


def _gaussian(measured: list[Measurements]) -> Gaussian | None:
    """None of fewer than two pictures."""
    moments = Moments(measured[0].features.shape[1])
    for each in measured:
        moments.add(each.features)
    return moments.gaussian() if moments.count > 1 else None


@dataclass(frozen=True)
class _Whole:
    """All that was measured. `rows`: of the pictures; `photos`: statistics of the training photos' features, None
    without any; `notes`: what the user should know of it, added to on the way."""

    run: RunDir
    plan: ScorePlan
    rows: list[dict[str, Any]]
    pictures: list[Measurements]
    photos: Gaussian | None
    notes: list[str]

    def entry(self, term: Term) -> dict[str, Any] | None:
        """What score.json says of the term; None if it is not known."""
        if not self.plan.judges.allow(term):
            return None
        over = {"pictures": self._mean, "pixels": self._agreement, "features": self._distance}
        return over[term.over](term)

    def _mean(self, term: Term) -> dict[str, Any]:
        readings = {number: [row[number.column] for row in self.rows] for number in term.numbers}
        entry: dict[str, Any] = {number.key: reading.mean(values) for number, values in readings.items()}
        undefined = {number: values.count(None) for number, values in readings.items()}
        for number, count in undefined.items():
            if count:
                what = f"{number.title} is undefined for {count} picture(s), which count as 0"
                self.notes.append(f"{what}: see {self.run.numbers.name}")
        if term.judge:
            entry["by"] = getattr(self.plan.judges, term.judge)
        if term.variants:
            entry["in_the_total"] = term.first.key
            entry["undefined"] = {number.key: count for number, count in undefined.items()}
        return entry

    def _agreement(self, term: Term) -> dict[str, Any] | None:
        judges = self.plan.judges
        agreement = Agreement(judges.label_nc)
        for each in self.pictures:
            agreement.counts += each.agreement.astype(np.int64)
        if agreement.accuracy is None:
            self.notes.append(f"{term.title}: no pixel of any mask has a class")
            return None
        classes = [class_name(label) for label in range(judges.label_nc)]
        return {
            "value": agreement.accuracy,
            "mean_iou": agreement.mean_iou,
            "by_class": dict(zip(classes, agreement.by_class(), strict=True)),
            "iou_by_class": dict(zip(classes, agreement.iou_by_class(), strict=True)),
            "segmenter": {
                "path": judges.segmenter,
                "sha256": judges.of("segmenter"),
                "on_held_out_pairs": self.plan.segmenter_measured or None,
            },
        }

    def _distance(self, term: Term) -> dict[str, Any] | None:
        judges, photos = self.plan.judges, self.photos
        if photos is None or term.judge is None or term.judge != judges.of_features:
            return None
        found = _gaussian(self.pictures)
        if found is None:
            self.notes.append(f"{term.title} needs two pictures at least")
            return None
        rank = len(photos.mean)
        for what, count in (("pictures", found.count), ("training photos", photos.count)):
            if count <= rank:
                self.notes.append(
                    f"{term.title}: the covariance of {count} {what} is rank-deficient (more than {rank} would do)"
                )
            if count < FEW:
                self.notes.append(f"warning: {term.title} of fewer than {FEW} {what} ({count}) says little")
        return {
            "value": frechet.distance(found, photos),
            "pictures": found.count,
            "training_photos": photos.count,
            "weights": getattr(judges, term.judge),
            "sha256": judges.of(term.judge),
        }


def _score(whole: _Whole) -> dict[str, Any]:
    entries = {term.name: entry for term in terms.TERMS if (entry := whole.entry(term))}
    known = {
        term.name: entries[term.name][term.first.key] for term in terms.TERMS if term.counts and term.name in entries
    }
    score: dict[str, Any] = {
        "created": now(),
        "version": ecgan.__version__,
        "results": whole.plan.results,
        "pictures": len(whole.rows),
        **entries,
        "total": total.total(**known) if len(known) == len(total.TERMS) else None,
    }
    if line := total.without(known):
        score["total_without"] = line._asdict()
    score["unknown"] = [name for name in total.TERMS if name not in known]
    return score | {"notes": whole.notes}


def _csv(rows: list[dict[str, Any]], columns: list[str]) -> str:
    header = ["name", *columns, "note"]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    for row in rows:
        writer.writerow([_cell(row[name]) for name in header])
    return buffer.getvalue()


def _cell(value: Any) -> Any:
    return "" if value is None else f"{value:.6f}" if isinstance(value, float) else value
