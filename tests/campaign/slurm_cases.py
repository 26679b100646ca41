"""Disturbed runs on a real Slurm: ranks, nodes, controller, database, disks, clocks."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from jobs.run.status import Status, read_status
from jobs.run.submission import read_submission
from launch.scheduler import with_scheduler
from tests.campaign import blows, disks
from tests.campaign.case import Case, Fault, insist, kind
from tests.campaign.kills import still_kept
from tests.campaign.nodes import pause
from tests.campaign.work import Generation, Training, Work, launch
from tests.campaign.world import Undisturbed, World

_JOB = ("--cluster", "slurm", "--gpus_per_node", 0, "--cpus_per_task", 1, "--time", 20)
_MEGABYTES = 224
#: Seconds: from the submission to the disturbance at most; until a run is over, also if it waits for a dead node; for
#: processes of a job that is over.
_LATEST, _OVER, _GONE = 30, 600, 180
#: How often the same command is given again, where others disturb the cluster, too.
_AGAIN = 6
_REFUSED = "is in use by"


def training(world: World, output: Path) -> Training:
    return world.training(output, 2, *_JOB, "--nodes", 2)


def generation(case: Case, world: World, output: Path) -> Generation:
    return world.generation(output, *_JOB, "--shards", case.chance.randint(1, 4))


def either(case: Case, world: World, folder: Path) -> tuple[Work, Undisturbed]:
    """A training on two nodes, or a generation in shards."""
    if case.chance.random() < 0.4:
        return training(world, folder / "run"), world.undisturbed(Training, 2)
    return generation(case, world, folder / "results"), world.undisturbed(Generation)


def standing(work: Work) -> Status:
    """With the scheduler's word."""
    return with_scheduler([read_status(work.run.path)])[0]


def submit(work: Work) -> None:
    """Raises Fault if it is not taken in time: something else may still hold the run, or Slurm not answer."""
    deadline = time.monotonic() + _OVER
    while True:
        ended = blows.finish(work.command())
        if ended.status == 0:
            return
        busy = _REFUSED in ended.errors or "Slurm" in ended.errors or "slurm" in ended.errors
        insist(busy and time.monotonic() < deadline, f"not submitted: status {ended.status}: {ended.errors[-600:]}")
        time.sleep(2)


def wait_until_over(work: Work) -> Status:
    deadline = time.monotonic() + _OVER
    while not (status := standing(work)).is_over:
        insist(time.monotonic() < deadline, f"not over after {_OVER} s: {status.state}, {status.scheduler}")
        time.sleep(2)
    return status


def disturbed(case: Case, world: World, work: Work, undisturbed: Undisturbed, disturb: Callable[[], None]) -> None:
    """Submits, disturbs at a random moment, and gives the same command until it is done."""
    submit(work)
    time.sleep(case.chance.uniform(0, _LATEST))
    disturb()
    carry_on(case, work, undisturbed)


def carry_on(case: Case, work: Work, undisturbed: Undisturbed) -> None:
    kept: dict[str, object] = {}
    for _ in range(_AGAIN):
        status = wait_until_over(work)
        case.note(f"over: {status.state}" + (f" ({status.error})" if status.error else ""))
        wait_until_gone(case, work)
        kept = still_kept(work, kept)
        work.insist_on_no_half(undisturbed.product)
        if status.state == "done":
            return work.insist_on_whole(undisturbed.product)
        submit(work)
    raise Fault(f"not done after {_AGAIN} times the same command")


def wait_until_gone(case: Case, work: Work) -> None:
    """Until nothing of it runs, and Slurm knows of no job that might."""
    deadline = time.monotonic() + _GONE
    while left := blows.own(case.folder):
        insist(time.monotonic() < deadline, f"over, and still runs: {[line[:200] for _, line in left]}")
        time.sleep(1)


@kind("rank killed", "slurm", share=4)
def rank_killed(case: Case, world: World) -> None:
    """Of a training a rank, of a shard the process that paints; or another process of their jobs, srun's say."""
    work, undisturbed = either(case, world, case.folder)
    blow = blows.Blow.drawn(case.chance, True, _LATEST)

    def strike() -> None:
        if struck := blow.on_cluster(case.folder):
            case.kills.append(f"{blow.signal.name} to {struck}")

    disturbed(case, world, work, undisturbed, strike)


@kind("node killed", "slurm", share=2)
def node_killed(case: Case, world: World) -> None:
    """With all that runs there, as if its power were cut, or its slurmd alone, as if its network were."""
    work, undisturbed = either(case, world, case.folder)
    cluster, jobs, away = world.cluster, case.chance.random() < 0.5, case.chance.uniform(1, 60)
    node = case.chance.choice(cluster.nodes)

    def cut() -> None:
        if count := cluster.kill_node(node, jobs):
            case.kills.append(f"SIGKILL to {node}, {count} processes, for {away:.0f} s")
        pause(away)
        cluster.revive_node(node)

    disturbed(case, world, work, undisturbed, cut)


