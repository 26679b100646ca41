"""From a request to a plan: what is made already is kept, the rest is split into shards and laid out in the run."""

from __future__ import annotations

import dataclasses
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ecgan.data.images import ENCODINGS
from ecgan.errors import UserError
from ecgan.files import sha256_of, write_atomically
from ecgan.memory import painting_memory, pictures_together
from ecgan.runtime.compiling import compile_core
from ecgan.runtime.warming import warm_painting
from jobs.generate import manifest, merge, outcomes, replacing, strays
from jobs.generate.finish import GenerateFinish
from jobs.generate.outcomes import TaskOutcome
from jobs.generate.plan import GeneratePlan, Painting, Task, differences, saved_fingerprint
from jobs.generate.request import GenerateRequest
from jobs.generate.shard import GenerateShare
from jobs.run import failures
from jobs.run.folder import RunDir
from jobs.run.kind import Kind
from jobs.sharded.work import Remark, Work
from jobs.space import insist_on_space
from jobs.yaml_files import to_yaml

#: The fingerprint of a plan that can't be read, which is no other's.
_UNKNOWN: dict[str, Any] = {}


@dataclass(frozen=True)
class Generation(Work):
    """`plan` has its shards. `already`: outcomes of the pictures that exist; `is_complete`: all lie in the results;
    `remarks`: what of an earlier run can't be used."""

    request: GenerateRequest
    plan: GeneratePlan
    already: dict[str, TaskOutcome]
    is_complete: bool
    remarks: tuple[str, ...]

    kind, share = Kind.GENERATION, GenerateShare

    def describe(self, where: Sequence[Remark]) -> list[Remark]:
        checkpoint, painting = self.request.checkpoint, self.plan.painting
        settings = self.request.settings
        todo, wanted = len(self._todo), settings.shards
        epoch = f", epoch {checkpoint.epoch}" if checkpoint.epoch else ""
        asked = f" (of {wanted} asked for: no more than pictures)" if 0 < todo < wanted else ""
        return [
            ("checkpoint", f"{checkpoint.path}{epoch} ({checkpoint.model_source})"),
            ("pictures", f"{self.total}: {self.done} made already, {todo} to do"),
            *(("skipped", fault.reason) for fault in self.request.skipped),
            *(("note", remark) for remark in (*self.request.remarks, *self.remarks)),
            ("shards", f"{self.shards}{asked}"),
            *self._describe_batch(),
            *where,
            *([] if settings.precision == "float32" else [("precision", painting.precision)]),
            ("size", f"{painting.size[0]}x{painting.size[1]} {painting.format}"),
            ("results", str(self.request.results)),
        ]

    def describe_shards(self) -> list[str]:
        lines = ["shard  pictures  first .. last"]
        for number, tasks in self.plan.by_shard().items():
            lines.append(f"{number:5}  {len(tasks):8}  {tasks[0].name} .. {tasks[-1].name}")
        return lines

    def complete(self) -> tuple[str, int] | None:
        if not self.is_complete:
            return None
        lacking = len(self.finish().left_out(self.plan, self.request.faulty))
        but = f" but for {lacking} left out, as its {manifest.MANIFEST} says" if lacking else ""
        return f"{self.request.results} is complete and verified{but}: nothing to do", lacking

    def compile(self) -> None:
        painting = self.plan.painting
        compile_core(painting.device)
        warm_painting(painting.model, painting.device, self.plan.batch, painting.spade, painting.precision)

    def lay_out(self) -> None:
        run, plan, request = self.run, self.plan, self.request
        replacing.insist_on_renames(run, request.results)
        if _fingerprint_before(run) != plan.painting.fingerprint():
            run.plan.unlink(missing_ok=True)  # a kill from here on must not leave its name on pictures not its own
        for path in (run.missing, run.failures):
            path.unlink(missing_ok=True)
        merge.adopt(run, request.results, plan, self.already, request.hashes.sha256_of)
        self._clear_images()
        outcomes.compact(run, request.faulty | self.already)
        write_atomically(run.config, to_yaml(dataclasses.asdict(request.settings)))
        plan.save(run.plan)

    def finish(self) -> GenerateFinish:
        request = self.request
        return GenerateFinish(self.run.path, request.results, request.settings, request.skipped)

    def _clear_images(self) -> None:
        """Deletes pictures that are made anew, or that nobody asks for now."""
        run, plan = self.run, self.plan
        names = {task.name for task in plan.tasks} | outcomes.gather(run).keys()
        strays.set_aside(run, {manifest.MANIFEST, *(f"{name}.{format}" for name in names for format in ENCODINGS)})
        kept = {task.file(plan.painting.format) for task in plan.tasks if task.name in self.already}
        for path in run.images.iterdir():
            if path.name not in kept:
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()

    def _describe_batch(self) -> list[Remark]:
        """Where it is not as large as the user asked for."""
        batch, asked = self.plan.batch, self.request.settings.batch
        if batch == asked or not self.shards:
            return []
        why = "on the CPU more are no faster" if self.device == "cpu" else "no shard has more pictures"
        return [("batch", f"{batch} (of {asked} asked for: {why})")]

    @property
    def _todo(self) -> list[Task]:
        return [task for task in self.plan.tasks if task.shard is not None]


