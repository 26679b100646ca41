"""From a request to a plan: what is measured already is kept, the rest is split into shards and laid out in the run."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from ecgan.files import write_atomically
from ecgan.memory import SCORING_MEMORY
from ecgan.runtime.compiling import compile_core
from ecgan.runtime.warming import warm_scoring
from jobs.run.kind import Kind
from jobs.score import measurements, statistics
from jobs.score.finish import FEW, ScoreFinish
from jobs.score.plan import ScorePlan
from jobs.score.request import ScoreRequest
from jobs.score.shard import ScoreShare
from jobs.sharded.work import Remark, Work
from jobs.yaml_files import to_yaml


@dataclass(frozen=True)
class Scoring(Work):
    """`plan` has its shards."""

    request: ScoreRequest
    plan: ScorePlan

    kind, share, column = Kind.SCORING, ScoreShare, 14

    def describe(self, where: Sequence[Remark]) -> list[Remark]:
        plan, judges = self.plan, self.plan.judges
        no_inception = "no: --inception_weights names no weights, and none were found"
        rows = [
            ("pictures", f"{self._subjects('pictures')} of {plan.results}, {plan.size[0]}x{plan.size[1]}"),
            *(("skipped", f"{name or 'input'}: {reason}") for name, reason in plan.missing),
        ]
        if judges.of_features:
            known = "" if self._subjects("photos") else ", whose statistics are known already"
            rows.append(("photos", f"{plan.photos} of {self.request.settings.img_path}{known}"))
        return [
            *rows,
            ("FID", judges.inception or no_inception),
            ("segmenter", judges.segmenter or "none: no mask accuracy (see docs/scoring.md)"),
            ("aesthetic", judges.aesthetic or "none"),
            ("to measure", f"{self.total - self.done} of {self.total}, in {self.shards} shard(s)"),
            *where,
        ]

    def warnings(self) -> list[str]:
        pictures = self._subjects("pictures")
        if self.plan.judges.inception and pictures < FEW:
            return [f"FID of {pictures} pictures says little; it is meant for {FEW} and more"]
        return []

    def compile(self) -> None:
        judges = self.plan.judges
        compile_core(judges.device)
        if judges.of_features:
            warm_scoring(judges.inception, judges.segmenter, judges.segmenter_size, judges.device)

    def lay_out(self) -> None:
        """The last score is cleared away, too: it is not that of these pictures until they are measured."""
        run, plan, request = self.run, self.plan, self.request
        for outcome in (run.score, run.numbers):
            outcome.unlink(missing_ok=True)
        measurements.clear_others(run, plan.parts)
        for path in run.shards.glob("*.json"):
            path.unlink()
        if request.photo_statistics is not None:  # the job that ends the scoring may see another cache
            statistics.save(run.statistics, request.photo_statistics)
        plan.save(run.plan)  # before what others have under that name, too: it tells that the folder is ours
        write_atomically(run.config, to_yaml(dataclasses.asdict(request.settings)))

    def finish(self) -> ScoreFinish:
        return ScoreFinish(self.run.path)

    def _subjects(self, kind: str) -> int:
        return sum(len(part.subjects) for part in self.plan.of_kind(kind))


def examine(request: ScoreRequest) -> Scoring:
    """Sees what is measured already and splits the rest into shards. Writes nothing; it stays true while the lock is
    held."""
    run, settings = request.run, request.settings
    todo = {part.key for part in request.plan.parts if not measurements.is_whole(run, part, request.plan.judges)}
    plan = request.plan.in_shards(todo, settings.shards)
    done = sum(len(part.subjects) for part in plan.parts if part.shard is None)
    return Scoring(run, plan.total, done, plan.shards, plan.judges.device, SCORING_MEMORY, request, plan)
