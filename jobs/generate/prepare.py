"""From settings to a plan: finds and checks the input, sees what is made already, splits the rest into shards."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import yaml

from ecgan import runtime
from ecgan.checkpoint import Checkpoint, ModelOverrides, find_newest, open_checkpoint
from ecgan.config import ModelConfig
from ecgan.data.folders import printable
from ecgan.data.testset import Fault, Item, TestSet, check_pictures, find_test_set, squeezed
from ecgan.errors import UserError
from ecgan.files import write_atomically
from jobs.generate import merge, records
from jobs.generate.plan import Painting, Plan, Task, differences, input_digest, saved_fingerprint, split_into_shards
from jobs.generate.records import Record
from jobs.generate.settings import GenerateSettings
from jobs.options import resolved
from jobs.run.folder import RunDir
from jobs.space import insist_on_space

#: Bytes per pixel that a result takes at most in practice.
_BYTES_PER_PIXEL = {"jpg": 1.5, "png": 3.2}
_CHECKPOINT_ROOTS = ("runs", "checkpoints")
_FAULTS_SHOWN = 40


@dataclass(frozen=True)
class Request:
    """What is asked for, checked, whatever has been made of it before.

    `skipped`: faults of the input that shall not stop the rest; `faulty`: the pictures among them;
    `remarks`: what the user may not expect of the pictures.
    `results` has its links resolved; `run` lies beside it, on the same file system.
    """

    settings: GenerateSettings
    checkpoint: Checkpoint
    plan: Plan
    skipped: tuple[Fault, ...]
    faulty: dict[str, Record]
    remarks: tuple[str, ...]
    results: Path
    run: RunDir


@dataclass(frozen=True)
class Generation:
    """A request and what is left to do of it. `made`: records of the pictures that exist already.

    `request.plan` has no shards yet, `plan` has.
    """

    request: Request
    plan: Plan
    made: dict[str, Record]
    is_complete: bool

    @property
    def todo(self) -> list[Task]:
        return [task for task in self.plan.tasks if task.shard is not None]


def check(settings: GenerateSettings, device: str | None = None) -> Request:
    """Checks checkpoint, input and output, and writes nothing.

    `device`: what is to compute, where that is not on this machine.
    Raises UserError, with all faults of the input in one message.
    """
    results = resolved(settings.output_path)
    checkpoint = _open_checkpoint(settings)
    checkpoint.verify()
    for name in ("input_path", "img_path", "checkpoint"):
        _insist_outside(results, name, getattr(settings, name))
    tasks, skipped = _find_tasks(settings, checkpoint)
    reasons = {fault.name: fault.reason for fault in reversed(skipped)}
    faulty = {task.name: Record(task.name, "", -1, error=reasons[task.name]) for task in tasks if task.name in reasons}
    # Last, since with a GPU it may compile, which a mistake in the input or a dry run need not wait for.
    if device is None:
        choose = runtime.choose_device if settings.dry_run else runtime.usable_device
        device = choose(settings.device)
    painting = Painting(
        checkpoint=str(checkpoint.path.absolute()),
        checkpoint_hash=checkpoint.painting_hash,
        which_epoch=checkpoint.epoch,
        model=checkpoint.model,
        device=device,
        spade=settings.spade,
        seed=settings.seed,
        noise=settings.noise,
        colour_transfer=settings.colour_transfer,
        size=settings.picture_size or (checkpoint.model.width, checkpoint.model.height),
        format=settings.format,
        quality=settings.quality,
    )
    plan = Plan(painting, settings.batch, tasks)
    remarks = _remarks((Path(task.mask) for task in tasks if task.name not in faulty), checkpoint.model)
    run = RunDir(results.with_name(results.name + ".run"))
    return Request(settings, checkpoint, plan, skipped, faulty, remarks, results, run)


def examine(request: Request) -> Generation:
    """Sees what is made already and splits the rest into shards. Writes nothing; it stays true while the lock is held.

    Raises UserError if results or an unfinished run of other settings are in the way, or there is no space.
    """
    settings, plan, results, run = request.settings, request.plan, request.results, request.run
    merge.insist_on_replaceable(results, plan, settings.overwrite)
    made = _made_before(run, results, plan, settings.overwrite)
    todo = {task.name for task in plan.tasks} - set(made) - set(request.faulty)
    if settings.retry_failed:
        todo &= _failed_names(run, missing=len(todo))
    _insist_on_space(results, plan.painting, len(todo))
    sharded = dataclasses.replace(plan, tasks=split_into_shards(plan.tasks, todo, settings.shards))
    return Generation(request, sharded, made, merge.is_complete(results, plan))


def lay_out(generation: Generation) -> None:
    """Writes the plan into the run's folder and clears it of everything that is not part of it. Needs the lock."""
    run, plan = generation.request.run, generation.plan
    run.clear_temporaries()
    if saved_fingerprint(run.plan) != plan.painting.fingerprint():
        run.plan.unlink(missing_ok=True)  # a kill from here on must not leave its name on pictures that are not its own
    for path in (run.missing, run.failures):
        path.unlink(missing_ok=True)
    merge.adopt(run, generation.request.results, plan, generation.made)
    kept = {task.file(plan.painting.format) for task in plan.tasks if task.name in generation.made}
    for path in run.images.iterdir():
        if path.name not in kept:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    records.compact(run, generation.request.faulty | generation.made)
    write_atomically(run.config, yaml.safe_dump(dataclasses.asdict(generation.request.settings), sort_keys=False))
    plan.save(run.plan)


