"""One shard of a scoring: part by part, read ahead, measured, written."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ecgan import runtime
from ecgan.checkpoint.segmenter import open_segmenter
from ecgan.config import ModelConfig
from ecgan.data.images import BadImage, check_picture, read_mask, read_photo, resize_mask
from ecgan.errors import UserError
from ecgan.scoring.aesthetic import Scorer, load_scorer
from ecgan.scoring.agreement import Agreement
from ecgan.warm import warm_scoring
from jobs import stop
from jobs.run import attempts
from jobs.run.folder import RunDir
from jobs.run.progress import Progress
from jobs.run.state import State
from jobs.score import parts
from jobs.score.parts import Measurements
from jobs.score.plan import Judges, Part, ScorePlan, Subject

_READERS = 2


@dataclass(frozen=True)
class ScoreShard:
    """Measures the parts of shard number `shard` of the plan in `run_dir`; picklable, called where it shall run."""

    run_dir: Path
    shard: int

    def __call__(self) -> int:
        """Returns how many pictures could not be measured. Called again, it goes on where it ended.

        Raises stop.Stopped if it was asked to stop, and UserError if nothing can be measured or written.
        """
        run = RunDir(self.run_dir)
        plan = ScorePlan.load(run.plan)
        mine = plan.of_shard(self.shard)
        try:
            progress = Progress(run.shards, self.shard, sum(len(part.subjects) for part in mine))
            try:
                finished = self._measure(run, plan, mine, progress)
            except attempts.Superseded:
                raise
            except Exception as error:
                progress.enter(State.FAILED, str(error))
                raise
            progress.enter(State.DONE if finished else State.STOPPED)
        except OSError as error:
            where = error.filename or run.path
            raise UserError(f"{where}: {error.strerror}; what is measured is kept, run again") from error
        if not finished:
            raise stop.Stopped(progressed=progress.has_moved)
        return progress.failed

    def _measure(self, run: RunDir, plan: ScorePlan, mine: list[Part], progress: Progress) -> bool:
        """Whether all is measured; False if it was asked to stop before that."""
        todo = [part for part in mine if not parts.is_whole(run, part)]
        progress.start_from(sum(len(part.subjects) for part in mine if part not in todo))
        measurer = _load_measurer(plan.judges)
        progress.enter(State.RUNNING)
        with ThreadPoolExecutor(_READERS) as readers:
            for part in todo:
                measured = measurer.measure(part, plan, readers, progress)
                if measured is None:
                    return False
                attempts.insist_on_newest()
                measured.save(run, part)
        return True


class _Files(NamedTuple):
    """What is read of a subject; of a photo the picture alone."""

    picture: np.ndarray
    labels: np.ndarray | None
    reference: np.ndarray | None


@dataclass(frozen=True)
class _Measurer:
    evaluator: Any
    aesthetic: Scorer | None

    def measure(
        self, part: Part, plan: ScorePlan, readers: ThreadPoolExecutor, progress: Progress
    ) -> Measurements | None:
        """None if it was asked to stop."""
        agreement = self.evaluator.no_agreement()
        records: list[dict[str, Any]] = []
        failures: list[list[str]] = []
        features: list[np.ndarray] = []
        for subject, future in _reading(part, plan, readers):
            if stop.requested():
                return None
            try:
                record, vector, agreeing = self._measure(subject, future.result())
            except (BadImage, ValueError, RuntimeError) as error:
                print(f"{subject.name} failed: {error}", flush=True)
                failures.append([subject.name, str(error)])
                progress.count(failed=1)
                continue
            records.append(record)
            features += [] if vector is None else [vector]
            if agreement is not None and agreeing is not None:
                agreement.merge(agreeing)
            progress.count(done=1)
        counts = agreement.counts if agreement is not None else np.zeros((0, 0))
        shape = (len(features), self.evaluator.dimension)
        return Measurements(records, failures, np.array(features, np.float32).reshape(shape), counts)

    def _measure(self, subject: Subject, files: _Files) -> tuple[dict[str, Any], np.ndarray | None, Agreement | None]:
        if files.labels is None or files.reference is None:
            return {"name": subject.name}, _finite(self.evaluator.features(files.picture)), None
        measured = self.evaluator.measure(files.picture, files.labels, files.reference)
        record: dict[str, Any] = {"name": subject.name}
        for variant, found in measured.style.items():
            record[f"style_{variant}"] = found.correlation
        record["note"] = "; ".join(dict.fromkeys(found.reason for found in measured.style.values() if found.reason))
        if measured.agreement is not None:
            record["mask_accuracy"] = measured.agreement.accuracy
        if self.aesthetic is not None:
            record["aesthetic"] = self.aesthetic(files.picture)
        return record, None if measured.features is None else _finite(measured.features), measured.agreement


def _finite(features: np.ndarray) -> np.ndarray:
    if not np.isfinite(features).all():
        raise ValueError("the network's features are not finite: its weights may be broken")
    return features


def _reading(part: Part, plan: ScorePlan, readers: ThreadPoolExecutor) -> Iterator[tuple[Subject, Future[_Files]]]:
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
    """The networks, once for all shards that this process runs. Starts Jittor."""
    segmenter = open_segmenter(Path(judges.segmenter)) if judges.segmenter else None
    if segmenter is not None and segmenter.sha256 != judges.of("segmenter"):
        raise UserError(f"segmentation network {segmenter.path} has changed since this was planned; start it again")
    inception = Path(judges.inception) if judges.inception else None
    runtime.start(judges.device)  # type: ignore[arg-type]
    if judges.has_features:
        warm_scoring(judges.inception, judges.segmenter, judges.segmenter_size, judges.device)
    from ecgan.scoring.evaluator import Evaluator  # needs Jittor, so not before it is started on the right device

    aesthetic = load_scorer(Path(judges.aesthetic), judges.aesthetic_weights) if judges.aesthetic else None
    return _Measurer(Evaluator.load(inception, segmenter, judges.segmenter_size), aesthetic)
