"""Turns masks and reference photos into one verified folder of pictures, in shards.

python launch/generate.py --shards 8
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys

try:
    from ecgan import runtime
    from ecgan.errors import UserError
    from ecgan.memory import painting_memory
    from ecgan.progress import progress_bar
    from jobs.generate import merge, records
    from jobs.generate.prepare import Generation, check, examine, lay_out
    from jobs.generate.settings import GenerateSettings
    from jobs.generate.shard import GenerateShard
    from jobs.progress import read_all
    from launch.command import DONE, SOME_FAILED, parse, run, use_cache
    from slurm import resources
    from slurm.local import LocalPool, Outcome
except ModuleNotFoundError as missing:
    sys.exit(f"error: {missing}: run `make setup` once, then .venv/bin/python launch/generate.py")

_NAMES_SHOWN = 20


def main() -> int:
    settings = parse(GenerateSettings, "Generates a picture for every mask of a test set.")
    if settings.cluster == "slurm":
        raise UserError("--cluster slurm: this version generates on one machine only; use --cluster local")
    use_cache(settings.cache_dir)
    request = check(settings)
    if settings.dry_run:
        print_plan(examine(request))
        return DONE

    request.run.create(request.run.shards, request.run.images)
    lock = request.run.lock()
    try:
        merge.restore(request.run, request.results)
        generation = examine(request)
        print_plan(generation)
        if not generation.is_complete:
            return make_and_merge(generation, lock)
        request.run.write_status("done", total=len(request.plan.tasks))
        print(f"{request.results} is complete and verified: nothing to do")
        return SOME_FAILED if request.skipped else DONE
    finally:
        os.close(lock)


def make_and_merge(generation: Generation, lock: int) -> int:
    run_dir, plan = generation.request.run, generation.plan
    lay_out(generation)
    try:
        return finish(generation, make(generation, lock))
    except BaseException as error:
        run_dir.write_status("failed" if isinstance(error, UserError) else "stopped", total=len(plan.tasks))
        with contextlib.suppress(OSError):
            note_failures(generation)
        print(f"finished pictures are kept in {run_dir.path}", file=sys.stderr)
        raise


def workers_of(generation: Generation) -> list[dict[str, str]]:
    """The environment of each worker of the pool: its GPU or its share of the cores."""
    settings, painting = generation.request.settings, generation.plan.painting
    gpus = runtime.gpu_count() if painting.device == "cuda" else 0
    memory = painting_memory(painting.model, settings.batch)
    count = settings.workers or resources.default_workers(gpus, memory)
    return resources.environments(max(1, min(count, generation.plan.shards)), gpus)


def print_plan(generation: Generation) -> None:
    request, plan, todo = generation.request, generation.plan, generation.todo
    workers = workers_of(generation)
    each = f"{workers[0]['OMP_NUM_THREADS']} thread(s)" if plan.painting.device == "cpu" else "one GPU"
    shards = request.settings.shards
    asked = f" (of {shards} asked for: no more than pictures)" if 0 < len(todo) < shards else ""
    epoch = f", epoch {request.checkpoint.epoch}" if request.checkpoint.epoch else ""
    print(f"checkpoint  {request.checkpoint.path}{epoch} ({request.checkpoint.model_source})")
    print(f"pictures    {len(plan.tasks)}: {len(generation.made)} made already, {len(todo)} to do")
    for fault in request.skipped:
        print(f"skipped     {fault.reason}")
    print(f"shards      {plan.shards}{asked}")
    print(f"workers     {len(workers)} on this machine ({plan.painting.device}), {each} each")
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
    """Says what went wrong; merges if nothing did."""
    run_dir, plan = generation.request.run, generation.plan
    for message in dict.fromkeys(outcome.message for outcome in outcomes if outcome.message):
        print(f"error: {message} (log in {run_dir.logs})", file=sys.stderr)
    run_dir.clear_temporaries()  # a worker that was killed may have left one
    gathered = records.gather(run_dir)
    failures = note_failures(generation)
    if any(outcome.state == "hopeless" for outcome in outcomes):
        run_dir.write_status("failed", total=len(plan.tasks))
        return SOME_FAILED
    gaps = merge.verify(run_dir, plan, gathered)
    if gaps:
        report(generation, gaps)
        run_dir.write_status("incomplete", total=len(plan.tasks), missing=len(gaps), failed=failures)
        return SOME_FAILED
    merge.insist_on_replaceable(generation.request.results, plan, generation.request.settings.overwrite)
    merge.write_manifest(run_dir, plan, gathered, dataclasses.asdict(generation.request.settings))
    merge.swap_in(run_dir, generation.request.results)
    run_dir.write_status("done", total=len(plan.tasks), done=len(plan.tasks), failed=0)
    print(f"done: {len(plan.tasks)} pictures, verified, in {generation.request.results}")
    return SOME_FAILED if generation.request.skipped else DONE


def note_failures(generation: Generation) -> int:
    """Writes failures.jsonl; returns how many there are."""
    request = generation.request
    names = {task.name for task in generation.plan.tasks}
    others = [{"name": fault.name, "reason": fault.reason} for fault in request.skipped if fault.name not in names]
    return records.write_failures(request.run, generation.plan, records.gather(request.run), others)


def report(generation: Generation, gaps: list[merge.Gap]) -> None:
    """Names every missing picture: on the screen the first, in missing.txt all."""
    run_dir = generation.request.run
    lines = [f"{gap.name}: {gap.reason}" for gap in gaps]
    run_dir.missing.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"incomplete: {len(gaps)} of {len(generation.plan.tasks)} pictures are missing:", file=sys.stderr)
    for line in lines[:_NAMES_SHOWN]:
        print(f"  {line}", file=sys.stderr)
    if len(lines) > _NAMES_SHOWN:
        print(f"  … all of them in {run_dir.missing}", file=sys.stderr)
    print(
        f"{generation.request.results} is as it was; the same command makes what is missing, "
        "--retry_failed only what failed",
        file=sys.stderr,
    )


if __name__ == "__main__":
    run(main)
