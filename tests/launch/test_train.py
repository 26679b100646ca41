"""The training command as its users meet it: real ranks, real kills, real files."""

from __future__ import annotations

import errno
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from conftest import ROOT, TrainFolder, commands, fill, in_process, wait_until
from PIL import Image
from safetensors.numpy import load_file, save_file

from ecgan.checkpoint.vgg import shapes
from ecgan.config import ModelConfig
from ecgan.data.opening import notes_on_files
from ecgan.file_notes import stamp_of
from jobs.run import lock
from jobs.run.folder import RunDir
from jobs.run.state import State
from jobs.run.status import read_status
from jobs.train.plan import TrainPlan
from slurm.processes.starters import here

Folder = Callable[[int], TrainFolder]


def planned(data: TrainFolder) -> TrainPlan:
    return TrainPlan.load(data.path / "run/plan.json")


def rows(told: str) -> dict[str, str]:
    """What the command says that it will do, by the title of each line."""
    return {line[:14].strip(): line[14:] for line in told.splitlines()}


@pytest.mark.process
def test_a_training_leaves_all_that_is_promised(train_folder: Folder) -> None:
    data = train_folder(6)
    job = data.train("--display_every_steps", 3, "--ema_decay", 0.9, "--save_every_steps", 4)
    assert job.returncode == 0, job.stderr
    run = data.path / "run"
    assert data.states() == ["step-00000004", "step-00000006"]
    lines = data.metrics()
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert {"GAN", "GAN_Feat", "KLD", "D_Fake", "D_real", "lr", "epoch"} <= lines[0].keys()
    assert lines[-1]["epoch"] == 6  # one step an epoch: two of six pairs are left over
    assert Image.open(run / "samples/step-00000003.jpg").width > 400
    assert "data:image/jpeg;base64" in (run / "samples.html").read_text()
    assert list((run / "tensorboard").iterdir())
    assert (run / "code/jobs/train/job.py").is_file()  # what it runs, whatever is edited meanwhile
    assert yaml.safe_load((run / "config.yaml").read_text())["ema_decay"] == 0.9
    status = json.loads((run / "status.json").read_text())
    assert (status["state"], status["done"], status["total"]) == ("done", 6, 6)
    assert "G_ema.safetensors" in data.digests()
    shown = read_status(run)
    assert (shown.state, shown.done, shown.total) == (State.DONE, 6, 6)
    log = (run / "logs/rank-0.log").read_text()
    assert "6/6" in log and "GAN_Feat" in log

    again = data.train("--ema_decay", 0.9)
    assert again.returncode == 0, again.stderr  # nothing is left to do
    assert [line["step"] for line in data.metrics()] == [1, 2, 3, 4, 5, 6]


@pytest.mark.process
def test_two_ranks_train_as_one_does(train_folder: Folder) -> None:
    """Adam with beta1 0 makes a step of rounding where a gradient is zero: losses drift apart slowly, no more.

    What D sees is changed at random, and D is held back in both ways: with other draws they would not agree. Weights
    are large enough at the beginning for what differs to stand out from rounding.
    """
    data = train_folder(8)
    held_back = ("--augment", "color,translation,cutout", "--lambda_lecam", 0.3, "--lambda_r1", 20)
    options_of_all = ("--size", "128x64", "--init_variance", 0.5, "--noise_maps", "--colour_means", *held_back)
    runs = {"one": ("--ranks", 1), "two": ("--ranks", 2), "micro": ("--ranks", 2, "--micro_batch", 1)}
    for name, options in runs.items():
        steps = 1 if name == "micro" else 4
        job = data.train("--max_steps", steps, *options_of_all, *options, run=name)
        assert job.returncode == 0, job.stderr
    one, two, micro = (data.metrics(name) for name in runs)
    assert len(one) == len(two) == 4
    for ours, theirs in zip(one, two, strict=True):
        for loss in ("KLD", "GAN", "GAN_Feat", "D_Fake", "D_real", "LeCam", "R1"):
            assert theirs[loss] == pytest.approx(ours[loss], rel=1e-4 if ours["step"] == 1 else 0.01), loss
    averages = [load_file(data.path / name / "states/step-00000004/lecam.safetensors") for name in ("one", "two")]
    assert averages[0]["averages"] == pytest.approx(averages[1]["averages"], rel=0.01)
    for loss in ("KLD", "D_real", "R1"):  # a sum over the batch, however it is cut, and what is of real pictures alone
        assert micro[0][loss] == pytest.approx(one[0][loss], rel=1e-4)
    assert micro[0]["GAN"] != pytest.approx(one[0]["GAN"], rel=1e-5)  # BatchNorm saw other statistics


