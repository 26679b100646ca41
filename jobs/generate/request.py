"""From settings to a request: checkpoint, masks, references and output are found and checked; nothing is written."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from ecgan.checkpoint import Checkpoint, ModelOverrides, find_newest, open_checkpoint
from ecgan.checkpoint.shipped import located
from ecgan.config import ModelConfig
from ecgan.data.faults import Fault
from ecgan.data.folders import printable
from ecgan.data.images import Size
from ecgan.data.testset import TestSet, find_test_set, squeezed
from ecgan.errors import UserError
from ecgan.file_notes import FileNotes
from ecgan.runtime.compiling import usable_device
from ecgan.runtime.devices import Device, choose_device
from ecgan.runtime.precision import choose_precision
from jobs import faults
from jobs.generate import replacing
from jobs.generate.outcomes import TaskOutcome
from jobs.generate.plan import GeneratePlan, Painting, Task, input_digest
from jobs.generate.settings import GenerateSettings
from jobs.options import resolved
from jobs.run import record
from jobs.run.find import is_run
from jobs.run.folder import RunDir, run_beside
from jobs.run.kind import Kind
from jobs.samples import faults_of_samples, sampled
from jobs.sharded.work import Request
from jobs.testset import Opened, open_test_set

_CHECKPOINT_ROOTS = ("runs", "checkpoints")


@dataclass(frozen=True)
class GenerateRequest(Request):
    """What is asked for, checked, whatever has been made of it before. `plan` has no shards yet.

    `skipped`: faults of the input that shall not stop the rest; `faulty`: the pictures among them;
    `remarks`: what the user may not expect of the others.
    `results` has its links resolved; `run` lies beside it, on the same file system.
    `inputs`, `hashes`: notes on the files of the input, and on pictures.
    """

    settings: GenerateSettings
    checkpoint: Checkpoint
    plan: GeneratePlan
    skipped: tuple[Fault, ...]
    faulty: dict[str, TaskOutcome]
    remarks: tuple[str, ...]
    results: Path
    inputs: FileNotes
    hashes: FileNotes

    @property
    def folders(self) -> Sequence[Path]:
        return (self.run.images,)

    def mend(self) -> None:
        replacing.restore(self.run, self.results)

    def remember(self) -> None:
        self.inputs.save(self.run.checked)
        self.hashes.save(self.run.hashed)


def check(settings: GenerateSettings, device: Device | None = None) -> GenerateRequest:
    """Checks checkpoint, input and output, and writes nothing.

    `device`: what is to compute, where that is not on this machine.
    Raises UserError, with all faults of the input in one message.
    """
    run, results = _run_of(settings)
    checkpoint = _open_checkpoint(settings)
    checkpoint.verify()
    if settings.samples_per_mask > 1 and not settings.noise and not checkpoint.model.noise_maps:
        raise UserError("--samples_per_mask makes the same picture several times: --noise is 0, so no seed matters")
    _insist_on_place(settings, results)
    opened = open_test_set(settings.input_path, settings.img_path, checkpoint.model, run.checked, settings.how_many)
    skipped = faults_of_samples(_insist_on_usable(settings, opened), settings.seeds)
    tasks = _tasks(opened, settings.seeds)
    reasons = {fault.name: fault.reason for fault in reversed(skipped)}
    faulty = {
        task.name: TaskOutcome(task.name, "", -1, error=reasons[task.name], bad_input=True)
        for task in tasks
        if task.name in reasons
    }
    # Last, since with a GPU it may compile, which a mistake in the input or a dry run need not wait for.
    here = device is None
    if device is None:
        choose = choose_device if settings.dry_run else usable_device
        device = choose(settings.device)
    painting = Painting(
        checkpoint=str(checkpoint.path.absolute()),
        checkpoint_hash=checkpoint.painting_hash,
        which_epoch=checkpoint.epoch,
        model=checkpoint.model,
        device=device,
        spade=settings.spade,
        precision=choose_precision(settings.precision, device, settings.spade, here),
        seed=settings.seed,
        noise=settings.noise,
        colour_transfer=settings.colour_transfer,
        size=settings.picture_size or (checkpoint.model.width, checkpoint.model.height),
        format=settings.format,
        quality=settings.quality,
    )
    plan = GeneratePlan(painting, settings.batch, tasks)
    remarks = _remarks(opened.checked.sizes, checkpoint.model)
    hashes = FileNotes.load(run.hashed)
    return GenerateRequest(run, settings, checkpoint, plan, skipped, faulty, remarks, results, opened.notes, hashes)


def check_ahead(settings: GenerateSettings, awaited: Path) -> RunDir:
    """Checks what can be checked before the run in the folder `awaited` has made what this one needs of it; returns the
    folder of the run that will make the pictures. Raises UserError."""
    run, results = _run_of(settings)
    _insist_on_place(settings, results)
    if (model := _model_ahead(settings, awaited)) is not None:
        check_input(settings, model, run)
    else:
        _insist_on_usable(
            settings, find_test_set(Path(settings.input_path).expanduser(), Path(settings.img_path).expanduser())
        )
    return run


def check_input(settings: GenerateSettings, model: ModelConfig, run: RunDir) -> None:
    """Masks and references alone, for a checkpoint of such a model that is yet to come. Raises UserError."""
    opened = open_test_set(settings.input_path, settings.img_path, model, run.checked, settings.how_many)
    _insist_on_usable(settings, opened)


def _model_ahead(settings: GenerateSettings, awaited: Path) -> ModelConfig | None:
    """Of the checkpoint that will be there, as far as that is known. Raises UserError if the one that is named is none,
    and no run's either."""
    path = awaited
    if settings.checkpoint is not None:
        path = located(Path(settings.checkpoint)).expanduser()
        try:
            return _open_checkpoint(settings).model
        except UserError:
            if not is_run(path) and not resolved(path).is_relative_to(awaited):
                raise
    from jobs.train.plan import TrainPlan  # which imports what other generations need not

    run = RunDir(path)
    if record.kind_of(run) is Kind.TRAINING:
        with contextlib.suppress(UserError):  # it waits for another itself, and has no plan yet
            return TrainPlan.load(run.plan).settings.model
    return None


