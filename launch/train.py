"""Trains ECGAN on pairs of photo and mask, in one process or several that share every batch.

python launch/train.py --input_path data/train --run_dir runs/NAME
"""

from __future__ import annotations

import dataclasses
import sys

try:
    import yaml

    from ecgan.data.exclusion import no_effect
    from ecgan.errors import UserError
    from ecgan.files import write_atomically
    from ecgan.progress import progress_bar
    from jobs.run import lock, record
    from jobs.run.folder import RunDir
    from jobs.run.record import TRAINING
    from jobs.run.state import State
    from jobs.run.submission import Submission
    from jobs.train.job import TrainJob, prepare_code
    from jobs.train.prepare import Request, begin, check
    from jobs.train.settings import TrainSettings
    from launch import on_slurm
    from launch.command import DONE, INTERRUPTED, SOME_FAILED, STOPPED, Terminated, parse_both, run, use_cache
    from launch.slurm_options import SlurmOptions, site_for
    from slurm import rank, resources, script, starters
    from slurm.ranks import Ranks
    from slurm.script import Shape
    from slurm.site import Site
    from slurm.supervisor import Supervised
except ModuleNotFoundError as missing:
    sys.exit(f"error: {missing}: run `make setup` once, then .venv/bin/python launch/train.py")

_PAINT = "paint with\n  python launch/generate.py --checkpoint"
#: Seconds between two looks at the status.
_TICK = 0.5


def main() -> int:
    about = "Trains ECGAN: semantic mask and reference photo -> landscape photo."
    settings, options = parse_both(TrainSettings, SlurmOptions, about)
    use_cache(settings.cache_dir)
    site, why = site_for(settings.cluster, options, settings.dry_run)
    request = check(settings, elsewhere(settings, site) if site else None)
    print_plan(request, site, why)
    environment = on_slurm.environment_of(request.run, options)
    shape = script.training(site, f"ecgan-{request.run.path.name}", environment) if site else None
    if settings.dry_run:
        if site and shape:
            on_slurm.dry_run(request.run, settings, site, [(shape, 1)])
        return DONE

    request.run.create()
    with lock.held(request.run) as held:
        on_slurm.forget_submission(request.run)
        begin(request)
        config = yaml.safe_dump(dataclasses.asdict(settings), sort_keys=False)
        write_atomically(request.run.config, config)
        if not site or not shape:
            prepare_code(request.plan)
            return train(request, held)
        submission = submit(request, site, shape, options)
    on_slurm.tell(request.run, submission)
    return on_slurm.wait(request.run, submission, "training") if options.wait else DONE


def elsewhere(settings: TrainSettings, site: Site) -> tuple[str, int]:
    """Device and number of ranks on a cluster. Raises UserError if --ranks says otherwise."""
    if settings.ranks not in (None, site.ranks):
        raise UserError(
            f"--ranks {settings.ranks}: on Slurm there are {site.nodes} node(s) x {site.ranks_per_node} rank(s); "
            "choose with --nodes, --gpus_per_node or --tasks_per_node"
        )
    return on_slurm.device(settings.device, site), site.ranks


def submit(request: Request, site: Site, shape: Shape, options: SlurmOptions) -> Submission:
    run_dir = request.run
    on_slurm.lay_out(run_dir, site, options)
    record.begin(run_dir, TRAINING, State.SUBMITTED, total=request.plan.steps, step=request.resumed_step or 0)
    job = Supervised(run_dir.path, TRAINING, TrainJob(run_dir.path), site, shape)
    with on_slurm.Sending(run_dir, site) as sending:
        sending.send("training", shape, [job])
    return sending.submission


