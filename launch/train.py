"""Trains ECGAN on pairs of photo and mask, in one process or several that share every batch.

python launch/train.py --input_path data/train --run_dir runs/NAME
"""

from __future__ import annotations

import dataclasses
import runpy
from pathlib import Path

try:
    from launch import early  # isort: skip

    early.begin(__name__)
    import yaml

    from ecgan.data.exclusion import no_effect
    from ecgan.errors import UserError
    from ecgan.files import write_atomically
    from ecgan.runtime.devices import Device
    from jobs.run import record
    from jobs.run.attempts import TRAINING
    from jobs.run.kind import Kind
    from jobs.run.state import State
    from jobs.run.submission import Submission
    from jobs.train.job import TrainJob, prepare_code
    from jobs.train.request import TrainRequest, check, lay_out
    from jobs.train.settings import TrainSettings
    from launch import flow, on_slurm, ranks, snapshot
    from launch.command import DONE, parse_both, run, use_cache, use_threads
    from launch.slurm_options import SlurmOptions, site_for
    from slurm import resources, script
    from slurm.script import Shape
    from slurm.site import Site
    from slurm.supervisor import Supervised
except ModuleNotFoundError as missing:
    runpy.run_path(str(Path(__file__).with_name("missing.py")))["exit_if_not_installed"](missing)
    raise


def main() -> int:
    about = "Trains ECGAN: semantic mask and reference photo -> landscape photo."
    settings, options = parse_both(TrainSettings, SlurmOptions, about)
    use_cache(settings.cache_dir)
    use_threads(settings.threads)
    site, why = site_for(settings.cluster, options, settings.dry_run)
    request = check(settings, elsewhere(settings, site) if site else None)
    print_plan(request, site, why)
    environment = snapshot.environment(request.run, options)
    shape = script.training(site, f"ecgan-{request.run.path.name}", environment) if site else None
    if settings.dry_run:
        if site and shape:
            on_slurm.dry_run(request.run, settings, site, [(shape, 1)])
        return DONE

    with flow.taken(request.run) as held:
        aside = lay_out(request)
        if aside is not None:
            print(f"--no-resume: what was there is now in {aside}")
        config = yaml.safe_dump(dataclasses.asdict(settings), sort_keys=False)
        write_atomically(request.run.config, config)
        if not site or not shape:
            snapshot.take(request.run, options)
            prepare_code(request.plan)
            return ranks.train(request, environment, held)
        submission = submit(request, site, shape, options)
    on_slurm.tell(request.run, submission)
    return on_slurm.wait(request.run, submission, Kind.TRAINING.doing) if options.wait else DONE


def elsewhere(settings: TrainSettings, site: Site) -> tuple[Device, int]:
    """Device and number of ranks on a cluster. Raises UserError if --ranks says otherwise."""
    if settings.ranks not in (None, site.ranks):
        raise UserError(
            f"--ranks {settings.ranks}: on Slurm there are {site.nodes} node(s) x {site.ranks_per_node} rank(s); "
            "choose with --nodes, --gpus_per_node or --tasks_per_node"
        )
    return on_slurm.device(settings.device, site), site.ranks


def submit(request: TrainRequest, site: Site, shape: Shape, options: SlurmOptions) -> Submission:
    run_dir = request.run
    on_slurm.equip(run_dir, site, options)
    record.begin(run_dir, Kind.TRAINING, State.SUBMITTED, total=request.plan.steps, step=request.first_step)
    job = Supervised(run_dir.path, TRAINING, TrainJob(run_dir.path), site, shape)
    with on_slurm.Sending(run_dir, site) as sending:
        sending.send("training", shape, [job])
    return sending.submission


def print_plan(request: TrainRequest, site: Site | None, why: str) -> None:
    plan, settings, trainable = request.plan, request.plan.settings, request.plan.settings.trainable
    model, held_out, resumption = settings.model, len(plan.held_out), request.resumption
    left_out = f", {len(request.excluded.names)} left out by the list" if request.excluded.names else ""
    in_parts = f", in micro-batches of {plan.at_once}" if plan.at_once < plan.share else ""
    rows = [("training set", f"{settings.input_path}: {len(plan.pairs)} pairs{left_out}")]
    rows += [("note", no_effect(request.excluded.unknown))] if request.excluded.unknown else []
    rows += [("skipped", fault.reason) for fault in request.skipped]
    rows += [
        ("model", f"{model.width}x{model.height}, {trainable.widths(settings)}, {model.label_nc} classes"),
        ("batch", f"{settings.batch_size}: {plan.ranks} rank(s) x {plan.share}{in_parts}"),
        ("steps", f"{plan.steps}, {plan.sampler.steps_per_epoch} an epoch"),
        *trainable.rows(plan),
    ]
    if held_out:
        rows.append(("held out", ", ".join([f"{held_out} pairs to measure with", *map(str, plan.files.judges)])))
    if site:
        where = f"Slurm: {site.nodes} node(s) x {site.ranks_per_node} rank(s), {plan.device}{on_slurm.threads(site)}"
    else:
        where = f"this machine ({plan.device}), {resources.threads(plan.ranks)} thread(s) a rank"
    rows.append(("where", f"{where}; {why}"))
    if resumption is not None:
        rows.append(("goes on", f"after step {resumption.step} (--no-resume begins anew)"))
        rows += [("changed", change) for change in resumption.changed]
        rows += [("ignored", option) for option in resumption.ignored]
    rows.append(("run", str(request.run.path)))
    for title, text in rows:
        print(f"{title:<14}{text}", flush=True)


if __name__ == "__main__":
    run(main)
