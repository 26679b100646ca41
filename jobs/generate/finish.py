"""The end of a generation: what is missing is named, or all of it becomes the results folder."""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass
from pathlib import Path

from ecgan.data.testset import Fault
from jobs.generate import merge, outcomes
from jobs.generate.plan import GeneratePlan
from jobs.generate.settings import GenerateSettings
from jobs.run import attempts, record
from jobs.run.folder import RunDir
from jobs.run.state import State
from jobs.sharded.finish import Finish

_NAMES_SHOWN = 20


@dataclass(frozen=True)
class GenerateFinish(Finish):
    """Verifies all pictures and swaps them in as `results`.

    `skipped`: faults of the input that were left out from the start, and count as missing, too.
    """

    results: Path
    settings: GenerateSettings
    skipped: tuple[Fault, ...]

    def __call__(self) -> int:
        run, plan = self._opened()
        attempts.insist_on_newest()
        merge.restore(run, self.results)
        if merge.is_complete(self.results, plan):  # started again after it had done its work
            record.update(run, State.DONE, done=len(plan.tasks), failed=0)
            return len(self.skipped)
        run.clear_temporaries()  # a worker that was killed may have left one
        gathered = outcomes.gather(run)
        failures = self.note_failures()
        gaps = merge.verify(run, plan, gathered)
        attempts.insist_on_newest()  # verifying takes its time
        if gaps:
            self._report(run, plan, gaps)
            made = len(plan.tasks) - len(gaps)
            record.update(run, State.INCOMPLETE, done=made, missing=len(gaps), failed=failures)
            return len(gaps)
        merge.insist_on_replaceable(self.results, plan, self.settings.overwrite)
        merge.write_manifest(run, plan, gathered, dataclasses.asdict(self.settings))
        merge.swap_in(run, self.results)
        record.update(run, State.DONE, done=len(plan.tasks), failed=0)
        print(f"done: {len(plan.tasks)} pictures, verified, in {self.results}", flush=True)
        return len(self.skipped)

    def lack(self, count: int) -> str:
        return f"{count} picture(s) are missing: see {RunDir(self.run_dir).missing}"

    def note_failures(self) -> int:
        run, plan = self._opened()
        names = {task.name for task in plan.tasks}
        others = [{"name": fault.name, "reason": fault.reason} for fault in self.skipped if fault.name not in names]
        return outcomes.write_failures(run, plan, outcomes.gather(run), others)

    def _opened(self) -> tuple[RunDir, GeneratePlan]:
        run = RunDir(self.run_dir)
        return run, GeneratePlan.load(run.plan)

    def _report(self, run: RunDir, plan: GeneratePlan, gaps: list[merge.Gap]) -> None:
        """Names every missing picture: on the screen the first, in missing.txt all."""
        lines = [f"{gap.name}: {gap.reason}" for gap in gaps]
        run.missing.write_text("\n".join(lines) + "\n", encoding="utf-8")
        print(f"incomplete: {len(gaps)} of {len(plan.tasks)} pictures are missing:", file=sys.stderr)
        for line in lines[:_NAMES_SHOWN]:
            print(f"  {line}", file=sys.stderr)
        if len(lines) > _NAMES_SHOWN:
            print(f"  … all of them in {run.missing}", file=sys.stderr)
        print(
            f"{self.results} is as it was; the same command makes what is missing, --retry_failed only what failed",
            file=sys.stderr,
            flush=True,
        )
