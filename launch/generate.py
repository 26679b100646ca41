"""Turns masks and reference photos into one verified folder of pictures, in shards.

python launch/generate.py --shards 8
"""

from __future__ import annotations

import contextlib
import os
import sys

try:
    from ecgan import runtime
    from ecgan.errors import UserError
    from ecgan.memory import painting_memory
    from ecgan.progress import progress_bar
    from jobs.generate import merge
    from jobs.generate.finish import Finish, Merge
    from jobs.generate.prepare import Generation, check, examine, lay_out
    from jobs.generate.settings import GenerateSettings
    from jobs.generate.shard import GenerateShard
    from jobs.progress import read_all
    from jobs.submission import Submission
    from launch import on_slurm
    from launch.command import DONE, SOME_FAILED, parse_both, run, use_cache
    from launch.slurm_options import SlurmOptions, site_for
    from slurm import resources, script
    from slurm.local import LocalPool, Outcome
    from slurm.script import Shape
    from slurm.site import Site
    from slurm.supervisor import Supervised
except ModuleNotFoundError as missing:
    sys.exit(f"error: {missing}: run `make setup` once, then .venv/bin/python launch/generate.py")


def main() -> int:
    about = "Generates a picture for every mask of a test set."
    settings, options = parse_both(GenerateSettings, SlurmOptions, about)
    use_cache(settings.cache_dir)
    site, why = site_for(settings.cluster, options, settings.dry_run)
    request = check(settings, on_slurm.device(settings.device, site) if site else None)
    if settings.dry_run:
        generation = examine(request)
        print_plan(generation, site, why)
        if site:
            print_shards(generation)
            shards, merging = shapes(generation, site, options, "ID")
            on_slurm.dry_run(request.run, settings, site, [(shards, generation.plan.shards), (merging, 1)])
        return DONE

    request.run.create(request.run.shards, request.run.images)
    lock = request.run.lock()
    try:
        on_slurm.forget_submission(request.run)
        merge.restore(request.run, request.results)
        generation = examine(request)
        print_plan(generation, site, why)
        if generation.is_complete:
            request.run.write_status("done", total=len(request.plan.tasks))
            print(f"{request.results} is complete and verified: nothing to do")
            return SOME_FAILED if request.skipped else DONE
        if not site:
            return make_and_merge(generation, lock)
        submission = submit(generation, site, options)
    finally:
        os.close(lock)
    on_slurm.tell(request.run, submission)
    return on_slurm.wait(request.run, submission, "generating") if options.wait else DONE


def submit(generation: Generation, site: Site, options: SlurmOptions) -> Submission:
    """An array with a job for each shard, and one that merges when all have ended, however they did."""
    run_dir, plan = generation.request.run, generation.plan
    lay_out(generation)
    on_slurm.lay_out(run_dir, site, options)
    made = len(generation.made)
    run_dir.write_status("submitted", kind="generation", total=len(plan.tasks), done=made, before=made)
    with on_slurm.Sending(run_dir, site) as sending:
        array = None
        if plan.shards:
            shape, _ = shapes(generation, site, options, None)
            jobs = [
                Supervised(run_dir.path, f"shard-{number}", GenerateShard(run_dir.path, number), site, shape)
                for number in range(plan.shards)
            ]
            array = sending.send("shards", shape, jobs)
        _, shape = shapes(generation, site, options, array)
        sending.send("merge", shape, [Supervised(run_dir.path, "merge", Merge(Finish.of(generation)), site, shape)])
    return sending.submission


def shapes(generation: Generation, site: Site, options: SlurmOptions, array: str | None) -> tuple[Shape, Shape]:
    """Of the shards' array, and of the merge that waits for the job `array`."""
    run_dir = generation.request.run
    environment = on_slurm.environment_of(run_dir, options)
    name = f"ecgan-{generation.request.results.name}"
    return script.shard(site, name, environment), script.merge(site, f"{name}-merge", environment, array)


def print_shards(generation: Generation) -> None:
    print("shard  pictures  first .. last")
    for number in range(generation.plan.shards):
        names = [task.name for task in generation.plan.of_shard(number)]
        print(f"{number:5}  {len(names):8}  {names[0]} .. {names[-1]}")


