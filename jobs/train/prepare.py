"""From settings to a plan: everything is checked on the machine that launches, before anything runs elsewhere."""

from __future__ import annotations

import contextlib
import hashlib
import json
import secrets
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ecgan import runtime
from ecgan.checkpoint import list_states, native, open_checkpoint
from ecgan.checkpoint.inception import find_inception, read_inception
from ecgan.checkpoint.segmenter import fitting, open_segmenter
from ecgan.checkpoint.vgg import find_vgg19, read_vgg19
from ecgan.config import ModelConfig, SegformerShape
from ecgan.data.exclusion import LeftOut, read_exclude_list
from ecgan.data.folders import stamp
from ecgan.data.testset import Fault
from ecgan.data.trainset import PHOTO_FOLDER, Pair, check_pairs, find_training_set
from ecgan.errors import UserError
from ecgan.files import write_json
from ecgan.memory import SEGMENTER_STATE, state_size
from jobs.options import resolved
from jobs.run.folder import RunDir
from jobs.space import insist_on_space
from jobs.train.plan import TrainPlan, changes
from jobs.train.settings import FIXED, STEERING, TrainSettings

_FAULTS_SHOWN = 40
_CHECKED = "checked.json"


@dataclass(frozen=True)
class Request:
    """A training that can run. `skipped`: bad input that is left out; `excluded`: by the list.

    `checked`: note of what has been opened, so that a next start need not.
    `resumed_step`: of the newest state in the run's folder, from which it goes on; None to begin.
    `changed`: settings that steer the training and differ from those of that state.
    """

    plan: TrainPlan
    run: RunDir
    skipped: tuple[Fault, ...]
    excluded: LeftOut
    checked: dict[str, Any]
    resumed_step: int | None
    changed: tuple[str, ...]


def check(settings: TrainSettings, elsewhere: tuple[str, int] | None = None) -> Request:
    """Checks data, weights, sizes and space, and writes nothing.

    `elsewhere`: device and number of ranks, where it is to run on other machines than this.
    Raises UserError, with all faults of the data in one message.
    """
    run = RunDir(resolved(settings.run_dir), option="--run_dir")
    needs_vgg = settings.lambda_vgg and not settings.trains_segmenter
    vgg = find_vgg19(settings.vgg_weights).absolute() if needs_vgg else None
    if vgg:
        read_vgg19(vgg)  # a damaged file must not be found out on a compute node
    init = _check_init(settings)
    pairs, skipped, excluded, checked = _find_pairs(settings, run)
    if elsewhere is not None:
        device, ranks = elsewhere
    else:
        choose = runtime.choose_device if settings.dry_run else runtime.usable_device
        device = choose(settings.device)
        ranks = settings.ranks or _default_ranks(settings, device)
    pairs, held_out = _hold_out(pairs, settings.held_out)
    _insist_on_parts(settings, ranks, len(pairs))
    plan = TrainPlan(settings, pairs, device, ranks, str(vgg) if vgg else None, init, held_out, **_judges(settings))
    resumed_step, changed = _compare_with_state(plan, run) if settings.resume else (None, ())
    _insist_on_space(plan, run)
    return Request(plan, run, skipped, excluded, checked, resumed_step, changed)


def begin(request: Request) -> None:
    """Writes the plan. With --no-resume what an earlier training left is put aside, not deleted."""
    run, settings = request.run, request.plan.settings
    if not settings.resume:
        _put_aside(run)
    run.create(run.states)
    request.plan.save(run.plan)
    write_json(run.path / _CHECKED, request.checked)


def _check_init(settings: TrainSettings) -> str | None:
    if settings.init_checkpoint is None:
        return None
    path = Path(settings.init_checkpoint).expanduser()
    if settings.trains_segmenter:
        found = open_segmenter(path)
        if found.shape != SegformerShape(settings.label_nc):
            raise UserError(
                f"--init_checkpoint {path} is no SegFormer-B0 of {settings.label_nc} classes: {found.shape}"
            )
        return str(found.path.absolute())
    checkpoint = open_checkpoint(path, settings.which_epoch)
    differ = [
        f"{name} {theirs} (here {ours})"
        for name, theirs in checkpoint.model.to_dict().items()
        if (ours := settings.model.to_dict()[name]) != theirs and (name != "ndf" or "D" in checkpoint.files)
    ]
    if differ:
        raise UserError(f"--init_checkpoint {path} is of another model: {', '.join(differ)}")
    return str(path.absolute())


def _judges(settings: TrainSettings) -> dict[str, Any]:
    """Networks that measure pictures, checked here: they must not be found to be damaged on a compute node."""
    found: dict[str, Any] = {}
    if settings.segmenter:
        network = open_segmenter(Path(settings.segmenter).expanduser())
        if network.shape.classes != settings.label_nc:
            raise UserError(
                f"--segmenter {settings.segmenter} tells {network.shape.classes} classes apart, "
                f"--label_nc is {settings.label_nc}"
            )
        found["segmenter"] = str(network.path.absolute())
        found["segmenter_size"] = network.size or fitting((settings.model.width, settings.model.height))
    if settings.inception_weights:
        inception = find_inception(settings.inception_weights)
        assert inception is not None
        read_inception(inception)
        found["inception"] = str(inception.absolute())
        found["photos"] = str(Path(settings.input_path).expanduser().absolute() / PHOTO_FOLDER)
    return found