@kind("slurmctld killed", "slurm", share=2)
def controller_killed(case: Case, world: World) -> None:
    daemon_killed(case, world, "slurmctld")


@kind("slurmdbd killed", "slurm", share=2)
def database_killed(case: Case, world: World) -> None:
    daemon_killed(case, world, "slurmdbd")


def daemon_killed(case: Case, world: World, daemon: str) -> None:
    work, undisturbed = either(case, world, case.folder)
    away = case.chance.uniform(0, 30)

    def kill() -> None:
        with world.cluster.without(daemon):
            case.kills.append(f"SIGKILL to {daemon}, for {away:.0f} s")
            pause(away)

    disturbed(case, world, work, undisturbed, kill)


@kind("full disk", "slurm")
def full_disk(case: Case, world: World) -> None:
    with disks.in_memory(case.folder / "disk", _MEGABYTES) as disk:
        work, undisturbed = either(case, world, disk)

        def fill() -> None:
            disks.fill(disk, case.chance.choice([0, 0, 5_000]))
            insist_that_it_says_why(case, work, "space left")
            (disk / "filler").unlink()

        disturbed(case, world, work, undisturbed, fill)


@kind("disk that turns read-only", "slurm")
def read_only(case: Case, world: World) -> None:
    with disks.failing(case.folder / "image", case.folder / "disk", _MEGABYTES) as disk:
        work, undisturbed = either(case, world, disk.folder)

        def fail() -> None:
            disk.fail()
            insist_that_it_says_why(case, work, "read-only")
            disk.mend()

        disturbed(case, world, work, undisturbed, fail)


def insist_that_it_says_why(case: Case, work: Work, words: str) -> None:
    """To whoever asks for its status once it is over, or gives the same command: where nothing can be written, no job
    can leave a word. Or it was done before."""
    status = wait_until_over(work)
    wait_until_gone(case, work)
    case.note(f"disturbed: {status.state}" + (f" ({status.error})" if status.error else ""))
    if status.state == "done" or words in (status.error or "").lower():
        return
    again = blows.finish(work.command())
    case.note(f"again: status {again.status}: {again.errors[-200:]}")
    insist(again.status and words in again.errors.lower(), f"neither says {words!r}: {status.error}; {again.errors}")


@kind("clock an hour off", "slurm")
def wrong_clock(case: Case, world: World) -> None:
    """Of the processes that jobs start on one node; this one is killed once, and begins again there or elsewhere."""
    node = case.chance.choice(world.cluster.nodes)
    work, undisturbed = either(case, world, case.folder)
    blow = blows.Blow.drawn(case.chance, True, _LATEST)

    def strike() -> None:
        if struck := blow.on_cluster(case.folder):
            case.kills.append(f"{blow.signal.name} to {struck}")

    with world.cluster.wrong_clock(node, case.chance) as off:
        case.note(f"{node}: {off}")
        disturbed(case, world, work, undisturbed, strike)


@kind("requeued, cancelled or told to end", "slurm")
def told(case: Case, world: World) -> None:
    work, undisturbed = either(case, world, case.folder)
    how = case.chance.choice(["requeue", "cancel", "scancel", "USR2"])

    def tell() -> None:
        submission = read_submission(work.run.submission)
        job = submission.ids[0] if submission else ""
        commands = {
            "requeue": ["scontrol", "requeue", job],
            "cancel": launch("cancel", work.run.path),
            "scancel": ["scancel", job],
            "USR2": ["scancel", "--signal=USR2", job],
        }
        done = subprocess.run(commands[how], capture_output=True, text=True)
        case.note(f"{how}: status {done.returncode} {done.stderr.strip()[-100:]}")

    disturbed(case, world, work, undisturbed, tell)


@kind("several launchers", "slurm")
def several(case: Case, world: World) -> None:
    """One submits; the others are told that the run is in use."""
    work, undisturbed = either(case, world, case.folder)
    with ThreadPoolExecutor(3) as pool:
        ended = list(pool.map(lambda _: blows.finish(work.command()), range(3)))
    case.note(f"status {[each.status for each in ended]}")
    insist([each.status for each in ended].count(0) == 1, f"not one of them submitted: {ended}")
    insist(all(each.status == 0 or _REFUSED in each.errors for each in ended), f"refused: {ended}")
    carry_on(case, work, undisturbed)