@pytest.mark.process
def test_the_perceptual_loss_counts(train_folder: Folder, tmp_path: Path) -> None:
    weights = tmp_path / "vgg19.safetensors"
    random = np.random.default_rng(0)
    arrays = {name: random.standard_normal(shape) / np.prod(shape[1:]) ** 0.5 for name, shape in shapes().items()}
    save_file({name: array.astype(np.float32) for name, array in arrays.items()}, weights)
    data = train_folder(4)
    job = data.train("--lambda_vgg", 10, "--vgg_weights", weights, "--max_steps", 2)
    assert job.returncode == 0 and str(weights) in job.stdout, job.stderr
    assert all(line["VGG"] > 0 for line in data.metrics())


@pytest.mark.process
def test_it_ends_and_saves_by_time(train_folder: Folder) -> None:
    data = train_folder(4)
    options = ("--max_steps", 5000, "--max_minutes", 0.3, "--save_every_minutes", 0.05, "--keep_states", 9)
    job = data.train(*options)
    assert job.returncode == 0, job.stderr
    states = data.states()
    assert len(states) >= 2 and data.metrics()[-1]["step"] < 5000
    again = data.train(*options)  # its time is over already
    assert again.returncode == 0 and data.states() == states


@pytest.fixture(scope="module")
def unkilled(tmp_path_factory: pytest.TempPathFactory) -> TrainFolder:
    """A training on two ranks that nobody disturbed."""
    data = TrainFolder(tmp_path_factory.mktemp("unkilled"), 9)
    job = data.train("--ranks", 2, "--max_steps", 12, "--ema_decay", 0.9)
    assert job.returncode == 0, job.stderr
    return data


def disturb(data: TrainFolder, folder: Path) -> tuple[str, ...]:
    """Options of the same training in another folder."""
    return (
        "--ranks",
        "2",
        "--max_steps",
        "12",
        "--ema_decay",
        "0.9",
        "--save_every_steps",
        "1",
        "--run_dir",
        str(folder),
    )


