"""Trains ECGAN, or a segmentation network, on pairs of photo and mask, in one process or several that share every
batch.

python launch/train.py --input_path data/train --run_dir runs/NAME
"""

from __future__ import annotations

import dataclasses
import runpy
from functools import partial
from pathlib import Path

try:
    from launch import early  # isort: skip

    early.begin(__name__)
    from ecgan.data.exclusion import no_effect
    from ecgan.errors import UserError
    from ecgan.files import write_atomically
    from ecgan.runtime.devices import Device
    from jobs.run.attempts import TRAINING
    from jobs.run.kind import Kind
    from jobs.train.job import TrainJob
    from jobs.train.request import TrainRequest, check, check_ahead, lay_out
    from jobs.train.settings import TrainSettings
    from jobs.yaml_files import to_yaml
    from launch import after, on_cluster, ranks, snapshot, taking
    from launch.at_end import AtEnd
    from launch.cluster_options import RunOptions, cluster_for, notify_here
    from launch.command import DONE, parse_both, run, use_cache, use_threads
    from slurm.processes import resources
    from slurm.scheduler import Batch, Cluster
except ModuleNotFoundError as missing:
    runpy.run_path(str(Path(__file__).with_name("missing.py")))["exit_if_not_installed"](missing)
    raise


def main() -> int:
    about = (
        "Trains ECGAN (mask and reference photo -> landscape photo), or a segmentation network to score its pictures."
    )
    settings, options = parse_both(TrainSettings, RunOptions, about)
    use_cache(settings.cache_dir)
    use_threads(settings.threads)
    cluster, why = cluster_for(settings, options, "training")
    notify = None if cluster else notify_here(options)
    there = elsewhere(settings, cluster) if cluster else None
    if options.after is not None:
        ahead = partial(check_ahead, settings, elsewhere=there)
        held_back = after.Command(Kind.TRAINING, settings, options, cluster, why, ahead, lambda: DONE)
        if (status := after.hold_back(held_back)) is not None:
            return status
    request = check(settings, there)
    if cluster:
        cluster.insist_on_usable(request.run.path)
    print_plan(request, cluster, why)
    environment = snapshot.environment(request.run, options)
    job = TrainJob(request.run.path)
    batch = Batch("training", f"ecgan-{request.run.path.name}", {TRAINING: job}, environment)
    if settings.dry_run:
        if cluster:
            on_cluster.dry_run(request.run, settings, cluster, [batch])
        return DONE

    with AtEnd(request.run) as end, taking.taken(request.run) as held:
        aside = lay_out(request)
        if aside is not None:
            print(f"--no-resume: what was there is now in {aside}")
        config = to_yaml(dataclasses.asdict(settings))
        write_atomically(request.run.config, config)
        if not cluster:
            snapshot.take(request.run, options)
            return end.of(notify, lambda: ranks.train(request, environment, held))
        known = {"total": request.plan.steps, **request.before}
        submission = on_cluster.submit(request.run, cluster, options, [batch], Kind.TRAINING, **known)
    on_cluster.tell(request.run, submission)
    return on_cluster.wait(request.run, submission, Kind.TRAINING.doing) if options.wait else DONE


def elsewhere(settings: TrainSettings, cluster: Cluster) -> tuple[Device, int]:
    """Device and number of ranks on a cluster. Raises UserError if --ranks says otherwise."""
    count = cluster.nodes * cluster.ranks_per_node
    if settings.ranks not in (None, count):
        raise UserError(
            f"--ranks {settings.ranks}: on {cluster.scheduler.title} there are {in_ranks(cluster)}; "
            "choose with --nodes, --gpus_per_node or --tasks_per_node"
        )
    return on_cluster.device(settings.device, cluster), count


def in_ranks(cluster: Cluster) -> str:
    return f"{cluster.nodes} node(s) x {cluster.ranks_per_node} rank(s)"


def print_plan(request: TrainRequest, cluster: Cluster | None, why: str) -> None:
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
    if cluster:
        where = f"{cluster.scheduler.title}: {in_ranks(cluster)}, {plan.device}{on_cluster.threads(cluster)}"
    else:
        where = f"this machine ({plan.device}), {resources.threads(plan.ranks)} thread(s) a rank"
    rows.append(("where", f"{where}; {why}"))
    if resumption is not None:
        rows += [("damaged", reason) for reason in resumption.damaged]
        rows.append(("goes on", f"after step {resumption.step} (--no-resume begins anew)"))
        rows += [("changed", change) for change in resumption.changed]
        rows += [("ignored", option) for option in resumption.ignored]
    rows.append(("run", str(request.run.path)))
    for title, text in rows:
        print(f"{title:<14}{text}", flush=True)


if __name__ == "__main__":
    run(main)