def make_and_merge(generation: Generation, lock: int) -> int:
    run_dir, plan = generation.request.run, generation.plan
    lay_out(generation)
    try:
        return finish(generation, make(generation, lock))
    except BaseException as error:
        run_dir.write_status("failed" if isinstance(error, UserError) else "stopped", total=len(plan.tasks))
        with contextlib.suppress(OSError):
            Finish.of(generation).note_failures()
        print(f"finished pictures are kept in {run_dir.path}", file=sys.stderr)
        raise


def workers_of(generation: Generation) -> list[dict[str, str]]:
    """The environment of each worker of the pool: its GPU or its share of the cores."""
    settings, painting = generation.request.settings, generation.plan.painting
    gpus = runtime.gpu_count() if painting.device == "cuda" else 0
    memory = painting_memory(painting.model, settings.batch)
    count = settings.workers or resources.default_workers(gpus, memory)
    return resources.environments(max(1, min(count, generation.plan.shards)), gpus)


def print_plan(generation: Generation, site: Site | None, why: str) -> None:
    request, plan, todo = generation.request, generation.plan, generation.todo
    shards = request.settings.shards
    asked = f" (of {shards} asked for: no more than pictures)" if 0 < len(todo) < shards else ""
    epoch = f", epoch {request.checkpoint.epoch}" if request.checkpoint.epoch else ""
    print(f"checkpoint  {request.checkpoint.path}{epoch} ({request.checkpoint.model_source})")
    print(f"pictures    {len(plan.tasks)}: {len(generation.made)} made already, {len(todo)} to do")
    for fault in request.skipped:
        print(f"skipped     {fault.reason}")
    print(f"shards      {plan.shards}{asked}")
    if site:
        print(f"where       Slurm: an array, {site.array_parallelism} at a time ({plan.painting.device}); {why}")
    else:
        workers = workers_of(generation)
        each = f"{workers[0]['OMP_NUM_THREADS']} thread(s)" if plan.painting.device == "cpu" else "one GPU"
        print(f"workers     {len(workers)} on this machine ({plan.painting.device}), {each} each; {why}")
    print(f"size        {plan.painting.size[0]}x{plan.painting.size[1]} {plan.painting.format}")
    print(f"results     {request.results}")
    print(f"run         {request.run.path}", flush=True)


def make(generation: Generation, lock: int) -> list[Outcome]:
    """Runs every shard on this machine, with one bar over all; raises what interrupts it, workers ended."""
    run_dir, plan = generation.request.run, generation.plan
    before = len(generation.made)
    pool = LocalPool(workers_of(generation), run_dir.logs, keep_open=[lock])
    with progress_bar(len(plan.tasks), "generating", "picture", initial=before) as bar:

        def tick() -> None:
            shards = read_all(run_dir.shards)
            if all(shard["state"] == "starting" for shard in shards):
                bar.unpause()  # loading and compiling are not painting: rate and ETA leave them out
                return
            done, failed = (sum(shard[key] for shard in shards) for key in ("done", "failed"))
            if before + done + failed > bar.n:
                bar.update(before + done + failed - bar.n)
                run_dir.write_status("running", total=len(plan.tasks), done=before + done, failed=failed)

        outcomes = pool.run([GenerateShard(run_dir.path, shard) for shard in range(plan.shards)], tick)
        tick()
    return outcomes


def finish(generation: Generation, outcomes: list[Outcome]) -> int:
    """Says what went wrong; merges unless nothing could be made."""
    run_dir, plan = generation.request.run, generation.plan
    for message in dict.fromkeys(outcome.message for outcome in outcomes if outcome.message):
        print(f"error: {message} (log in {run_dir.logs})", file=sys.stderr)
    if any(outcome.state == "hopeless" for outcome in outcomes):
        Finish.of(generation).note_failures()
        run_dir.write_status("failed", total=len(plan.tasks))
        return SOME_FAILED
    return SOME_FAILED if Finish.of(generation)() else DONE


if __name__ == "__main__":
    run(main)
