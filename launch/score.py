"""Scores a results folder: style, FID, mask accuracy, aesthetic, and the contest's total of them.

python launch/score.py --results results --input_path data/test --img_path data/train/imgs
"""

from __future__ import annotations

import json
import sys

try:
    from ecgan.memory import SCORING_MEMORY
    from jobs.run import lock, record
    from jobs.run.folder import RunDir
    from jobs.run.state import State
    from jobs.run.submission import Submission
    from jobs.score import parts
    from jobs.score.finish import FEW, SCORE, ScoreFinish, ScoreMerge
    from jobs.score.plan import ScorePlan
    from jobs.score.prepare import ScoreRequest, check, examine, lay_out
    from jobs.score.settings import ScoreSettings
    from jobs.score.shard import ScoreShard
    from jobs.score.table import table
    from launch import on_slurm, shards
    from launch.command import DONE, SOME_FAILED, parse_both, run, use_cache
    from launch.slurm_options import SlurmOptions, site_for
    from slurm.site import Site
except ModuleNotFoundError as missing:
    sys.exit(f"error: {missing}: run `make setup` once, then .venv/bin/python launch/score.py")

KIND = "scoring"


def main() -> int:
    about = "Scores a results folder: style, FID, mask accuracy, aesthetic, and the contest's total of them."
    settings, options = parse_both(ScoreSettings, SlurmOptions, about)
    use_cache(settings.cache_dir)
    site, why = site_for(settings.cluster, options, settings.dry_run)
    request = check(settings, on_slurm.device(settings.device, site) if site else None)
    if settings.dry_run:
        plan = examine(request)
        print_plan(request, plan, site, why)
        if site:
            array, merging = shards.shapes(request.run, site, options, name_of(request), "ID")
            on_slurm.dry_run(request.run, settings, site, [(array, plan.shards), (merging, 1)])
        return DONE

    request.run.create(request.run.shards, parts.folder(request.run))
    with lock.held(request.run) as held:
        on_slurm.forget_submission(request.run)
        plan = examine(request)
        print_plan(request, plan, site, why)
        lay_out(request, plan)
        if not site:
            return measure_here(request, plan, held)
        submission = submit(request, plan, site, options)
    on_slurm.tell(request.run, submission)
    if not options.wait:
        return DONE
    status = on_slurm.wait(request.run, submission, "scoring")
    if status != DONE:
        return status
    score = json.loads((request.run.path / SCORE).read_text())
    print("\n".join(table(score)))
    return SOME_FAILED if score["not_scored"] else DONE


def submit(request: ScoreRequest, plan: ScorePlan, site: Site, options: SlurmOptions) -> Submission:
    run_dir = request.run
    on_slurm.lay_out(run_dir, site, options)
    before = measured(plan)
    record.begin(run_dir, KIND, State.SUBMITTED, total=plan.total, done=before, before=before)
    merging = ScoreMerge(ScoreFinish(run_dir.path))
    return shards.submit(run_dir, site, options, name_of(request), jobs_of(run_dir, plan), merging)


def measure_here(request: ScoreRequest, plan: ScorePlan, held: int) -> int:
    here = shards.Here(request.run, KIND, "scoring", plan.total, measured(plan))
    try:
        if here.is_hopeless(here.make(jobs_of(request.run, plan), workers_of(request, plan), held)):
            record.update(request.run, State.FAILED)
            return SOME_FAILED
        return SOME_FAILED if ScoreFinish(request.run.path)() else DONE
    except BaseException as error:
        shards.note_end(request.run, error)
        print(f"what is measured is kept in {request.run.path}", file=sys.stderr)
        raise


def name_of(request: ScoreRequest) -> str:
    """Of the jobs on a cluster."""
    return f"ecgan-{request.run.path.name}"


def jobs_of(run_dir: RunDir, plan: ScorePlan) -> list[ScoreShard]:
    return [ScoreShard(run_dir.path, shard) for shard in range(plan.shards)]


def workers_of(request: ScoreRequest, plan: ScorePlan) -> list[dict[str, str]]:
    return shards.workers(request.settings.workers, plan.judges.device, SCORING_MEMORY, plan.shards)


def measured(plan: ScorePlan) -> int:
    """How many subjects need not be measured any more."""
    return sum(len(part.subjects) for part in plan.parts if part.shard is None)


def print_plan(request: ScoreRequest, plan: ScorePlan, site: Site | None, why: str) -> None:
    pictures, photos = (sum(len(part.subjects) for part in plan.of_kind(kind)) for kind in ("pictures", "photos"))
    judges = plan.judges
    print(f"pictures      {pictures} of {plan.results}, {plan.size[0]}x{plan.size[1]}")
    for name, reason in plan.missing:
        print(f"skipped       {name or 'input'}: {reason}")
    if judges.has_features:
        known = "" if photos else ", whose statistics are known already"
        print(f"photos        {plan.photos} of {request.settings.img_path}{known}")
    print(f"FID           {judges.inception or 'no: --inception_weights names no weights, and none were found'}")
    print(f"segmenter     {judges.segmenter or 'none: no mask accuracy (see docs/scoring.md)'}")
    print(f"aesthetic     {judges.aesthetic or 'none'}")
    print(f"to measure    {plan.total - measured(plan)} of {plan.total}, in {plan.shards} shard(s)")
    if site:
        print(f"where         Slurm: an array, {site.array_parallelism} at a time ({judges.device}); {why}")
    elif plan.shards:
        print(f"workers       {shards.describe(workers_of(request, plan), judges.device)}; {why}")
    print(f"run           {request.run.path}", flush=True)
    if judges.inception and pictures < FEW:
        print(f"warning: FID of {pictures} pictures says little; it is meant for {FEW} and more", file=sys.stderr)


if __name__ == "__main__":
    run(main)