def _run_of(settings: GenerateSettings) -> tuple[RunDir, Path]:
    """And where its results go. Raises UserError if something else lies there."""
    results = resolved(settings.output_path)
    run = RunDir(run_beside(results, Kind.GENERATION))
    record.insist_on_kind(run, Kind.GENERATION)
    return run, results


def _insist_on_place(settings: GenerateSettings, results: Path) -> None:
    for name in ("input_path", "img_path"):
        _insist_outside(results, name, getattr(settings, name))
    if settings.checkpoint:
        _insist_outside(results, "checkpoint", str(located(Path(settings.checkpoint))))


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


def _insist_on_usable(settings: GenerateSettings, opened: Opened | TestSet) -> tuple[Fault, ...]:
    """What is wrong with the input, which raises unless bad input is to be skipped."""
    skipped, broken = opened.faults, {fault.name for fault in opened.faults}
    if skipped and (settings.on_bad_input == "stop" or not opened.items):
        usable = sum(item.name not in broken for item in opened.items)
        go_on = f"to make the other {usable} pictures" if usable else ""
        raise UserError(faults.report(skipped, "the input", "done", go_on))
    return skipped


def _tasks(opened: Opened, seeds: Sequence[int]) -> tuple[Task, ...]:
    """All pictures, faulty ones included; of a mask with several one after the other."""
    broken = {fault.name for fault in faults_of_samples(opened.faults, seeds)}
    digests = opened.checked.digests
    here = str(Path.cwd()).rstrip("/")

    def absolute(path: Path) -> str:
        return str(path) if path.is_absolute() else f"{here}/{path}"  # Path.absolute takes ten times as long

    items = sampled(opened.items, seeds)
    return tuple(
        Task(
            item.name,
            absolute(item.mask),
            absolute(item.reference),
            "" if item.name in broken else input_digest(digests[item.mask], digests[item.reference]),
            seed=seed,
        )
        for item, seed in zip(items, cycle(seeds if len(seeds) > 1 else (None,)), strict=False)
    )


def _remarks(sizes: Mapping[Path, Size], model: ModelConfig) -> tuple[str, ...]:
    masks = squeezed(sizes, (model.width, model.height))
    if not masks:
        return ()
    width, height = sizes[masks[0]]
    which = printable(masks[0].name) + f" {width}x{height}" + (", …" if len(masks) > 1 else "")
    return (f"{len(masks)} mask(s) are squeezed to the network's {model.width}x{model.height}: {which}",)
