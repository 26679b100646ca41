"""Turns masks and reference photos into one verified folder of pictures, in shards.

python launch/generate.py --shards 8
"""

from __future__ import annotations

import contextlib
import sys

try:
    from ecgan.memory import painting_memory
    from jobs.generate import merge
    from jobs.generate.finish import Finish, Merge
    from jobs.generate.prepare import Generation, check, examine, lay_out
    from jobs.generate.settings import GenerateSettings
    from jobs.generate.shard import GenerateShard
    from jobs.run import lock, record
    from jobs.run.state import State
    from jobs.run.submission import Submission
    from launch import on_slurm, shards
    from launch.command import DONE, SOME_FAILED, parse_both, run, use_cache
    from launch.slurm_options import SlurmOptions, site_for
    from slurm.site import Site
except ModuleNotFoundError as missing:
    sys.exit(f"error: {missing}: run `make setup` once, then .venv/bin/python launch/generate.py")

KIND = "generation"


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
            array, merging = shards.shapes(request.run, site, options, name_of(generation), "ID")
            on_slurm.dry_run(request.run, settings, site, [(array, generation.plan.shards), (merging, 1)])
        return DONE

    request.run.create(request.run.shards, request.run.images)
    with lock.held(request.run) as held:
        on_slurm.forget_submission(request.run)
        merge.restore(request.run, request.results)
        generation = examine(request)
        print_plan(generation, site, why)
        if generation.is_complete:
            total = len(request.plan.tasks)
            record.begin(request.run, KIND, State.DONE, total=total, done=total, failed=0)
            print(f"{request.results} is complete and verified: nothing to do")
            return SOME_FAILED if request.skipped else DONE
        if not site:
            return make_and_merge(generation, held)
        submission = submit(generation, site, options)
    on_slurm.tell(request.run, submission)
    return on_slurm.wait(request.run, submission, "generating") if options.wait else DONE


def submit(generation: Generation, site: Site, options: SlurmOptions) -> Submission:
    run_dir, plan = generation.request.run, generation.plan
    lay_out(generation)
    on_slurm.lay_out(run_dir, site, options)
    made = len(generation.made)
    record.begin(run_dir, KIND, State.SUBMITTED, total=len(plan.tasks), done=made, before=made)
    return shards.submit(run_dir, site, options, name_of(generation), jobs_of(generation), Merge(Finish.of(generation)))


def name_of(generation: Generation) -> str:
    """Of the jobs on a cluster."""
    return f"ecgan-{generation.request.results.name}"


def jobs_of(generation: Generation) -> list[GenerateShard]:
    return [GenerateShard(generation.request.run.path, shard) for shard in range(generation.plan.shards)]


def print_shards(generation: Generation) -> None:
    print("shard  pictures  first .. last")
    for number in range(generation.plan.shards):
        names = [task.name for task in generation.plan.of_shard(number)]
        print(f"{number:5}  {len(names):8}  {names[0]} .. {names[-1]}")


def make_and_merge(generation: Generation, held: int) -> int:
    run_dir, plan = generation.request.run, generation.plan
    lay_out(generation)
    here = shards.Here(run_dir, KIND, "generating", len(plan.tasks), len(generation.made))
    try:
        if here.is_hopeless(here.make(jobs_of(generation), workers_of(generation), held)):
            Finish.of(generation).note_failures()
            record.update(run_dir, State.FAILED)
            return SOME_FAILED
        return SOME_FAILED if Finish.of(generation)() else DONE
    except BaseException as error:
        shards.note_end(run_dir, error)
        with contextlib.suppress(OSError):
            Finish.of(generation).note_failures()
        print(f"finished pictures are kept in {run_dir.path}", file=sys.stderr)
        raise


def workers_of(generation: Generation) -> list[dict[str, str]]:
    settings, painting = generation.request.settings, generation.plan.painting
    memory = painting_memory(painting.model, settings.batch)
    return shards.workers(settings.workers, painting.device, memory, generation.plan.shards)


def print_plan(generation: Generation, site: Site | None, why: str) -> None:
    request, plan, todo = generation.request, generation.plan, generation.todo
    wanted = request.settings.shards
    asked = f" (of {wanted} asked for: no more than pictures)" if 0 < len(todo) < wanted else ""
    epoch = f", epoch {request.checkpoint.epoch}" if request.checkpoint.epoch else ""
    print(f"checkpoint  {request.checkpoint.path}{epoch} ({request.checkpoint.model_source})")
    print(f"pictures    {len(plan.tasks)}: {len(generation.made)} made already, {len(todo)} to do")
    for fault in request.skipped:
        print(f"skipped     {fault.reason}")
    for remark in request.remarks:
        print(f"note        {remark}")
    print(f"shards      {plan.shards}{asked}")
    if site:
        print(f"where       Slurm: an array, {site.array_parallelism} at a time ({plan.painting.device}); {why}")
    else:
        print(f"workers     {shards.describe(workers_of(generation), plan.painting.device)}; {why}")
    print(f"size        {plan.painting.size[0]}x{plan.painting.size[1]} {plan.painting.format}")
    print(f"results     {request.results}")
    print(f"run         {request.run.path}", flush=True)


if __name__ == "__main__":
    run(main)