def examine(request: GenerateRequest) -> Generation:
    """Sees what is made already and splits the rest into shards. Writes nothing; it stays true while the lock is held.

    Raises UserError if results or an unfinished run of other settings are in the way, or there is no space.
    """
    settings, plan, results, run = request.settings, request.plan, request.results, request.run
    published = plan.without(request.faulty)
    hash_of = request.hashes.sha256_of
    before = replacing.insist_on_replaceable(results, published, settings.overwrite, hash_of)
    listed = manifest.listed(before, plan)
    del before  # of a million pictures it is a gigabyte
    here, there, remarks = _made_before(run, results, plan, listed, settings.overwrite, hash_of)
    already = here | there
    todo = {task.name for task in plan.tasks} - set(already) - set(request.faulty)
    if settings.retry_failed:
        failed, damaged = _failed_names(run, missing=len(todo))
        todo &= failed
        remarks += [f"{damaged} line(s) of {run.failures} can't be read and are passed over"] if damaged else []
    _insist_on_space(results, plan.painting, len(todo))
    sharded = plan.in_shards(todo, settings.shards)
    largest = max(Counter(task.shard for task in sharded.tasks if task.shard is not None).values(), default=1)
    device, batch = plan.painting.device, pictures_together(plan.painting.device, settings.batch, largest)
    return Generation(
        run,
        total=len(plan.tasks),
        done=len(already),
        shards=sharded.shards,
        device=device,
        memory=painting_memory(plan.painting.model, batch, plan.painting.spade),
        request=request,
        plan=dataclasses.replace(sharded, batch=batch),
        already=already,
        remarks=tuple(remarks),
        is_complete=all(task.name in there for task in published.tasks) and merge.has_names_of(results, published),
    )


def _made_before(
    run: RunDir,
    results: Path,
    plan: GeneratePlan,
    listed: dict[str, TaskOutcome],
    overwrite: bool,
    hash_of: Callable[[Path], str] = sha256_of,
) -> tuple[dict[str, TaskOutcome], dict[str, TaskOutcome], list[str]]:
    """Outcomes of the pictures that need not be made again, of an unfinished run alone and of the results folder, which
    has them as `listed`; and what is to be remarked of others.

    Raises UserError if an unfinished run holds pictures that this one would drop, unless `overwrite`.
    """
    fingerprint = plan.painting.fingerprint()
    remarks: list[str] = []
    gathered = outcomes.gather(run)
    finished = _finished_names(run, gathered)
    old = _fingerprint_before(run)
    if old != fingerprint:
        if old == _UNKNOWN and finished and not overwrite:
            raise UserError(
                f"{run.plan} is damaged, so it is not known what {len(finished)} finished pictures beside it were made "
                "with: --overwrite makes them again, another --output_path keeps them"
            )
        if old is not None and finished and not overwrite:
            raise UserError(
                f"{run.path} holds an unfinished run of other settings ({differences(old, fingerprint)} differ): "
                "--overwrite starts anew, another --output_path keeps it"
            )
        gathered = {}
        if old is None and finished:
            remarks.append(f"{len(finished)} pictures in {run.path} are of no known plan and are made again")
    elif (dropped := finished - {task.name for task in plan.tasks}) and not overwrite:
        raise UserError(
            f"{run.path} holds {len(dropped)} finished pictures ({min(dropped)}, …) that are not asked for now: "
            "--overwrite drops them, another --output_path keeps them"
        )
    there = outcomes.made(results, plan, plan.tasks, listed, hash_of)
    here = outcomes.made(run.images, plan, (task for task in plan.tasks if task.name not in there), gathered, hash_of)
    return {name: gathered[name] for name in here}, {name: listed[name] for name in there}, remarks


def _fingerprint_before(run: RunDir) -> dict[str, Any] | None:
    """Of the plan in the run's folder; None if there is none, _UNKNOWN if it is damaged."""
    try:
        return saved_fingerprint(run.plan)
    except UserError:
        return _UNKNOWN


def _finished_names(run: RunDir, gathered: dict[str, TaskOutcome]) -> set[str]:
    """Names of pictures that lie in the unfinished run."""
    present = {path.stem for path in run.images.iterdir()} if run.images.is_dir() else set()
    return {name for name, outcome in gathered.items() if outcome.sha256 is not None and name in present}


def _failed_names(run: RunDir, missing: int) -> tuple[set[str], int]:
    """And how many lines of failures.jsonl can't be read. Raises UserError if there is nothing to try again."""
    found, damaged = failures.read(run.failures)
    if not found and damaged:
        raise UserError(
            f"--retry_failed: {run.failures} is damaged, so that it is not known what failed: run without it"
        )
    if not found and missing:
        raise UserError(f"--retry_failed: nothing failed in the last run, {missing} are not made yet: run without it")
    return {failure.name for failure in found if failure.name is not None}, damaged


def _insist_on_space(results: Path, painting: Painting, pictures: int) -> None:
    needed = int(pictures * painting.size[0] * painting.size[1] * ENCODINGS[painting.format].bytes_per_pixel)
    insist_on_space("--output_path", results.parent, needed, f"{pictures} pictures")
