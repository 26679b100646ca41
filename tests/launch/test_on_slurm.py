"""What the commands do with Slurm, on a faked one: fast, beside the tests on a real cluster in tests/slurm/cluster."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT, DataFolder, ScoreFolder, TrainFolder, in_process, wait_until

from ecgan.errors import UserError
from ecgan.runtime import precision, programs
from jobs.generate.plan import GeneratePlan
from jobs.generate.shard import GenerateShare
from jobs.run.folder import RunDir
from jobs.run.kind import Kind
from jobs.run.state import State
from jobs.run.status import read_status
from jobs.run.submission import Submission, SubmittedJob, read_submission
from jobs.sharded.shard import ShardJob
from jobs.train.plan import TrainPlan
from launch import on_cluster
from launch.cluster_options import ClusterOptions
from launch.warming import warm_on_cluster
from slurm.scheduler import Batch
from slurm.schedulers import SCHEDULERS

pytestmark = pytest.mark.process

#: Notes its words and what it is given; takes jobs unless told otherwise; sbatch numbers them from 100.
FAKE = """#!/bin/sh
here="$(dirname "$0")"
name="$(basename "$0")"
echo "$name $*" >> "$here/calls"
[ -f "$here/$name.fails" ] && { cat "$here/$name.fails" >&2; exit 1; }
[ -f "$here/$name.says" ] && { cat "$here/$name.says"; exit 0; }
if [ "$name" = sbatch ]; then
    if [ "$1" = --test-only ]; then cat > "$here/tested"; echo "sbatch: Job 1 to start now" >&2; exit 0; fi
    number=$((100 + $(grep -c '^sbatch' "$here/calls")))
    cp "$1" "$here/script.$number"
    echo "Submitted batch job $number"
