"""The end of a generation: what is missing is named, or what was made becomes the results folder."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ecgan.data.faults import Fault
from ecgan.file_notes import FileNotes
from jobs.generate import manifest, merge, outcomes, replacing, strays
from jobs.generate.manifest import Gap
from jobs.generate.outcomes import TaskOutcome
from jobs.generate.plan import GeneratePlan
from jobs.generate.settings import GenerateSettings
from jobs.run import attempts, record
from jobs.run.failures import Failure
from jobs.run.folder import RunDir
from jobs.run.state import State
from jobs.sharded.finish import Finish

_NAMES_SHOWN = 20


@dataclass(frozen=True)
class GenerateFinish(Finish):
    """Verifies all pictures and swaps them in as `results`; with --on_bad_input skip also those without the ones whose
    input is bad.

    `skipped`: faults of the input that were left out from the start, and count as missing, too.
    """

    results: Path
    settings: GenerateSettings
    skipped: tuple[Fault, ...]

    def __call__(self) -> int:
        run, plan = self._opened()
        attempts.insist_on_newest()
        replacing.restore(run, self.results)
        gathered = outcomes.gather(run)
        left_out = self.left_out(plan, gathered)
        hashes = FileNotes.load(run.hashed)
        if merge.is_complete(self.results, plan.without({gap.name for gap in left_out}), hashes.sha256_of):
            return self._done(run, plan, left_out)  # started again after it had done its work
        run.clear_temporaries(run.images)  # a worker that was killed may have left one
        strays.set_aside(run, {*plan.files, manifest.MANIFEST})
        failures = self.note_failures()
        gaps = merge.verify(run, plan, gathered, hashes)
        attempts.insist_on_newest()  # verifying takes its time
        with contextlib.suppress(OSError):  # it only saves time
            hashes.save(run.hashed)
        missing = [*gaps, *self._of_no_picture(plan)]
        if missing:
            run.missing.write_text("".join(f"{gap}\n" for gap in missing), encoding="utf-8")
        if gaps and not (self._may_leave_out(gaps) and len(gaps) < len(plan.tasks)):
            self._report(run, plan, gaps)
            made = len(plan.tasks) - len(gaps)
            record.update(run, State.INCOMPLETE, done=made, missing=len(gaps), failed=failures)
            return len(gaps)
        self._publish(run, plan, gathered, missing, hashes)
        return self._done(run, plan, missing)

    def lack(self, count: int) -> str:
        return f"{count} picture(s) are missing: see {RunDir(self.run_dir).missing}"

    def outcome(self) -> tuple[list[str], int]:
        left_out = manifest.left_out(manifest.read_manifest(self.results))
        return [f"left out: {gap}" for gap in left_out], len(left_out)

    def note_failures(self) -> int:
        run, plan = self._opened()
        others = [Failure(name=gap.name, reason=gap.reason) for gap in self._of_no_picture(plan)]
        return outcomes.write_failures(run, plan, outcomes.gather(run), others)

    def left_out(self, plan: GeneratePlan, known: Mapping[str, TaskOutcome]) -> list[Gap]:
        """What the results lack if all else is made, as far as the outcomes in `known` tell; and what the input lacks
        that is not about one of `plan`'s pictures."""
        errors = ((task.name, known[task.name]) for task in plan.tasks if task.name in known)
        gaps = [Gap(name, found.error, found.bad_input) for name, found in errors if found.error is not None]
        return [*(gap for gap in gaps if self._may_leave_out([gap])), *self._of_no_picture(plan)]

    def _opened(self) -> tuple[RunDir, GeneratePlan]:
        run = RunDir(self.run_dir)
        return run, GeneratePlan.load(run.plan)

    def _may_leave_out(self, gaps: Sequence[Gap]) -> bool:
        return self.settings.on_bad_input == "skip" and all(gap.bad_input for gap in gaps)

    def _of_no_picture(self, plan: GeneratePlan) -> list[Gap]:
        names = {task.name for task in plan.tasks}
        return [Gap(fault.name, fault.reason, bad_input=True) for fault in self.skipped if fault.name not in names]

    def _publish(
        self,
        run: RunDir,
        plan: GeneratePlan,
        gathered: dict[str, TaskOutcome],
        missing: Sequence[Gap],
        hashes: FileNotes,
    ) -> None:
        published = plan.without({gap.name for gap in missing})
        replacing.insist_on_replaceable(self.results, published, self.settings.overwrite, hashes.sha256_of)
        for file in set(plan.files) - set(published.files):  # written, but a kill kept it from being recorded
            (run.images / file).unlink(missing_ok=True)
        manifest.write_manifest(run, published, gathered, dataclasses.asdict(self.settings), missing)
        replacing.swap_in(run, self.results, hashes.sha256_of)

    def _done(self, run: RunDir, plan: GeneratePlan, missing: Sequence[Gap]) -> int:
        """Says that the results are in place."""
        without = len({task.name for task in plan.tasks} & {gap.name for gap in missing})
        made = len(plan.tasks) - without
        record.update(run, State.DONE, done=made, failed=without)
        print(f"done: {made} pictures, verified, in {self.results}", flush=True)
        if missing:
            _name(missing, f"{len(missing)} left out, since the input is bad:", run.missing)
            print("the same command makes them once that is mended", file=sys.stderr, flush=True)
        return len(missing)

    def _report(self, run: RunDir, plan: GeneratePlan, gaps: Sequence[Gap]) -> None:
        """Names what is missing, and how it can be had."""
        _name(gaps, f"incomplete: {len(gaps)} of {len(plan.tasks)} pictures are missing:", run.missing)
        bad = sum(gap.bad_input for gap in gaps)
        hints = []
        if bad < len(gaps):
            hints.append("the same command makes what is missing, --retry_failed only what failed")
        if bad and self.settings.on_bad_input == "stop":
            hints.append(f"mend the input of {bad}, or finish without with --on_bad_input skip")
        elif bad:
            hints.append(f"the {bad} whose input is bad can be left out once the others are made")
        print("; ".join([f"{self.results} is as it was", *hints]), file=sys.stderr, flush=True)


def _name(gaps: Sequence[Gap], title: str, file: Path) -> None:
    """The first of them on the screen; all are in `file`."""
    print(title, file=sys.stderr)
    for gap in gaps[:_NAMES_SHOWN]:
        print(f"  {gap}", file=sys.stderr)
    if len(gaps) > _NAMES_SHOWN:
        print(f"  … all of them in {file}", file=sys.stderr)