def print_plan(request: Request, site: Site | None, why: str) -> None:
    plan, settings = request.plan, request.plan.settings
    left_out = f", {len(request.excluded.names)} left out by the list" if request.excluded.names else ""
    share = settings.batch_size // plan.ranks
    micro = settings.micro_batch or share
    model = settings.model
    print(f"training set  {settings.input_path}: {len(plan.pairs)} pairs{left_out}")
    if request.excluded.unknown:
        print(f"note          {no_effect(request.excluded.unknown)}")
    for fault in request.skipped:
        print(f"skipped       {fault.reason}")
    widths = "SegFormer-B0" if settings.trains_segmenter else f"ngf {model.ngf}, ndf {model.ndf}"
    print(f"model         {model.width}x{model.height}, {widths}, {model.label_nc} classes")
    print(
        f"batch         {settings.batch_size}: {plan.ranks} rank(s) x {share}"
        + (f", in micro-batches of {micro}" if micro < share else "")
    )
    print(f"steps         {plan.steps}, {plan.sampler.steps_per_epoch} an epoch")
    if not settings.trains_segmenter:
        print(f"perceptual    {plan.vgg or 'off'}")
    if plan.held_out:
        judges = "".join(f", {path}" for path in (plan.segmenter, plan.inception) if path)
        print(f"held out      {len(plan.held_out)} pairs to measure with{judges}")
    if site:
        print(f"where         Slurm: {site.nodes} node(s) x {site.ranks_per_node} rank(s), {plan.device}; {why}")
    else:
        print(f"where         this machine ({plan.device}), {_threads(plan.ranks)} thread(s) a rank; {why}")
    if request.resumed_step is not None:
        print(f"goes on       after step {request.resumed_step} (--no-resume begins anew)")
    for change in request.changed:
        print(f"changed       {change}")
    print(f"run           {request.run.path}", flush=True)


def train(request: Request, held: int) -> int:
    """Runs the ranks and shows how far they are, until they have ended."""
    run_dir, plan = request.run, request.plan
    record.begin(run_dir, TRAINING, State.STARTING, total=plan.steps, step=request.resumed_step or 0)
    threads = str(_threads(plan.ranks))
    environment = {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": "1"}
    ranks = Ranks(TrainJob(run_dir.path), starters.here(plan.ranks), environment, run_dir.logs, keep_open=[held])
    try:
        watch(request, ranks)
    except (KeyboardInterrupt, Terminated) as error:
        return stop(request, ranks, by_user=isinstance(error, KeyboardInterrupt))
    except BaseException:
        ranks.kill()
        raise
    return report(run_dir, ranks, plan.settings.trains_segmenter)


def watch(request: Request, ranks: Ranks) -> None:
    """One bar over all steps, from the status that rank 0 writes."""
    plan, first = request.plan, request.resumed_step or 0
    with progress_bar(plan.steps, "training", "step", initial=first) as bar:
        while not ranks.wait(_TICK):
            told = record.read(request.run)
            if told.state is not State.RUNNING or told.step is None:
                bar.unpause()  # loading and compiling are not training: rate and ETA leave them out
                continue
            shown = [f"{told.images_per_second:.2f} images/s"] if told.images_per_second else []
            shown += [f"{name} {value:.3g}" for name, value in (told.losses or {}).items()]
            bar.set_postfix_str(", ".join(shown), refresh=False)
            if told.step > bar.n:
                bar.total = told.total
                bar.update(told.step - bar.n)


def stop(request: Request, ranks: Ranks, by_user: bool) -> int:
    """Lets the ranks finish their step and save; a second signal ends them at once."""
    run_dir, plan = request.run, request.plan
    print("\nstopping: finishing the step and saving the state (again: end at once)", file=sys.stderr, flush=True)
    ranks.ask_to_stop()
    try:
        while not ranks.wait(_TICK):
            pass
    except (KeyboardInterrupt, Terminated):
        ranks.kill()
        record.update(run_dir, State.STOPPED)
        print("ended at once; the same command goes on from the last state that was saved", file=sys.stderr)
        return INTERRUPTED if by_user else STOPPED
    status = report(run_dir, ranks, plan.settings.trains_segmenter)
    return INTERRUPTED if by_user and status == STOPPED else status


def report(run_dir: RunDir, ranks: Ranks, is_segmenter: bool) -> int:
    """Says how it ended; returns the exit status."""
    told = record.read(run_dir)
    if ranks.status == rank.DONE:
        use = "score with\n  python launch/score.py --segmenter" if is_segmenter else _PAINT
        print(f"done: {told.last_state}; {use} {run_dir.path}")
        return DONE
    if ranks.status == rank.STOPPED:
        print(f"stopped after step {told.step}; the same command goes on from there", file=sys.stderr)
        return STOPPED
    trouble = ranks.trouble() or "unknown"
    record.update(run_dir, State.FAILED, error=trouble, log=str(run_dir.logs))
    print(f"error: {trouble} (logs in {run_dir.logs})", file=sys.stderr)
    if told.last_state:
        print(f"the last state is {told.last_state}: the same command goes on from there", file=sys.stderr)
    return SOME_FAILED


def _threads(ranks: int) -> int:
    return max(1, resources.cores() // ranks)


if __name__ == "__main__":
    run(main)