def _open_checkpoint(settings: GenerateSettings) -> Checkpoint:
    overrides = ModelOverrides(settings.network, settings.num_upsampling_layers)
    if settings.checkpoint:
        return open_checkpoint(Path(settings.checkpoint).expanduser(), settings.which_epoch, overrides)
    newest = find_newest(Path(root) for root in _CHECKPOINT_ROOTS)
    if newest is None:
        raise UserError(f"no checkpoint below {' or '.join(_CHECKPOINT_ROOTS)}: say --checkpoint FOLDER_OR_PKL")
    return open_checkpoint(newest, settings.which_epoch, overrides)


def _insist_outside(results: Path, name: str, value: str | None) -> None:
    """The results folder is replaced as a whole, so no input may lie in it."""
    if value is not None and resolved(value).is_relative_to(results):
        raise UserError(f"--output_path {results} holds --{name} {value} and would replace it: choose another")


def _find_tasks(settings: GenerateSettings, checkpoint: Checkpoint) -> tuple[tuple[Task, ...], tuple[Fault, ...]]:
    """All pictures, and what is wrong with the input (which raises unless bad input is to be skipped)."""
    found = find_test_set(Path(settings.input_path).expanduser(), Path(settings.img_path).expanduser())
    items = found.items[: settings.how_many]
    faults = list(found.faults)
    broken = {fault.name for fault in faults}  # of these the pictures need not be opened
    faults += check_pictures([item for item in items if item.name not in broken], checkpoint.model)
    if not items and not faults:
        raise UserError(f"--input_path {settings.input_path}: there are no masks")
    if faults and (settings.on_bad_input == "stop" or not items):
        raise UserError(_report(TestSet(items, tuple(faults)), settings))
    broken |= {fault.name for fault in faults}
    return tuple(_task(item, item.name in broken) for item in items), tuple(faults)


def _remarks(masks: Iterable[Path], model: ModelConfig) -> tuple[str, ...]:
    found = squeezed(masks, (model.width, model.height))
    if not found:
        return ()
    first, (width, height) = found[0]
    which = f"{first.name} {width}x{height}" + (", …" if len(found) > 1 else "")
    return (f"{len(found)} mask(s) are squeezed to the network's {model.width}x{model.height}: {printable(which)}",)


def _task(item: Item, is_broken: bool) -> Task:
    inputs = "" if is_broken else input_digest(item.mask.read_bytes(), item.reference.read_bytes())
    return Task(item.name, str(item.mask.absolute()), str(item.reference.absolute()), inputs)


def _report(found: TestSet, settings: GenerateSettings) -> str:
    lines = [f"  {fault.reason}" for fault in found.faults[:_FAULTS_SHOWN]]
    if len(found.faults) > _FAULTS_SHOWN:
        lines.append(f"  … and {len(found.faults) - _FAULTS_SHOWN} more")
    affected = len({item.name for item in found.items} & {fault.name for fault in found.faults})
    hint = (
        f"\nMend them, or --on_bad_input skip to make the other {len(found.items) - affected} pictures."
        if (0 < affected < len(found.items))
        else ""
    )
    return f"{len(found.faults)} fault(s) in the input, nothing was done:\n" + "\n".join(lines) + hint


def _made_before(run: RunDir, results: Path, plan: Plan, overwrite: bool) -> dict[str, Record]:
    """Records of the pictures that need not be made again, from an unfinished run and from the results folder.

    Raises UserError if an unfinished run holds pictures that this one would drop, unless `overwrite`.
    """
    fingerprint = plan.painting.fingerprint()
    gathered = records.gather(run)
    old = saved_fingerprint(run.plan)
    finished = _finished_names(run, gathered)
    if old != fingerprint:
        if old is not None and finished and not overwrite:
            raise UserError(
                f"{run.path} holds an unfinished run of other settings ({differences(old, fingerprint)} differ): "
                "--overwrite starts anew, another --output_path keeps it"
            )
        gathered = {}
    elif (dropped := finished - {task.name for task in plan.tasks}) and not overwrite:
        raise UserError(
            f"{run.path} holds {len(dropped)} finished pictures ({min(dropped)}, …) that are not asked for now: "
            "--overwrite drops them, another --output_path keeps them"
        )
    listed = merge.listed(results, plan)
    here = records.made(run.images, plan, plan.tasks, gathered)
    there = records.made(results, plan, (task for task in plan.tasks if task.name not in here), listed)
    return {name: gathered[name] for name in here} | {name: listed[name] for name in there}


def _finished_names(run: RunDir, gathered: dict[str, Record]) -> set[str]:
    """Names of pictures that lie in the unfinished run."""
    present = {path.stem for path in run.images.iterdir()} if run.images.is_dir() else set()
    return {name for name, record in gathered.items() if record.sha256 is not None and name in present}


def _failed_names(run: RunDir, missing: int) -> set[str]:
    try:
        lines = run.failures.read_text().split("\n")[:-1]
    except FileNotFoundError:
        lines = []
    if not lines and missing:
        raise UserError(f"--retry_failed: nothing failed in the last run, {missing} are not made yet: run without it")
    return {json.loads(line)["name"] for line in lines}


def _insist_on_space(results: Path, painting: Painting, pictures: int) -> None:
    needed = int(pictures * painting.size[0] * painting.size[1] * _BYTES_PER_PIXEL[painting.format])
    insist_on_space("--output_path", results.parent, needed, f"{pictures} pictures")