@pytest.mark.process
def test_killed_at_random_and_resumed_it_ends_the_same(unkilled: TrainFolder, tmp_path: Path) -> None:
    seed = int.from_bytes(os.urandom(4), "little")
    chance = random.Random(seed)
    options, kills = disturb(unkilled, tmp_path / "run"), 0
    for _ in range(2):
        before, job = newest(tmp_path), unkilled.start(*options)
        wait_until(lambda before=before, job=job: newest(tmp_path) > before or job.poll() is not None)
        time.sleep(chance.uniform(0, 1.5))
        mine = [pid for pid, command in commands() if "slurm.processes.rank" in command and str(tmp_path) in command]
        if job.poll() is None and mine:
            os.kill(chance.choice(mine), signal.SIGKILL)
            kills += 1
        _, errors = job.communicate(timeout=600)
        assert "Traceback" not in errors
    assert kills >= 1, f"seed {seed}: it ended too early to be killed"
    last = subprocess.run(unkilled.command(*options), capture_output=True, text=True, timeout=600)
    assert last.returncode == 0, last.stderr
    state = sorted((tmp_path / "run/states").glob("step-*"))[-1]
    assert json.loads((state / "checkpoint.json").read_text())["sha256"] == unkilled.digests(), f"seed {seed}"
    steps = [json.loads(line)["step"] for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert steps == list(range(1, 13))


def newest(folder: Path) -> int:
    return max((int(path.name.split("-")[1]) for path in (folder / "run/states").glob("step-*")), default=0)


@pytest.mark.process
@pytest.mark.parametrize(("sent", "status"), [(signal.SIGTERM, 75), (signal.SIGUSR2, 75), (signal.SIGINT, 130)])
def test_asked_to_stop_it_saves_and_goes_on(
    unkilled: TrainFolder, tmp_path: Path, sent: signal.Signals, status: int
) -> None:
    options = (*disturb(unkilled, tmp_path / "run"), "--save_every_steps", "0")
    job = unkilled.start(*options)
    metrics = tmp_path / "run/metrics.jsonl"
    wait_until(lambda: metrics.is_file() and len(metrics.read_text().splitlines()) >= 2)
    job.send_signal(sent)
    _, errors = job.communicate(timeout=600)
    assert job.returncode == status, errors
    assert "Traceback" not in errors
    step = newest(tmp_path)
    assert 2 <= step < 12 and len(metrics.read_text().splitlines()) == step
    assert json.loads((tmp_path / "run/status.json").read_text())["state"] == "stopped"
    again = subprocess.run(unkilled.command(*options), capture_output=True, text=True, timeout=600)
    assert again.returncode == 0, again.stderr
    assert [json.loads(line)["step"] for line in metrics.read_text().splitlines()] == list(range(1, 13))
    state = tmp_path / "run/states/step-00000012/checkpoint.json"
    assert json.loads(state.read_text())["sha256"] == unkilled.digests()


@pytest.mark.process
def test_ranks_may_change_between_resumes(unkilled: TrainFolder, tmp_path: Path) -> None:
    options = disturb(unkilled, tmp_path / "run")
    first = subprocess.run(unkilled.command(*options, "--max_steps", 3), capture_output=True, text=True, timeout=600)
    second = subprocess.run(
        unkilled.command(*options, "--ranks", 1, "--max_steps", 5), capture_output=True, text=True, timeout=200
    )
    assert (first.returncode, second.returncode) == (0, 0), second.stderr
    steps = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    for ours, theirs in zip(steps, unkilled.metrics(), strict=False):
        assert ours["GAN_Feat"] == pytest.approx(theirs["GAN_Feat"], rel=0.05)


@pytest.mark.process
def test_no_rank_outlives_a_launcher_that_is_killed(train_folder: Folder) -> None:
    data = train_folder(6)
    job = data.start("--ranks", 2, "--max_steps", 5000)
    metrics = data.path / "run/metrics.jsonl"
    wait_until(lambda: metrics.is_file() and metrics.read_text())
    assert len(data.ranks()) >= 2
    for rank in data.ranks():  # they run a copy of the code, whatever is edited meanwhile
        assert f"PYTHONPATH={data.path / 'run/code'}".encode() in Path(f"/proc/{rank}/environ").read_bytes()
    job.kill()
    job.communicate()
    wait_until(lambda: not data.ranks(), 30)
    step = newest(data.path)
    assert step and step == data.metrics()[-1]["step"]  # they saved before they left
    assert data.train("--ranks", 2, "--max_steps", step + 1).returncode == 0


@pytest.mark.process
def test_ranks_that_outlive_launcher_and_mpirun_are_waited_for(train_folder: Folder) -> None:
    data = train_folder(6)
    job = data.start("--ranks", 2, "--max_steps", 5000, "--save_every_steps", 1)
    metrics = data.path / "run/metrics.jsonl"
    wait_until(lambda: metrics.is_file() and metrics.read_text())
    mpirun, *ranks = sorted(data.ranks(), key=lambda pid: "mpirun" not in Path(f"/proc/{pid}/cmdline").read_text())
    job.kill()
    os.kill(mpirun, signal.SIGKILL)
    wait_until(lambda: mpirun not in data.ranks())
    os.kill(ranks[0], signal.SIGSTOP)  # not before: the kernel ends stopped processes whose parent dies
    job.communicate()
    again, run = data.start("--ranks", 2, "--max_steps", 3), RunDir(data.path / "run")
    wait_until(lambda: lock.holder(run).pid == again.pid)
    time.sleep(3)  # it would have started its ranks in less
    assert again.poll() is None and set(data.ranks()) <= set(ranks)
    os.kill(ranks[0], signal.SIGCONT)
    _, errors = again.communicate(timeout=600)
    assert again.returncode == 0, errors
    assert [line["step"] for line in data.metrics()] == list(range(1, int(data.metrics()[-1]["step"]) + 1))


@pytest.mark.process
def test_a_second_launcher_is_kept_out(train_folder: Folder) -> None:
    data = train_folder(6)
    first = data.start("--max_steps", 5000)
    wait_until(lambda: (data.path / "run/metrics.jsonl").is_file())
    second = data.train()
    assert second.returncode == 2 and f"process {first.pid}" in second.stderr
    first.terminate()
    first.communicate(timeout=600)
    assert first.returncode == 75


@pytest.mark.parametrize(
    ("options", "facts"),
    [
        (("--lambda_vgg", 1, "--vgg_weights", "page.pkl"), ["page.pkl"]),
        (("--input_path", "nowhere"), ["nowhere"]),
        (("--batch_size", 4), ["--batch_size 4", " 3"]),  # pairs
        (("--batch_size", 3, "--ranks", 2), ["--batch_size 3", " 2 "]),
        (("--batch_size", 2, "--micro_batch", 2, "--ranks", 2), ["--batch_size 2", "micro", " 2"]),
        (("--batch_size", 2, "--ranks", 2, "--lambda_contrast", 1), ["--lambda_contrast", "--batch_size 2", "2 ranks"]),
        (("--lambda_vgg", 1, "--vgg_weights", "no.pth"), ["no.pth"]),
        (("--exclude-list", "no.txt"), ["no.txt"]),
        (("--init_checkpoint", "no"), ["checkpoint no "]),
        (("--size", "100x64"), ["100x64", " 32"]),
        (("--guide", "nowhere", "--lambda_guide", 1), ["nowhere"]),
        (("--lambda_guide_feat", 1), ["--lambda_guide_feat", "--guide"]),
        (("--gan_mode", "wgan"), ["gan_mode", "wgan"]),
        (("--augment", "color,flip"), ["--augment", "flip", "translation"]),
        (("--lr", "-1"), ["--lr", "-1"]),
        (("--keep_states", 10**7), ["--keep_states", " MiB"]),
        (("--nonsense", 1), ["nonsense"]),
        (("--cluster", "slurm"), ["--cluster slurm"]),
    ],
    ids=lambda given: " ".join(map(str, given)),
)
def test_mistakes_are_named_before_anything_runs(
    train_folder: Folder, options: tuple[object, ...], facts: list[str]
) -> None:
    data = train_folder(3)
    (data.path / "page.pkl").write_text("<html>not found</html>")
    job = data.in_process("--batch_size", 1, *options)
    assert job.returncode == 2 and all(fact in job.stderr for fact in facts), job.stderr
    assert not (data.path / "run").exists()


@pytest.mark.process
def test_bad_pictures_stop_it_or_are_left_out(train_folder: Folder) -> None:
    data = train_folder(5)
    (data.data / "imgs/p1.jpg").write_bytes(b"broken")
    (data.data / "labels/p3.png").unlink()
    job = data.in_process()
    assert job.returncode == 2
    assert all(fact in job.stderr for fact in ("p1.jpg", "p3.jpg", "--on_bad_input skip", " 3 pairs")), job.stderr
    job = data.train("--on_bad_input", "skip", "--batch_size", 3, "--max_steps", 1)
    assert job.returncode == 0, job.stderr
    assert {pair.name for pair in planned(data).pairs} == {"p0", "p2", "p4"} and "p1.jpg" in job.stdout
    listed = data.path / "list.txt"
    listed.write_text("p1.jpg\np3.jpg\n")
    job = data.in_process("--exclude-list", listed, "--batch_size", 3, "--dry-run", run="other")
    assert job.returncode == 0 and "3 pairs, 2 " in job.stdout and not (data.path / "other").exists(), job.stderr


def break_unseen(data: TrainFolder, photo: Path) -> None:
    """As if it broke behind the check: what that notes on files says that this one can be used."""
    photo.write_bytes(bytes(100))
    wait_until(lambda: stamp_of(photo, status=True))
    checked = data.path / "run/checked.jsonl"
    notes = notes_on_files(checked, ModelConfig())
    notes.note(f"photo {photo}", stamp_of(photo, status=True), f"{'0' * 64} 128 64")
    notes.save(checked)


@pytest.mark.process
def test_a_picture_that_breaks_while_training_is_named(train_folder: Folder) -> None:
    data = train_folder(6)
    assert data.train("--max_steps", 2).returncode == 0
    photo = data.data / "imgs/p2.jpg"
    whole = photo.read_bytes()
    break_unseen(data, photo)
    job = data.train("--max_steps", 6)
    assert job.returncode == 1 and "p2.jpg" in job.stderr and "Traceback" not in job.stderr
    photo.write_bytes(whole)
    assert data.train("--max_steps", 6).returncode == 0


@pytest.mark.process
def test_a_picture_that_breaks_while_training_costs_no_steps(train_folder: Folder) -> None:
    """Of two ranks, one of which comes to it: both save what they have learnt before they leave."""
    data = train_folder(24)
    options = ("--ranks", 2, "--max_steps", 12, "--save_every_minutes", 0)
    assert data.train(*options, run="whole").returncode == 0
    plan = TrainPlan.load(data.path / "whole/plan.json")
    late = plan.pairs[plan.sampler.samples(5)[3].index].photo  # of the second rank's share of the last step of an epoch
    whole = late.read_bytes()
    assert data.train(*options, "--max_steps", 2).returncode == 0
    break_unseen(data, late)
    job = data.train(*options)
    assert job.returncode == 1 and late.name in job.stderr and "Traceback" not in job.stderr
    assert data.states() == ["step-00000002", "step-00000005"]
    assert [line["step"] for line in data.metrics()] == [1, 2, 3, 4, 5]
    late.write_bytes(whole)
    job = data.train(*options)
    assert job.returncode == 0 and data.digests() == data.digests("whole"), job.stderr
    assert [line["step"] for line in data.metrics()] == list(range(1, 13))


@pytest.mark.process
def test_a_training_whose_states_are_all_damaged_is_not_begun_anew(train_folder: Folder) -> None:
    data = train_folder(6)
    assert data.train("--max_steps", 2, "--save_every_steps", 1).returncode == 0
    metrics = (data.path / "run/metrics.jsonl").read_bytes()
    for state in data.states():
        weights = data.path / "run/states" / state / "G.safetensors"
        content = bytearray(weights.read_bytes())
        content[-5] ^= 1  # which only its checksum tells
        weights.write_bytes(content)
    half = data.path / "run/states/.step-00000003.0123abcd.part"
    half.mkdir()
    for _ in range(2):
        job = data.train("--max_steps", 3)
        assert job.returncode == 1 and "--no-resume" in job.stderr and "Traceback" not in job.stderr
        assert (data.path / "run/metrics.jsonl").read_bytes() == metrics and not half.exists()
    assert data.train("--max_steps", 1, "--no-resume").returncode == 0
    assert data.states() == ["step-00000001"]


@pytest.mark.process
def test_the_folder_of_another_run_is_refused(train_folder: Folder) -> None:
    data = train_folder(6)
    (data.path / "run").mkdir()
    (data.path / "run/plan.json").write_text('{"painting": {}}')
    job = data.train()
    assert job.returncode == 2 and "--run_dir" in job.stderr and "generation" in job.stderr
    assert [path.name for path in (data.path / "run").iterdir()] == ["plan.json"]


@pytest.mark.process
def test_a_training_that_diverges_keeps_its_last_good_state(train_folder: Folder) -> None:
    data = train_folder(6)
    assert data.train("--max_steps", 2).returncode == 0
    good = data.digests()
    job = data.train("--lr", "1e30", "--max_steps", 50)
    assert job.returncode == 1 and "Traceback" not in job.stderr
    assert " lr " in job.stdout  # which is changed
    assert data.states() == ["step-00000002"] and data.digests() == good
    failed = [json.loads(line) for line in (data.path / "run/failures.jsonl").read_text().splitlines()]
    assert len(failed) == 4 and {each["name"] for each in failed} <= {f"p{i}" for i in range(6)}
    assert all(each["step"] > 2 and each["reason"] for each in failed)
    assert read_status(data.path / "run").state is State.FAILED
    assert data.train("--max_steps", 3).returncode == 0


@pytest.mark.process
def test_another_training_is_not_continued_by_accident(train_folder: Folder) -> None:
    data = train_folder(6)
    assert data.train("--max_steps", 1).returncode == 0
    for options, named in {("--ngf", 5): "ngf 4 -> 5", ("--batch_size", 2): "batch_size 4 -> 2"}.items():
        job = data.in_process(*options)
        assert job.returncode == 2 and named in job.stderr and "--no-resume" in job.stderr
    (data.data / "imgs/p5.jpg").unlink()
    (data.data / "labels/p5.png").unlink()
    job = data.in_process()
    assert job.returncode == 2 and "6 pairs -> 5" in job.stderr
    job = data.train("--no-resume", "--max_steps", 2)
    assert job.returncode == 0 and data.states() == ["step-00000002"]
    aside = list((data.path / "run").glob("before-*"))
    assert len(aside) == 1 and (aside[0] / "states/step-00000001/G.safetensors").is_file()


@pytest.mark.process
def test_a_resume_says_what_it_changes_and_what_it_ignores(train_folder: Folder) -> None:
    data = train_folder(6)
    assert data.train("--max_steps", 1, "--init_type", "kaiming").returncode == 0
    job = data.in_process("--max_steps", 2, "--init_type", "kaiming", "--dry_run")
    assert job.returncode == 0 and not rows(job.stdout).keys() & {"changed", "ignored"}
    job = data.train("--reuse_fakes", "--init_type", "orthogonal", "--max_steps", 3)
    assert job.returncode == 0, job.stderr
    assert rows(job.stdout)["changed"] == "reuse_fakes False -> True"
    assert rows(job.stdout)["ignored"].startswith("init_type orthogonal ")
    job = data.in_process("--reuse_fakes", "--init_type", "orthogonal", "--dry_run")  # it began with what it began with
    assert "changed" not in rows(job.stdout) and rows(job.stdout)["ignored"].startswith("init_type orthogonal ")


@pytest.mark.process
def test_a_run_of_an_older_version_goes_on(train_folder: Folder) -> None:
    """What it wrote is tests/fixtures/old-run; its tensors are those of this version."""
    data, old = train_folder(6), ROOT / "tests/fixtures/old-run"
    options = ("--ema_decay", 0.9, "--reuse_fakes", "--init_type", "kaiming", "--save_every_steps", 3)
    assert data.train(*options, "--max_steps", 6, run="whole").returncode == 0
    assert data.train(*options, "--max_steps", 3).returncode == 0
    (data.path / "run/plan.json").write_text((old / "plan.json").read_text().replace("FOLDER", str(data.path)))
    about = data.path / "run/states/step-00000003/checkpoint.json"
    state = json.loads(about.read_text())
    assert state["about"]["training"].keys() == json.loads((old / "ecgan.json").read_text()).keys() | {"began"}
    state["about"] = {"training": json.loads((old / "ecgan.json").read_text())}
    about.write_text(json.dumps(state))
    job = data.train(*options, "--max_steps", 6)
    assert job.returncode == 0, job.stderr
    assert "goes on" in rows(job.stdout) and not rows(job.stdout).keys() & {"changed", "ignored"}
    assert data.digests() == data.digests("whole")


@pytest.mark.process
def test_a_damaged_state_is_passed_over(train_folder: Folder) -> None:
    data = train_folder(6)
    assert data.train("--max_steps", 2, "--save_every_steps", 1).returncode == 0
    (data.path / "run/states/step-00000002/G.safetensors").write_bytes(b"half")
    job = data.train("--max_steps", 3)
    assert job.returncode == 0
    log = (data.path / "run/logs/rank-0.log").read_text()
    assert "step-00000002/G.safetensors" in log and [line["step"] for line in data.metrics()] == [1, 2, 3]


@pytest.mark.process
def test_a_full_disk_does_not_end_a_training(train_folder: Folder, mount: Callable[[int], Path]) -> None:
    data, disk = train_folder(6), mount(120)
    options = ("--run_dir", disk / "run", "--save_every_steps", 2, "--keep_states", 1, "--max_steps", 5000)
    job = data.start(*options)
    wait_until(lambda: list((disk / "run/states").glob("step-*")))
    filler = fill(disk)
    time.sleep(8)  # several states come due, and nothing can be written of it
    kept = sorted((disk / "run/states").glob("step-*"))
    assert kept and job.poll() is None
    filler.unlink()
    wait_until(lambda: sorted((disk / "run/states").glob("step-*"))[-1] > kept[-1])
    assert os.strerror(errno.ENOSPC) in (disk / "run/logs/rank-0.log").read_text()
    job.terminate()
    _, errors = job.communicate(timeout=600)
    assert job.returncode == 75, errors


@pytest.mark.process
def test_lonely_ranks_do_not_train(train_folder: Folder) -> None:
    """A rank that was started without MPI must not take itself for the whole world."""
    data = train_folder(6)
    assert data.train("--max_steps", 1, "--ranks", 2).returncode == 0
    logs = data.path / "run/logs"
    rank = [sys.executable, "-m", "slurm.processes.rank", str(logs / "job.pickle"), str(logs), here(2).origin.word]
    job = subprocess.run(rank, cwd=ROOT, stdin=subprocess.PIPE, timeout=600)
    assert job.returncode == 2
    told = (logs / "rank-0.outcome").read_text()
    assert "2 ranks" in told and "of 1" in told, told


def test_weights_of_the_original_are_a_place_to_start(original: Path, train_folder: Folder) -> None:
    data = train_folder(3)
    job = data.in_process("--init_checkpoint", original, "--batch_size", 1)
    assert job.returncode == 2 and "width 256 (here 64)" in job.stderr


@pytest.mark.process
def test_a_model_grows_with_its_pictures(train_folder: Folder) -> None:
    """Twice as large pictures by one upsampling more have the same tensors; three times as wide ones have not."""
    data = train_folder(4)
    assert data.train("--max_steps", 1, run="small").returncode == 0
    start = ("--init_checkpoint", data.path / "small")
    refused = data.in_process(*start, "--size", "192x32")
    assert refused.returncode == 2 and "width 64 (here 192)" in refused.stderr, refused.stderr
    assert "height" not in refused.stderr and not (data.path / "run").exists()
    larger = ("--size", "128x64", "--num_upsampling_layers", "more")
    grown = data.train(*start, *larger, "--max_steps", 1)
    assert grown.returncode == 0, grown.stderr
    before, after = (
        load_file(data.path / run / "states/step-00000001/G.safetensors")["head_0.conv_0.weight_orig"]
        for run in ("small", "run")
    )
    assert 0 < np.abs(after - before).max() < 1e-3  # a step of Adam


def test_defaults_are_those_of_the_preset() -> None:
    """configs/ecgan.yaml lists every option with the default that it has."""
    from jobs.train.settings import TrainSettings

    listed = yaml.safe_load((ROOT / "configs/ecgan.yaml").read_text())
    assert TrainSettings(**listed) == TrainSettings()
    assert listed.keys() == {name for name in vars(TrainSettings()) if name != "dry_run"}


@pytest.mark.parametrize("preset", ["ecgan", "recommended", "rtx3090"])
def test_presets_can_be_used(train_folder: Folder, preset: str) -> None:
    data = train_folder(9)
    command = [sys.executable, ROOT / "launch/train.py", "--config", ROOT / f"configs/{preset}.yaml", "--dry-run"]
    options = ["--input_path", data.data, "--run_dir", data.path / "run", "--lambda_vgg", "0", "--device", "cpu"]
    job = in_process([*command, *options], data.path)
    assert job.returncode == 0 and "512x384, ngf 64" in job.stdout, job.stderr