fi
"""


class FakeSlurm:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        for name in ("sinfo", "sbatch", "srun", "squeue", "sacct", "scancel", "scontrol"):
            (folder / name).write_text(FAKE)
            (folder / name).chmod(0o755)
        self.fails("sacct", "Slurm accounting storage is disabled")
        self.says("squeue", "101|PENDING|Resources|\n102|PENDING|Dependency|\n")

    def fails(self, name: str, words: str) -> None:
        (self.folder / f"{name}.fails").write_text(words)

    def says(self, name: str, words: str) -> None:
        (self.folder / f"{name}.says").write_text(words)

    @property
    def calls(self) -> list[str]:
        path = self.folder / "calls"
        return path.read_text().splitlines() if path.exists() else []

    @property
    def submitted(self) -> list[str]:
        return [path.read_text() for path in sorted(self.folder.glob("script.*"))]


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSlurm:
    fake = FakeSlurm(tmp_path / "a 'slurm' of ours")
    monkeypatch.setenv("PATH", f"{fake.folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    return fake


def launch(name: str, *words: object) -> subprocess.CompletedProcess[str]:
    return in_process([sys.executable, ROOT / f"launch/{name}.py", *words], ROOT)


def submission(folder: Path) -> Submission:
    found = read_submission(RunDir(folder).submission)
    assert found is not None
    return found


def status(folder: Path) -> dict[str, object]:
    return dict(json.loads(launch("status", "--json", folder).stdout)[0])


def test_a_generation_is_an_array_and_a_merge_behind_it(
    slurm: FakeSlurm, data_folder: Callable[[int], DataFolder]
) -> None:
    data = data_folder(5)
    job = data.generate("--cluster", "slurm", "--shards", 3, "--array-parallelism", 2, "--partition", "gpu")
    assert job.returncode == 0, job.stderr
    assert submission(data.run).jobs == (SubmittedJob("101", "shards", 3), SubmittedJob("102", "merge", 1))
    assert " 101" in job.stdout and " 102" in job.stdout
    assert "launch/status.py" in job.stdout and "launch/cancel.py" in job.stdout
    shards, merge = slurm.submitted
    assert "#SBATCH --array=0-2%2" in shards and "#SBATCH --gpus-per-node=1" in shards
    assert "#SBATCH --dependency=afterany:101" in merge and "gpus" not in merge
    for script in (shards, merge):
        assert f"#SBATCH --output='{data.run}".replace("'quoted'", """'"'"'quoted'"'"'""") in script
        assert subprocess.run(["bash", "-n"], input=script, text=True).returncode == 0
    assert (data.run / "code/jobs/generate/shard.py").is_file() and not list((data.run / "code").rglob("*.pyc"))
    assert status(data.run)["state"] == "submitted" and status(data.run)["jobs"] == ["101", "102"]


def test_what_multiplies_bfloat16_is_the_nodes_to_know(
    slurm: FakeSlurm, data_folder: Callable[[int], DataFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = data_folder(1)
    monkeypatch.setattr(precision, "_instructions", lambda: 0)
    assert data.in_process("--cluster", "slurm", "--precision", "bfloat16").returncode == 0
    assert GeneratePlan.load(RunDir(data.run).plan).painting.precision == "bfloat16"
    with pytest.raises(UserError, match="precision"):  # on a node that is like this machine
        ShardJob(data.run, 0, GenerateShare)()
    assert "precision" in json.loads((data.run / "shards/0.json").read_text())["error"]


def test_jobs_in_the_queue_are_not_submitted_twice(slurm: FakeSlurm, data_folder: Callable[[int], DataFolder]) -> None:
    data = data_folder(2)
    assert data.in_process("--cluster", "slurm").returncode == 0
    for cluster in ("slurm", "local"):
        again = data.in_process("--cluster", cluster)
        assert again.returncode == 2 and "101, 102" in again.stderr, again.stderr
    assert len(slurm.submitted) == 2
    shown = status(data.run)
    assert shown["scheduler"] == ["101 PENDING (Resources)", "102 PENDING (Dependency)"]
    slurm.says("squeue", "101|CANCELLED|None|\n102|CANCELLED|None|\n")
    assert status(data.run)["state"] == "cancelled"
    slurm.says("squeue", "101|NODE_FAIL|None|n3\n102|COMPLETED|None|n3\n")
    shown = status(data.run)
    assert shown["state"] == "died" and "NODE_FAIL" in str(shown["error"])
    local = data.generate("--cluster", "local")
    assert local.returncode == 0 and len(data.pictures()) == 2, local.stderr
    assert status(data.run)["state"] == "done" and not (data.run / "submission.json").exists()


def test_without_an_answer_nobody_knows_whether_jobs_run(
    slurm: FakeSlurm, data_folder: Callable[[int], DataFolder]
) -> None:
    data = data_folder(2)
    assert data.in_process("--cluster", "slurm").returncode == 0
    slurm.fails("sinfo", "slurm_load_partitions: Unable to contact slurm controller")
    refused = data.generate("--cluster", "local")
    assert refused.returncode == 2 and "101, 102" in refused.stderr and not data.made()
    cancelling = launch("cancel", data.run)
    assert cancelling.returncode == 69 and str(data.run) in cancelling.stderr
    assert submission(data.run).cancelled is None and not any(call.startswith("scancel") for call in slurm.calls)


def test_auto_means_slurm_only_where_it_answers(
    slurm: FakeSlurm, data_folder: Callable[[int], DataFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = data_folder(2)
    assert "#SBATCH" in data.in_process("--dry-run").stdout
    monkeypatch.setenv("SLURM_JOB_ID", "5")  # inside a job already
    job = data.in_process("--dry-run")
    assert job.returncode == 0 and "#SBATCH" not in job.stdout
    monkeypatch.delenv("SLURM_JOB_ID")
    slurm.fails("sinfo", "Unable to contact slurm controller (connect failure)")
    job = data.in_process("--dry-run")
    assert job.returncode == 0 and "#SBATCH" not in job.stdout and "Unable to contact" in job.stdout
    asked = data.in_process("--cluster", "slurm")
    assert asked.returncode == 69 and "--cluster slurm: sinfo " in asked.stderr, asked.stderr
    slurm.fails("sinfo", "fatal: Could not establish a configuration source")  # which waiting does not mend
    assert data.in_process("--cluster", "slurm").returncode == 2
    monkeypatch.setattr(programs, "PATIENCE", 0.5)
    (slurm.folder / "sinfo").write_text("#!/bin/sh\nexec sleep 60\n")
    asked = data.in_process("--cluster", "slurm")
    assert asked.returncode == 69 and "did not answer" in asked.stderr, asked.stderr


def test_a_dry_run_prints_everything_and_submits_nothing(
    slurm: FakeSlurm, data_folder: Callable[[int], DataFolder]
) -> None:
    data = data_folder(5)
    job = data.in_process("--cluster", "slurm", "--shards", 2, "--dry-run")
    assert job.returncode == 0, job.stderr
    for words in (
        "    0         3  m000 .. m002",
        "array_parallelism: 8",
        "#SBATCH --array=0-1%2",
        "sbatch: Job 1 ",
    ):
        assert words in job.stdout
    assert not slurm.submitted and not data.run.exists()
    slurm.fails("sbatch", "sbatch: error: invalid partition specified: gpuu")
    refused = data.in_process("--cluster", "slurm", "--partition", "gpuu", "--dry-run")
    assert refused.returncode == 2 and "invalid partition specified: gpuu" in refused.stderr


def test_what_sbatch_refuses_is_told_in_its_words(slurm: FakeSlurm, data_folder: Callable[[int], DataFolder]) -> None:
    data = data_folder(2)
    slurm.fails("sbatch", "sbatch: error: Batch job submission failed: Invalid account")
    job = data.in_process("--cluster", "slurm", "--account", "theirs")
    assert job.returncode == 2 and "Invalid account" in job.stderr and "Traceback" not in job.stderr, job.stderr
    shown = status(data.run)
    assert shown["state"] == "failed" and "Invalid account" in str(shown["error"])
    slurm.fails("sbatch", "sbatch: error: Batch job submission failed: Unable to contact slurm controller")
    job = data.in_process("--cluster", "slurm")
    assert job.returncode == 69 and "Unable to contact" in job.stderr, job.stderr
    slurm.folder.joinpath("sbatch.fails").unlink()
    assert data.in_process("--cluster", "slurm").returncode == 0


def test_a_refused_scoring_is_still_one(slurm: FakeSlurm, tmp_path: Path) -> None:
    run = RunDir(tmp_path / "results.score")
    run.create()
    slurm.fails("sbatch", "sbatch: error: Batch job submission failed: Invalid account")
    batch, cluster = Batch("shards", "scoring", {"shard-0": print}, {}), SCHEDULERS["slurm"].cluster(None, {})
    with pytest.raises(UserError, match="Invalid account"):
        known = {"total": 1000, "done": 3, "before": 3}
        on_cluster.submit(run, cluster, ClusterOptions(snapshot=False), [batch], Kind.SCORING, **known)
    shown = read_status(run.path)
    assert (shown.kind, shown.state, shown.done, shown.total) == ("scoring", State.FAILED, 3, 1000)


def test_a_refused_warming_leaves_no_folder(slurm: FakeSlurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECGAN_CACHE", str(tmp_path / "cache"))
    slurm.fails("sbatch", "sbatch: error: Batch job submission failed: Invalid account")
    cluster = SCHEDULERS["slurm"].cluster(None, {})
    with pytest.raises(UserError, match="Invalid account"):
        warm_on_cluster("cpu", None, cluster, ClusterOptions(snapshot=False))
    assert not list((tmp_path / "cache").glob("warm-*"))


def test_a_scoring_that_is_refused_stays_one(slurm: FakeSlurm, tmp_path: Path) -> None:
    data = ScoreFolder(tmp_path / "scores", 3)
    slurm.fails("sbatch", "sbatch: error: Batch job submission failed: Invalid account")
    job = data.in_process("--cluster", "slurm")
    assert job.returncode == 2 and "Invalid account" in job.stderr, job.stderr
    shown = status(data.path / "results.score")
    assert (shown["kind"], shown["state"], shown["done"], shown["total"]) == ("scoring", "failed", 0, 3)


def test_a_scoring_is_an_array_and_what_adds_it_up(slurm: FakeSlurm, tmp_path: Path) -> None:
    data = ScoreFolder(tmp_path / "scores", 40)
    job = data.in_process("--cluster", "slurm", "--shards", 2)
    assert job.returncode == 0, job.stderr
    assert submission(data.path / "results.score").jobs[0] == SubmittedJob("101", "shards", 2)
    shards, merge = slurm.submitted
    assert "#SBATCH --array=0-1%2" in shards and "#SBATCH --dependency=afterany:101" in merge
    assert "#SBATCH --job-name=ecgan-results.score\n" in shards
    assert (data.path / "results.score/code/jobs/score/shard.py").is_file()
    assert status(data.path / "results.score")["kind"] == "scoring"


def test_an_array_without_its_merge_is_taken_back(slurm: FakeSlurm, data_folder: Callable[[int], DataFolder]) -> None:
    data = data_folder(2)
    refusing = FAKE.replace(
        "number=", 'grep -q dependency "$1" && { echo "sbatch: error: no" >&2; exit 1; }\n    number='
    )
    (slurm.folder / "sbatch").write_text(refusing)
    job = data.in_process("--cluster", "slurm")
    assert job.returncode == 2 and "sbatch: error: no" in job.stderr, job.stderr
    assert "scancel 101" in slurm.calls and status(data.run)["state"] == "failed"


def test_a_training_is_one_job_with_a_rank_for_each_gpu(
    slurm: FakeSlurm, train_folder: Callable[[int], TrainFolder]
) -> None:
    data = train_folder(8)
    words = ("--cluster", "slurm", "--nodes", 2, "--gpus-per-node", 2, "--time", "1-00:00:00")
    job = data.in_process(*words)
    assert job.returncode == 0, job.stderr
    plan = TrainPlan.load(data.path / "run/plan.json")
    assert (plan.ranks, plan.share) == (4, 1)
    [script] = slurm.submitted
    for line in ("nodes=2", "ntasks-per-node=2", "gpus-per-node=2", "time=1-00:00:00", "requeue", "signal=USR2@120"):
        assert f"#SBATCH --{line}\n" in script
    assert (data.path / "run/cluster.yaml").is_file() and status(data.path / "run")["state"] == "submitted"
    wrong = data.in_process(*words, "--ranks", 3, run="other")
    assert wrong.returncode == 2 and "--ranks 3: " in wrong.stderr
    odd = data.in_process(*words, "--nodes", 3, run="other")
    assert odd.returncode == 2 and "--batch_size 4" in odd.stderr


def test_wrong_cluster_files(slurm: FakeSlurm, train_folder: Callable[[int], TrainFolder], tmp_path: Path) -> None:
    data, site = train_folder(4), tmp_path / "site.yaml"
    missing = data.in_process("--cluster", "slurm", "--cluster_config", site)
    assert missing.returncode == 2 and f"--cluster_config {site}: " in missing.stderr
    site.write_text("partition: gpu\nnodez: 2\n")
    wrong = data.in_process("--cluster", "slurm", "--cluster_config", site)
    assert wrong.returncode == 2 and "nodez" in wrong.stderr and "Traceback" not in wrong.stderr


def test_cancel_and_ctrl_c(slurm: FakeSlurm, data_folder: Callable[[int], DataFolder]) -> None:
    data = data_folder(2)
    slurm.says("squeue", "101|RUNNING|None|n1\n")
    job = data.start("--cluster", "slurm", "--wait")
    wait_until(lambda: (data.run / "submission.json").exists() and len(slurm.submitted) == 2)
    wait_until(lambda: any(call.startswith("squeue") for call in slurm.calls))
    job.send_signal(signal.SIGINT)
    output, errors = job.communicate(timeout=600)
    assert job.returncode == 130 and "Traceback" not in errors, errors
    assert "launch/cancel.py" in output and submission(data.run).cancelled is None
    assert not any(call.startswith("scancel") for call in slurm.calls)
    asked = launch("cancel", data.results)  # the results' name does, too
    assert asked.returncode == 0 and "101, 102" in asked.stdout, asked.stderr
    assert "scancel 101 102" in slurm.calls and submission(data.run).cancelled
    assert status(data.run)["state"] == "cancelled"


def test_cancel_on_this_machine(train_folder: Callable[[int], TrainFolder], tmp_path: Path) -> None:
    data = train_folder(4)
    job = data.start("--cluster", "local", "--max_steps", 5000, "--niter", 9999)
    wait_until(lambda: (data.path / "run/metrics.jsonl").exists())
    asked = launch("cancel", data.path / "run")
    assert asked.returncode == 0 and f" {job.pid} " in asked.stdout, asked.stderr
    job.communicate(timeout=600)
    assert job.returncode == 75 and len(data.states()) == 1
    again = launch("cancel", data.path / "run")  # nothing of it runs
    assert again.returncode == 0 and str(job.pid) not in again.stdout, again.stderr
    nothing = launch("cancel", tmp_path / "none")
    assert nothing.returncode == 2 and str(tmp_path / "none") in nothing.stderr
