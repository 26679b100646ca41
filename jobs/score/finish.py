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
from ecgan.scoring import frechet, total
from ecgan.scoring.agreement import Agreement
from ecgan.scoring.frechet import Gaussian, Moments
from ecgan.scoring.style import DEFAULT, VARIANTS
from jobs.run import attempts, record
from jobs.run.clock import now
from jobs.run.folder import RunDir
from jobs.run.state import State
from jobs.score import measurements, statistics
from jobs.score.measurements import Measurements
from jobs.score.plan import ScorePlan
from jobs.score.table import table
from jobs.sharded.finish import Finish

SCORE, IMAGES = "score.json", "images.csv"
#: Of the training photos' features, where they were known before.
STATISTICS = "statistics.npz"
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
        records = [each for measured in pictures for each in measured.records]
        if not records:
            raise UserError(f"no picture could be measured: {failures[0][1] if failures else 'there are none'}")
        score = _score(plan, records, pictures, _statistics(run, plan, photos))
        if left_out := len(failures) + len(plan.missing):
            score["notes"].append(f"{left_out} picture(s) or photo(s) could not be measured and are left out")
        score["not_scored"] = [{"name": name, "reason": reason} for name, reason in (*plan.missing, *failures)]
        attempts.insist_on_newest()
        write_atomically(run.path / IMAGES, _csv(records))
        write_json(run.path / SCORE, score)
        record.update(run, State.DONE, done=plan.total - len(failures), failed=len(failures))
        print("\n".join(table(score)), flush=True)
        print(f"\n{run.path / SCORE}, picture by picture in {run.path / IMAGES}", flush=True)
        for name, reason in failures[:20]:
            print(f"not scored: {name}: {reason}", file=sys.stderr)
        return len(failures) + len(plan.missing)

    def lack(self, count: int) -> str:
        return f"{count} picture(s) could not be scored: see {self.run_dir / SCORE}"

    def outcome(self) -> tuple[list[str], int]:
        score = json.loads((self.run_dir / SCORE).read_text())
        return table(score), len(score["not_scored"])


def _statistics(run: RunDir, plan: ScorePlan, photos: list[Measurements]) -> Gaussian | None:
    """Of the photos' features, known before or from what was measured now, which is then kept in the cache folder."""
    if plan.statistics is None:
        return None
    if not photos:
        known = statistics.load(run.path / STATISTICS)
        if known is None:
            raise UserError(f"{run.path / STATISTICS} is gone or damaged: run the same command again")
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


def _score(
    plan: ScorePlan, records: list[dict[str, Any]], pictures: list[Measurements], of_photos: Gaussian | None
) -> dict[str, Any]:
    notes: list[str] = []
    terms: dict[str, float] = {}
    style = {name: float(np.mean([each[f"style_{name}"] or 0.0 for each in records])) for name in VARIANTS}
    terms["style"] = style[DEFAULT]
    undefined = {name: sum(each[f"style_{name}"] is None for each in records) for name in VARIANTS}
    for name, count in undefined.items():
        if count:
            notes.append(f"style ({name}) is undefined for {count} picture(s), which count as 0: see {IMAGES}")
    score: dict[str, Any] = {
        "created": now(),
        "version": ecgan.__version__,
        "results": plan.results,
        "pictures": len(records),
        "style": style | {"in_the_total": DEFAULT, "undefined": undefined},
    }
    if plan.judges.segmenter:
        accuracy = _accuracy(plan, pictures)
        if accuracy is None:
            notes.append("mask accuracy: no pixel of any mask has a class")
        else:
            score["mask_accuracy"] = accuracy
            terms["mask_accuracy"] = accuracy["value"]
    if of_photos is not None:
        distance = _distance(plan, pictures, of_photos, notes)
        if distance is not None:
            score["fid" if plan.judges.inception else "fsd"] = distance
            if plan.judges.inception:
                terms["fid"] = distance["value"]
    if plan.judges.aesthetic:
        values = [each["aesthetic"] for each in records]
        terms["aesthetic"] = float(np.mean(values))
        score["aesthetic"] = {"value": terms["aesthetic"], "by": plan.judges.aesthetic}
    known = {name: terms[name] for name in total.TERMS if name in terms}
    score["total"] = total.total(**known) if len(known) == len(total.TERMS) else None
    if line := total.without(known):
        score["total_without"] = line._asdict()
    score["unknown"] = [name for name in total.TERMS if name not in known]
    return score | {"notes": notes}


def _accuracy(plan: ScorePlan, pictures: list[Measurements]) -> dict[str, Any] | None:
    """None if no pixel counts."""
    agreement = Agreement(plan.judges.label_nc)
    for each in pictures:
        agreement.counts += each.agreement.astype(np.int64)
    if agreement.accuracy is None:
        return None
    classes = [class_name(label) for label in range(plan.judges.label_nc)]
    return {
        "value": agreement.accuracy,
        "mean_iou": agreement.mean_iou,
        "by_class": dict(zip(classes, agreement.by_class(), strict=True)),
        "iou_by_class": dict(zip(classes, agreement.iou_by_class(), strict=True)),
        "segmenter": {
            "path": plan.judges.segmenter,
            "sha256": plan.judges.of("segmenter"),
            "on_held_out_pairs": plan.segmenter_measured or None,
        },
    }


def _distance(
    plan: ScorePlan, pictures: list[Measurements], of_photos: Gaussian, notes: list[str]
) -> dict[str, Any] | None:
    found = _gaussian(pictures)
    name = "FID" if plan.judges.inception else "FSD"
    if found is None:
        notes.append(f"{name} needs two pictures at least")
        return None
    rank = len(of_photos.mean)
    for what, count in (("pictures", found.count), ("training photos", of_photos.count)):
        if count <= rank:
            notes.append(f"{name}: the covariance of {count} {what} is rank-deficient (more than {rank} would do)")
        if count < FEW:
            notes.append(f"warning: {name} of fewer than {FEW} {what} ({count}) says little")
    network = "inception" if plan.judges.inception else "segmenter"
    return {
        "value": frechet.distance(found, of_photos),
        "pictures": found.count,
        "training_photos": of_photos.count,
        "weights": getattr(plan.judges, network),
        "sha256": plan.judges.of(network),
    }


def _csv(records: list[dict[str, Any]]) -> str:
    columns = [name for name in ("mask_accuracy", "aesthetic") if name in records[0]]
    header = ["name", *(f"style_{name}" for name in VARIANTS), *columns, "note"]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    for each in records:
        writer.writerow([_cell(each[name]) for name in header])
    return buffer.getvalue()


def _cell(value: Any) -> Any:
    return "" if value is None else f"{value:.6f}" if isinstance(value, float) else value
