"""How a supervised job ends, with real processes and a faked srun and scontrol beside the real ones elsewhere."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Teller, commands, wait_until
from supervised_jobs import Job

from jobs.run import attempts, record
from jobs.run.attempts import Details
from jobs.run.folder import RunDir
from jobs.run.kind import Kind
from jobs.run.state import State
from slurm.script import Shape
from slurm.site import Site
from slurm.supervisor import Supervised

pytestmark = pytest.mark.process

#: Starts one task here; and notes what it is asked.
SRUN = """#!/bin/sh
echo "$*" >> "$(dirname "$0")/started"
while [ "${1#--}" != "$1" ]; do shift; done
SLURM_NTASKS=1 exec "$@"
"""
SCONTROL = """#!/bin/sh
echo "$*" >> "$(dirname "$0")/asked"
[ "$1" = requeue ] || echo "JobState=$(cat "$(dirname "$0")/state") PreemptTime=None"
"""
RUN = "import pickle, sys; pickle.load(open(sys.argv[1], 'rb'))()"


class Stand:
    """A job of the given conduct, as its batch step runs it."""

    def __init__(self, folder: Path, disk: Path | None = None) -> None:
        self.folder, self.run = folder, (disk or folder) / "run"
        self.bin = folder / "bin"
        for path in (self.run, self.bin):
            path.mkdir()
        for name, text in (("srun", SRUN), ("scontrol", SCONTROL)):
            (self.bin / name).write_text(text)
            (self.bin / name).chmod(0o755)
        (self.bin / "state").write_text("COMPLETING")

    def start(self, conduct: str, **site: Any) -> subprocess.Popen[bytes]:
        job = Supervised(self.run, "training", Job(conduct), Site(gpus_per_node=0, **site), Shape("t"))
        (self.folder / "job.pickle").write_bytes(pickle.dumps(job))
        environment = os.environ | {
            "PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(Path(__file__).parent),
            "SLURM_JOB_ID": "7",
            "SLURM_JOB_NODELIST": "n1",
        }
        command = [sys.executable, "-c", RUN, str(self.folder / "job.pickle")]
        return subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    @property
    def asked(self) -> list[str]:
        path = self.bin / "asked"
        return path.read_text().splitlines() if path.exists() else []

    def last(self) -> Details:
        return attempts.every(self.run / "attempts")[-1].details

    def process(self, number: int = 1) -> int:
        """The one that computes, once it does."""
        logs = self.run / f"logs/training-{number:04}"
        begun = logs / "rank-0.log"
        wait_until(lambda: begun.exists() and "working" in begun.read_text())
        ranks = [pid for pid, command in commands() if "-m slurm.processes.rank " in command and f"{logs} " in command]
        return max(ranks)  # the stand-in for srun was there before


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    yield Stand(tmp_path)


def test_done(stand: Stand) -> None:
    job = stand.start("done")
    assert job.wait(60) == 0
    assert stand.last().outcome is State.DONE and stand.last().job == "7" and not stand.asked


@pytest.fixture
def teller(stand: Stand) -> Teller:
    """It fails, which must change nothing."""
    record.begin(RunDir(stand.run), Kind.TRAINING, State.SUBMITTED, total=3, done=2)
    return Teller(stand.folder, "echo refused; exit 3")


@pytest.mark.parametrize(
    ("conduct", "status", "words"),
    [("done", 0, "done: 2 of 3 steps"), ("crash", 1, "failed: 2 of 3 steps; RuntimeError: a crash")],
)
def test_the_user_is_told_how_a_run_ended(stand: Stand, teller: Teller, conduct: str, status: int, words: str) -> None:
    job = stand.start(conduct, notify=teller.command)
    said, _ = job.communicate(timeout=60)
    assert job.returncode == status, said
    state = "done" if conduct == "done" else "failed"
    assert teller.told == [[state, str(stand.run), f"training run {words}"]]
    assert "nobody was notified" in said and "refused" in said and stand.last().outcome is State(state)


def test_what_is_incomplete_is_told_as_that_though_its_job_failed(stand: Stand, teller: Teller) -> None:
    record.begin(RunDir(stand.run), Kind.GENERATION, State.INCOMPLETE, total=3, done=2)
    job = stand.start("crash", notify=teller.command)
    assert job.wait(60) == 1 and teller.told[0][0] == "incomplete"


def test_a_training_that_had_nothing_left_to_do_is_not_told_again(stand: Stand, teller: Teller) -> None:
    record.begin(RunDir(stand.run), Kind.TRAINING, State.DONE, total=3, done=3, before=3)
    assert stand.start("done", notify=teller.command).wait(60) == 0 and not teller.told


def test_the_user_is_not_told_of_what_goes_on(stand: Stand, teller: Teller) -> None:
    job = stand.start("work", notify=teller.command)
    os.kill(stand.process(), signal.SIGUSR2)
    wait_until(lambda: stand.asked)
    job.terminate()
    job.wait(60)
    assert stand.last().outcome is State.REQUEUED and not teller.told


def test_who_can_not_be_told_ends_nothing(stand: Stand) -> None:
    job = stand.start("done", notify="/no/such/command")
    assert job.wait(60) == 0 and stand.last().outcome is State.DONE


def test_ranks_run_in_the_container_by_its_own_python(stand: Stand) -> None:
    python = stand.bin / "python"  # as if it were the image's
    python.write_text(f'#!/bin/sh\ntouch "{stand.bin}/inside"\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    job = stand.start("done", container_image="ecgan.sqsh", container_mounts=["/data", "/scratch/us:/work"])
    assert job.wait(60) == 0 and stand.last().outcome is State.DONE
    assert (stand.bin / "inside").exists()
    words = (stand.bin / "started").read_text()
    assert "--container-image=ecgan.sqsh --container-mounts=/data:/data,/scratch/us:/work" in words


def test_told_ahead_of_the_time_limit_it_goes_back_into_the_queue(stand: Stand) -> None:
    job = stand.start("work")
    os.kill(stand.process(), signal.SIGUSR2)
    wait_until(lambda: stand.asked)
    assert stand.asked == ["requeue 7"] and job.poll() is None  # it waits to be ended by Slurm
    job.terminate()
    job.wait(60)
    assert (stand.last().outcome, stand.last().signal) == (State.REQUEUED, "SIGUSR2")


def test_what_slurm_sends_while_it_is_still_answering_is_not_lost(stand: Stand) -> None:
    (stand.bin / "scontrol").write_text(SCONTROL + '[ "$1" != requeue ] || sleep 1\n')
    job = stand.start("work")
    os.kill(stand.process(), signal.SIGUSR2)
    wait_until(lambda: stand.asked)
    job.terminate()
    assert job.wait(60) == 75 and stand.last().outcome is State.REQUEUED


def test_told_to_end_it_never_goes_back_by_itself(stand: Stand) -> None:
    job = stand.start("work")
    os.kill(stand.process(), signal.SIGTERM)
    assert job.wait(60) == 75
    assert stand.last().outcome is State.STOPPED and not any("requeue" in words for words in stand.asked)


def test_while_it_is_preempted_it_does_not_end_by_itself(stand: Stand) -> None:
    """Slurm queues again only what has not ended before."""
    (stand.bin / "scontrol").write_text(SCONTROL.replace("PreemptTime=None", "PreemptTime=2026-11-23T10:00:00"))
    (stand.bin / "state").write_text("RUNNING")
    job = stand.start("work")
    os.kill(stand.process(), signal.SIGTERM)
    wait_until(lambda: len(stand.asked) >= 3)
    assert job.poll() is None and stand.last().outcome is State.STOPPED
    (stand.bin / "state").write_text("COMPLETING")
    assert job.wait(60) == 75


def test_a_signal_to_the_batch_step_alone_is_passed_on(stand: Stand) -> None:
    job = stand.start("work")
    stand.process()
    os.kill(job.pid, signal.SIGTERM)
    assert job.wait(60) == 75 and stand.last().outcome is State.STOPPED


def test_three_attempts_that_lead_nowhere_end_it(stand: Stand) -> None:
    for number in (1, 2, 3):
        job = stand.start("nowhere")
        os.kill(stand.process(number), signal.SIGUSR2)
        if number < 3:
            wait_until(lambda number=number: len(stand.asked) == number)
            job.terminate()
        job.wait(60)
    assert job.returncode == 1 and len(stand.asked) == 2
    assert stand.last().outcome is State.FAILED and "longer --time" in stand.last().message


def test_where_requeueing_is_off_it_stops(stand: Stand) -> None:
    job = stand.start("work", requeue=False)
    os.kill(stand.process(), signal.SIGUSR2)
    assert job.wait(60) == 75 and stand.last().outcome is State.STOPPED and not stand.asked


@pytest.mark.parametrize(("conduct", "status"), [("mistake", 2), ("crash", 1)])
def test_what_went_wrong_is_noted(stand: Stand, conduct: str, status: int) -> None:
    job = stand.start(conduct)
    assert job.wait(60) == status
    assert stand.last().outcome is State.FAILED and conduct in stand.last().message
    assert Path(stand.last().log).is_dir()


def test_a_full_disk_is_told(tmp_path: Path, mount: Callable[[int], Path]) -> None:
    stand = Stand(tmp_path, mount(1))
    job = stand.start("full")
    out, _ = job.communicate(timeout=60)
    assert job.returncode == 1 and "No space left on device" in out and "Traceback" not in out
    assert stand.last().outcome is State.FAILED
    assert stand.last().message == f"{stand.run / 'attempts/result'}: No space left on device"


def test_one_that_comes_too_late_ends_without_a_word(stand: Stand) -> None:
    job = stand.start("late")
    out, _ = job.communicate(timeout=60)
    assert job.returncode == 0 and "training-0001 superseded" in out
    first, later = attempts.every(stand.run / "attempts")
    assert first.details.outcome is later.details.outcome is None


def test_a_later_attempt_ends_this_one(stand: Stand) -> None:
    job = stand.start("work")
    stand.process()
    later = attempts.begin(stand.run / "attempts", "training")
    assert job.wait(150) == 0
    first = attempts.every(stand.run / "attempts")[0].details
    assert first.outcome is None and later.is_newest