def _hold_out(pairs: tuple[Pair, ...], count: int) -> tuple[tuple[Pair, ...], tuple[Pair, ...]]:
    """What is trained on, and `count` of the pairs, evenly spread, that are not."""
    if count >= len(pairs):
        raise UserError(f"--held_out {count} leaves nothing of the training set, which has {len(pairs)} usable pair(s)")
    chosen = {i * len(pairs) // count for i in range(count)}
    return (
        tuple(pair for i, pair in enumerate(pairs) if i not in chosen),
        tuple(pair for i, pair in enumerate(pairs) if i in chosen),
    )


def _find_pairs(
    settings: TrainSettings, run: RunDir
) -> tuple[tuple[Pair, ...], tuple[Fault, ...], LeftOut, dict[str, Any]]:
    """Pairs that can be used, what is wrong with the others (which raises unless it is to be skipped), what
    the list leaves out, and the note of what was opened."""
    path = Path(settings.input_path).expanduser().absolute()
    exclude = read_exclude_list(Path(settings.exclude_list).expanduser()) if settings.exclude_list else ()
    found = find_training_set(path, exclude)
    pairs = found.pairs[: settings.max_dataset_size]
    checked = _check_once(pairs, settings.model, run)
    faults = (*found.faults, *(Fault(*fault) for fault in checked["faults"]))
    broken = {fault.name for fault in faults}
    usable = tuple(pair for pair in pairs if pair.name not in broken)
    if not faults and not pairs:
        raise UserError(f"--input_path {path}: there are no pairs of photo and mask")
    if faults and (settings.on_bad_input == "stop" or not usable):
        lines = [f"  {fault.reason}" for fault in faults[:_FAULTS_SHOWN]]
        lines += [f"  … and {len(faults) - _FAULTS_SHOWN} more"] if len(faults) > _FAULTS_SHOWN else []
        hint = f"\nMend them, or --on_bad_input skip to train on the other {len(usable)} pairs." if usable else ""
        raise UserError(f"{len(faults)} fault(s) in the training set, nothing was done:\n" + "\n".join(lines) + hint)
    return usable, faults, found.excluded, checked


def _check_once(pairs: tuple[Pair, ...], model: ModelConfig, run: RunDir) -> dict[str, Any]:
    """Opens every picture, unless that was done before for this run and no file has changed since."""
    digest = hashlib.sha256(json.dumps([model.label_nc, model.contain_dontcare_label]).encode())
    for pair in pairs:
        for path in (pair.photo, pair.mask):
            digest.update(f"{path} {stamp(path)}\n".encode())
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        known = json.loads((run.path / _CHECKED).read_text())
        if known["digest"] == digest.hexdigest():
            return dict(known)
    faults = check_pairs(pairs, model)
    return {"digest": digest.hexdigest(), "faults": [[fault.name, fault.reason] for fault in faults]}


def _default_ranks(settings: TrainSettings, device: str) -> int:
    """One for each GPU, as far as the batch can be split evenly."""
    gpus = runtime.gpu_count() if device == "cuda" else 1
    share = settings.batch_size // (settings.micro_batch or 1)
    return max((count for count in range(1, gpus + 1) if share % count == 0), default=1)


def _insist_on_parts(settings: TrainSettings, ranks: int, pairs: int) -> None:
    batch, micro = settings.batch_size, settings.micro_batch or 1
    if batch % (ranks * micro):
        raise UserError(
            f"--batch_size {batch} can't be split evenly over {ranks} rank(s)"
            + (f" in micro-batches of {micro}" if settings.micro_batch else "")
            + f": it must be a multiple of {ranks * micro}"
        )
    if batch > pairs:
        raise UserError(f"--batch_size {batch} is larger than the training set, which has {pairs} usable pair(s)")


def _compare_with_state(plan: TrainPlan, run: RunDir) -> tuple[int | None, tuple[str, ...]]:
    """Step of the newest state and the settings that steer differently from there. Raises UserError if the state is
    that of another training."""
    states = list_states(run.states)
    if not states:
        return None, ()
    progress = native.describe(states[-1])["about"].get("training")
    if not isinstance(progress, dict):
        raise UserError(f"{states[-1]} is not the state of a training; choose another --run_dir")
    saved, now = progress["plan"], plan.summary
    fixed = changes(saved, now, FIXED)
    if saved["names"] != now["names"]:
        fixed.append(f"the training set ({saved['pairs']} pairs -> {now['pairs']})")
    if fixed:
        raise UserError(
            f"{run.path} holds a training that differs in {'; '.join(fixed)}: it can't go on so. Restore that, "
            "choose another --run_dir, or begin anew with --no-resume"
        )
    return int(progress["step"]), tuple(changes(saved, now, STEERING))


def _insist_on_space(plan: TrainPlan, run: RunDir) -> None:
    settings = plan.settings
    ours = settings.trains_segmenter
    size = SEGMENTER_STATE if ours else state_size(settings.model, bool(settings.ema_decay))
    missing = max(1, settings.keep_states + 2 - len(list_states(run.states)))  # with the best, and one being written
    hint = f" (a state takes {size >> 20} MiB); make room, choose another folder, or lower --keep_states"
    insist_on_space("--run_dir", run.path, size * missing, f"{missing} states", hint)


def _put_aside(run: RunDir) -> None:
    """Moves what a training wrote into a folder of its own below the run's."""
    written = [run.states, run.metrics, run.samples, run.samples_page, run.tensorboard, run.failures, run.status]
    found = [path for path in written if path.exists()]
    if not found:
        return
    stamp = datetime.now(timezone.utc).strftime("%Y%m%d-%H%M%S")
    aside = run.path / f"before-{stamp}-{secrets.token_hex(2)}"
    aside.mkdir()
    for path in found:
        path.rename(aside / path.name)
    print(f"--no-resume: what was there is now in {aside}")
