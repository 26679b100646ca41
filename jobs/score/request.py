"""From settings to a request: pictures, masks and networks are found and checked, and nothing is written."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ecgan.checkpoint.inception import find_inception, read_inception
from ecgan.checkpoint.segmenter import SegmenterFile, fitting, open_segmenter
from ecgan.config import ModelConfig
from ecgan.data.faults import Fault
from ecgan.data.folders import find_pictures
from ecgan.data.images import BadImage, Size, size_of
from ecgan.data.testset import Item, find_test_set
from ecgan.errors import UserError
from ecgan.file_notes import FileNotes
from ecgan.files import TEMPORARY_SUFFIX, sha256_of
from ecgan.runtime.compiling import usable_device
from ecgan.runtime.devices import Device, choose_device
from ecgan.scoring.frechet import Gaussian
from ecgan.threads import in_threads
from jobs import faults
from jobs.commands import named
from jobs.generate.manifest import how_many_of, left_out, read_manifest
from jobs.options import named_in, resolved
from jobs.run import record
from jobs.run.find import is_run
from jobs.run.folder import RunDir, run_beside
from jobs.run.kind import Kind
from jobs.samples import faults_of_samples, sampled, seeds_of
from jobs.score import statistics
from jobs.score.plan import Judges, ScorePlan, in_parts
from jobs.score.settings import ScoreSettings
from jobs.score.subjects import find_photos, subject_of
from jobs.sharded.work import Request
from jobs.testset import open_test_set

#: Where `configs/segmenter.yaml` trains.
SEGMENTER = Path("runs/segmenter")


@dataclass(frozen=True)
class ScoreRequest(Request):
    """What is asked for, checked. `plan` has no shards yet. `photo_statistics`: of the training photos'
    features, if they are known already; `inputs`: notes on the files of the test set."""

    settings: ScoreSettings
    plan: ScorePlan
    photo_statistics: Gaussian | None
    inputs: FileNotes

    @property
    def folders(self) -> Sequence[Path]:
        return (self.run.parts,)

    def remember(self) -> None:
        self.inputs.save(self.run.checked)


def check(settings: ScoreSettings, device: Device | None = None) -> ScoreRequest:
    """Checks pictures, masks, references and networks, and writes nothing.

    `device`: what is to compute, where that is not on this machine.
    Raises UserError, with all faults of the input in one message.
    """
    results, run = resolved(settings.results), _run_of(settings)
    segmenter = _find_segmenter(settings)
    inception = find_inception(settings.inception_weights)
    size, items, missing, notes = _find_items(settings, results, run)
    # Last, since with a GPU it may compile, which a mistake in the input or a dry run need not wait for.
    if device is None:
        device = (choose_device if settings.dry_run else usable_device)(settings.device)
    judges = _judges(settings, inception, segmenter, size, device)
    pictures = [subject_of(*item) for item in items]
    photos = find_photos(Path(settings.img_path).expanduser()) if judges.of_features else []
    if inception and len(photos) < 2:
        raise UserError(f"--img_path {settings.img_path} holds {len(photos)} photo(s): FID needs two at least")
    key = statistics.key_of(judges.features_decided_by(), photos) if photos else None
    parts = in_parts("pictures", pictures, judges.fingerprint())
    known = statistics.load(statistics.in_cache(key)) if key else None
    if key and known is None:
        parts = in_parts("photos", photos, judges.features_decided_by()) + parts
    plan = ScorePlan(
        str(results), judges, tuple(parts), size, key, len(photos), segmenter.measured if segmenter else {}, missing
    )
    return ScoreRequest(run, settings, plan, known, notes)


def check_ahead(settings: ScoreSettings, awaited: Path) -> RunDir:
    """Checks what can be checked before the run in the folder `awaited` has made what this one needs of it; returns the
    folder of the run that will score. Raises UserError."""
    run, results = _run_of(settings), resolved(settings.results)
    if not results.is_dir() and not is_run(run_beside(results, Kind.GENERATION)):
        raise UserError(f"--results {results}: no such folder, and no run of {named('generate')} that makes it")
    check_judges(replace(settings, segmenter=None) if "segmenter" in named_in(settings, awaited) else settings)
    found = find_test_set(Path(settings.input_path).expanduser(), Path(settings.img_path).expanduser())
    if not found.items:
        raise UserError(faults.report(found.faults, "the input", "scored"))
    return run


def _run_of(settings: ScoreSettings) -> RunDir:
    """Raises UserError if something else lies there."""
    results = resolved(settings.results)
    output = resolved(settings.output_path) if settings.output_path else None
    if output is not None and output.is_relative_to(results):
        raise UserError(
            f"--output_path {output} lies in the results folder, which holds pictures alone: choose another"
        )
    run = RunDir(output or run_beside(results, Kind.SCORING))
    _insist_on_own_folder(run)
    return run


def check_judges(settings: ScoreSettings) -> None:
    """The networks alone, while there are no pictures yet. Raises UserError."""
    segmenter = _find_segmenter(settings)
    _judges(settings, find_inception(settings.inception_weights), segmenter, (512, 384), "cpu")


def _insist_on_own_folder(run: RunDir) -> None:
    """UserError if what lies in the folder is not what a scoring leaves there, which may be cleared away."""
    record.insist_on_kind(run, Kind.SCORING)
    if record.kind_of(run) is not None:
        return
    # What a command leaves that is killed before it has saved the plan.
    ours = {run.lock, run.checked, run.statistics, run.items, *run.path.glob(f".*{TEMPORARY_SUFFIX}")}
    if any(path.is_file() and path not in ours for path in run.path.glob("**/*")):
        raise UserError(f"--output_path {run.path} holds files of something else: choose a new or an empty folder")


def _find_segmenter(settings: ScoreSettings) -> SegmenterFile | None:
    path = Path(settings.segmenter).expanduser() if settings.segmenter else SEGMENTER
    if settings.segmenter is None and not path.is_dir():
        return None
    try:
        found = open_segmenter(path)
    except UserError as error:
        if settings.segmenter is None:  # its training may not have saved anything yet
            print(f"note: no mask accuracy: {error}", file=sys.stderr)
            return None
        raise UserError(f"--segmenter: {error}") from None
    found.insist_on_classes(settings.label_nc)
    return found


def _judges(
    settings: ScoreSettings, inception: Path | None, segmenter: SegmenterFile | None, size: Size, device: Device
) -> Judges:
    files = {"aesthetic": settings.aesthetic, "aesthetic_weights": settings.aesthetic_weights}
    paths = {name: str(Path(file).expanduser().absolute()) if file else None for name, file in files.items()}
    for name, path in paths.items():
        if path is not None and not Path(path).is_file():
            raise UserError(f"--{name} {path}: no such file")
    hashes = {name: sha256_of(Path(path)) for name, path in paths.items() if path is not None}
    if inception is not None:
        read_inception(inception)  # a damaged file must not be found out on a compute node
        hashes["inception"] = sha256_of(inception)
    if segmenter is not None:
        hashes["segmenter"] = segmenter.sha256
    return Judges(
        str(inception.absolute()) if inception else None,
        str(segmenter.path.absolute()) if segmenter else None,
        **paths,
        hashes=tuple(hashes.items()),
        label_nc=settings.label_nc,
        contain_dontcare_label=settings.contain_dontcare_label,
        device=device,
        segmenter_size=(segmenter.size or fitting(size)) if segmenter else None,
    )


def _find_items(
    settings: ScoreSettings, results: Path, run: RunDir
) -> tuple[Size, list[tuple[Item, Path]], tuple[tuple[str, str], ...], FileNotes]:
    """The pictures' size, what can be scored with its file, what can't with the reason (which raises unless bad input
    is to be skipped), and notes on the input's files."""
    if not results.is_dir():
        raise UserError(f"--results {results}: no such folder; {named('generate')} makes one")
    model = ModelConfig(label_nc=settings.label_nc, contain_dontcare_label=settings.contain_dontcare_label)
    noted = run.checked if run.checked.exists() else RunDir(run_beside(results, Kind.GENERATION)).checked
    manifest = read_manifest(results)
    found = open_test_set(settings.input_path, settings.img_path, model, noted, how_many_of(manifest))
    pictures = find_pictures(results)
    items = sampled(found.items, seeds_of(manifest))
    files = {item.name: pictures.get(item.name) for item in items}
    size = _size_of_results(manifest, items)
    absent: dict[str | None, str] = {item.name: f"{results} holds no picture {item.name}" for item in items}
    absent |= {gap.name: f"{gap.name}: {named('generate')} left it out: {gap.reason}" for gap in left_out(manifest)}
    reasons = in_threads(lambda item: _fault(files[item.name], absent[item.name], size), items)
    of_results = (Fault(item.name, reason) for item, reason in zip(items, reasons, strict=True) if reason)
    skipped = (*faults_of_samples(found.faults, seeds_of(manifest)), *of_results)
    broken = {fault.name for fault in skipped}
    usable = [(item, path) for item in items if item.name not in broken and (path := files[item.name])]
    if skipped and (settings.on_bad_input == "stop" or not usable):
        go_on = f"to score the other {len(usable)} pictures" if usable else ""
        raise UserError(faults.report(skipped, "the input", "scored", go_on))
    return size, usable, tuple((fault.name or "", fault.reason) for fault in skipped), found.notes


def _size_of_results(manifest: dict[str, Any] | None, items: tuple[Item, ...]) -> Size:
    """As generated; of pictures that others made as the masks are."""
    if manifest is not None:
        width, height = manifest["fingerprint"]["size"]
        return int(width), int(height)
    for item in items:
        try:
            return size_of(item.mask)
        except BadImage:
            continue
    return 512, 384


def _fault(path: Path | None, absent: str, size: Size) -> str | None:
    """`absent` is what is said if there is no picture."""
    if path is None:
        return absent
    try:
        found = size_of(path)
    except BadImage as error:
        return str(error)
    return None if found == size else f"{path}: {found[0]}x{found[1]} instead of {size[0]}x{size[1]}"
