"""`launch/generate.py` as its user has it: real processes, real kills, real files."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT, DataFolder, draw_mask, fill, wait_until
from PIL import Image

from ecgan import file_notes
from ecgan.checkpoint import native
from ecgan.config import ModelConfig
from ecgan.data import opening
from ecgan.errors import MachineError
from ecgan.file_notes import stamp_of
from ecgan.runtime import precision
from jobs.generate.plan import GeneratePlan
from jobs.run import record
from jobs.run.folder import RunDir
from jobs.run.record import RunRecord
from jobs.run.state import State
from jobs.run.status import read_status

pytestmark = pytest.mark.process

Folder = Callable[[int], DataFolder]


def told(data: DataFolder) -> RunRecord:
    """What the last run has written of itself: `before` is what it took over."""
    return record.read(RunDir(data.run))


def planned(data: DataFolder) -> GeneratePlan:
    return GeneratePlan.load(RunDir(data.run).plan)


def missing(data: DataFolder) -> list[str]:
    """Names in missing.txt."""
    return [line.split(": ")[0] for line in RunDir(data.run).missing.read_text().splitlines()]


def failures(data: DataFolder) -> list[dict[str, str]]:
    return [json.loads(line) for line in RunDir(data.run).failures.read_text().splitlines()]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path) -> dict[str, bytes]:
    """The pictures of the largest folder here, made in one go."""
    data = DataFolder(tmp_path_factory.mktemp("undisturbed"), 60, tiny_checkpoint)
    job = data.generate()
    assert job.returncode == 0 and len(data.pictures()) == 60, job.stderr
    return data.pictures()


def test_pictures_do_not_depend_on_shards_workers_or_batch(data_folder: Folder) -> None:
    data = data_folder(11)
    one = data.generate("--shards", 1, "--workers", 1)
    assert one.returncode == 0, one.stderr
    assert sorted(data.pictures()) == [f"m{i:03}.jpg" for i in range(11)]
    eight = data.generate("--shards", 8, "--workers", 2, "--batch", 3, "--output_path", "eight")
    assert eight.returncode == 0, eight.stderr
    assert data.pictures("eight") == data.pictures()
    assert len(set(data.pictures().values())) == 11


def test_manifest_says_where_each_picture_came_from(data_folder: Folder) -> None:
    data = data_folder(2)
    assert data.generate("--seed", 5, "--size", "60x40").returncode == 0
    manifest = json.loads((data.results / "manifest.json").read_text())
    entry = manifest["images"]["m001.jpg"]
    assert Path(entry["mask"]) == data.masks / "m001.png"
    assert Path(entry["reference"]) == data.photos / "photo1.jpg"
    digests = [hashlib.sha256(Path(entry[name]).read_bytes()).digest() for name in ("mask", "reference")]
    assert entry["inputs"] == hashlib.sha256(b"".join(digests)).hexdigest()
    assert entry["seed"] == 5 and entry["shard"] == 0 and entry["seconds"] > 0
    assert subprocess.check_output(["sha256sum", data.results / "m001.jpg"], text=True).startswith(entry["sha256"])
    assert manifest["config"]["seed"] == 5 and manifest["checkpoint"]["sha256"] and manifest["versions"]["jittor"]
    assert Image.open(data.results / "m001.jpg").size == (60, 40)


def test_rerun_does_only_what_is_missing(data_folder: Folder) -> None:
    data = data_folder(6)
    assert data.generate("--how-many", 3).returncode == 0
    before = data.pictures()
    more = data.generate("--shards", 2)
    assert more.returncode == 0 and len(data.pictures()) == 6
    assert (told(data).before, told(data).total) == (3, 6)
    assert {name: data.pictures()[name] for name in before} == before
    folder = data.results.stat().st_ino
    again = data.generate("--shards", 5)
    assert again.returncode == 0 and data.results.stat().st_ino == folder  # nothing took its place
    status = read_status(data.run)
    assert (status.state, status.done, status.total) == (State.DONE, 6, 6)


def test_what_is_unchanged_is_not_read_again(data_folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Masks, photos and pictures alike; and what has changed is noticed by its time, with the size that it had."""
    data = data_folder(4)
    assert data.generate().returncode == 0
    for path in (*data.masks.iterdir(), *data.photos.iterdir(), *data.results.glob("*.jpg")):
        os.utime(path, (1e9, 1e9))  # what has just been written is not trusted
    wait_until(lambda: stamp_of(data.masks / "m000.png", status=True))
    wait_until(lambda: stamp_of(data.photos / "photo2.jpg", status=True))
    read: list[Path] = []
    for module, function in ((opening, "read_bytes"), (file_notes, "sha256_of")):
        original = getattr(module, function)
        counting = lambda path, original=original: read.append(path) or original(path)  # noqa: E731
        monkeypatch.setattr(module, function, counting)
    for files in (11, 0, 0):  # 4 masks, 3 photos, 4 pictures
        read.clear()
        again = data.in_process()
        assert again.returncode == 0 and "nothing to do" in again.stdout and len(set(read)) == files
    picture, mask = data.results / "m001.jpg", data.masks / "m002.png"
    for path, other in ((picture, data.results / "m000.jpg"), (mask, data.masks / "m003.png")):
        whole = path.read_bytes()
        path.write_bytes(other.read_bytes()[: len(whole)].ljust(len(whole), b"\0"))
        read.clear()
        refused = data.in_process("--on_bad_input", "skip")
        assert refused.returncode and path.stem in refused.stderr and path.name in {each.name for each in read}
        path.write_bytes(whole)
        os.utime(path, (1e9, 1e9))
    assert data.in_process().returncode == 0


def test_what_the_user_has_changed_is_not_replaced_by_itself(data_folder: Folder) -> None:
    data = data_folder(4)
    assert data.generate().returncode == 0
    good = data.pictures()
    (data.results / "m001.jpg").write_bytes(b"retouched")
    Image.fromarray(draw_mask(77)).save(data.masks / "m002.png")
    retouched = data.pictures()
    refused = data.generate()
    assert refused.returncode == 2 and "m001.jpg" in refused.stderr and "--overwrite" in refused.stderr
    (data.results / "m001.jpg").unlink()  # so that it is made again
    refused = data.generate()
    assert refused.returncode == 2 and "m002.jpg" in refused.stderr and "--overwrite" in refused.stderr
    (data.results / "m001.jpg").write_bytes(retouched["m001.jpg"])
    assert data.pictures() == retouched

    replaced = data.generate("--overwrite")
    assert replaced.returncode == 0 and (told(data).before, told(data).total) == (2, 4)
    assert data.pictures()["m001.jpg"] == good["m001.jpg"]
    assert data.pictures()["m002.jpg"] != good["m002.jpg"]
    assert data.pictures()["m003.jpg"] == good["m003.jpg"]
    assert data.pictures("results.old") == retouched


def test_killed_worker_is_replaced(data_folder: Folder, undisturbed: dict[str, bytes]) -> None:
    data = data_folder(40)
    job = data.start("--shards", 2, "--workers", 2)
    wait_until(lambda: len(data.made()) >= 3)
    os.kill(data.workers()[0], signal.SIGKILL)
    _, errors = job.communicate(timeout=600)
    assert job.returncode == 0, errors
    assert data.pictures() == {f"m{i:03}.jpg": undisturbed[f"m{i:03}.jpg"] for i in range(40)}


@pytest.mark.parametrize("option, status", [("--snapshot", 0), ("--no_snapshot", 1)])
def test_edited_code_does_not_change_a_run(data_folder: Folder, tmp_path: Path, option: str, status: int) -> None:
    """A worker that takes another's place runs what was there at the start."""
    data, copy = data_folder(40), tmp_path / "project"
    for package in ("ecgan", "jobs", "slurm", "launch"):
        shutil.copytree(ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, str(copy / "launch/generate.py"), *data.command("--workers", 1, option)[2:]]
    environment = os.environ | {"PYTHONPATH": str(copy)}
    job = subprocess.Popen(command, cwd=data.path, env=environment, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: len(data.made()) >= 2)
    (copy / "jobs/generate/shard.py").write_text("raise RuntimeError('edited meanwhile')\n")
    os.kill(data.workers()[0], signal.SIGKILL)
    _, errors = job.communicate(timeout=600)
    assert job.returncode == status, errors
    assert ("edited meanwhile" in errors) is bool(status)


def test_worker_that_always_dies_is_reported(data_folder: Folder) -> None:
    data = data_folder(60)
    job = data.start("--shards", 1, "--workers", 1)

    def kill() -> bool:
        for worker in data.workers():
            os.kill(worker, signal.SIGKILL)
        return job.poll() is not None

    wait_until(kill)
    _, errors = job.communicate(timeout=600)
    assert job.returncode == 1
    assert "SIGKILL" in errors
    assert (told(data).state, told(data).missing) == (State.INCOMPLETE, 60) and len(missing(data)) == 60
    assert not data.results.exists()


@pytest.mark.parametrize("sent, status", [(signal.SIGINT, 130), (signal.SIGTERM, 75), (signal.SIGKILL, -9)])
def test_stopped_job_leaves_no_orphans_and_can_go_on(
    data_folder: Folder, undisturbed: dict[str, bytes], sent: signal.Signals, status: int
) -> None:
    data = data_folder(60)
    job = data.start("--shards", 3, "--workers", 2)
    wait_until(lambda: len(data.made()) >= 4)
    started = time.monotonic()
    job.send_signal(sent)
    _, errors = job.communicate(timeout=600)
    wait_until(lambda: not data.workers(), 20 - (time.monotonic() - started))
    assert job.returncode == status
    assert "Traceback" not in errors
    assert not data.results.exists()
    kept = len(data.made())
    assert 4 <= kept < 60
    wait_until(lambda: read_status(data.run).state is (State.DIED if sent == signal.SIGKILL else State.STOPPED))
    assert read_status(data.run).done == kept or sent == signal.SIGKILL

    rest = data.generate("--shards", 5)
    assert rest.returncode == 0, rest.stderr
    assert told(data).before == kept or sent == signal.SIGKILL  # one may lack its record then
    assert data.pictures() == undisturbed


#: Runs the command with Ctrl-C in the middle of a function.
_INTERRUPTED = """
import importlib, os, signal, sys
module, name = sys.argv.pop(1).split(":")
module = importlib.import_module(module)
original = getattr(module, name)

def interrupted(*of, **how):
    os.kill(os.getpid(), signal.SIGINT)
    return original(*of, **how)

setattr(module, name, interrupted)
from launch import generate
from launch.command import run
run(generate.main)
"""


def test_ctrl_c_at_every_stage_loses_nothing(data_folder: Folder) -> None:
    """In the order in which a command comes to them, so that each finds what the one before has left."""
    data = data_folder(4)
    for moment in (
        "jobs.testset:check_pictures",
        "jobs.generate.replacing:restore",
        "jobs.generate.replacing:insist_on_renames",
        "jobs.generate.outcomes:compact",
        "jobs.generate.work:compile_core",
        "jobs.generate.merge:verify",
        "jobs.generate.replacing:swap_in",
    ):
        command = [sys.executable, "-c", _INTERRUPTED, moment, *data.command("--shards", 2)[2:]]
        job = subprocess.run(
            command, cwd=data.path, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True
        )
        assert job.returncode == 130 and "Traceback" not in job.stderr, (moment, job.stderr)
        assert not data.results.exists() and not data.workers()
    assert len(data.made()) == 4 and told(data).state is State.STOPPED
    assert data.generate().returncode == 0 and len(data.pictures()) == 4
    assert (told(data).before, told(data).total) == (4, 4)


def test_all_faults_of_the_input_come_in_one_report_before_any_work(data_folder: Folder) -> None:
    data = data_folder(6)
    truncate(data.masks / "m000.png")
    Image.fromarray(draw_mask(1) * 0 + 77).save(data.masks / "m001.png")
    references = json.loads(data.references.read_text())
    del references["m002.png"]
    references["m003.png"] = "nowhere.jpg"
    references["ghost.png"] = "photo0.jpg"
    data.references.write_text(json.dumps(references))
    job = data.generate("--shards", 2)
    assert job.returncode == 2
    for name in ("m000.png: ", "m001.png: class 77 ", "m002.png: ", "nowhere.jpg: ", "ghost.png: "):
        assert name in job.stderr
    assert "Traceback" not in job.stderr
    assert not data.results.exists() and not data.made()


def test_a_run_with_bad_input_ends_without_it_and_is_completed_later(data_folder: Folder) -> None:
    data = data_folder(5)
    whole = (data.masks / "m001.png").read_bytes()
    truncate(data.masks / "m001.png")
    job = data.generate("--shards", 2, "--on_bad_input", "skip")
    assert job.returncode == 1 and "m001: " in job.stderr
    (left_out,) = json.loads((data.results / "manifest.json").read_text())["left_out"]
    assert left_out["name"] == "m001" and "truncated" in left_out["reason"]
    assert missing(data) == ["m001"] and [failure["name"] for failure in failures(data)] == ["m001"]
    assert len(data.pictures()) == 4 and not (data.results / "m001.jpg").exists()
    status = read_status(data.run)
    assert (status.state, status.done, status.failed, status.total) == (State.DONE, 4, 1, 5)

    folder = data.results.stat().st_ino
    again = data.generate("--on_bad_input", "skip")
    assert again.returncode == 1 and data.results.stat().st_ino == folder  # there is nothing to do
    assert (told(data).state, told(data).done, told(data).failed) == (State.DONE, 4, 1)
    assert data.generate().returncode == 2

    (data.masks / "m001.png").write_bytes(whole)
    mended = data.generate()
    assert mended.returncode == 0 and (told(data).before, told(data).total) == (4, 5)
    assert len(data.pictures()) == 5


def test_what_is_missing_is_told_from_what_has_bad_input(data_folder: Folder) -> None:
    data = data_folder(3)
    truncate(data.masks / "m001.png")
    (data.masks / "m002.png").unlink()
    (data.masks / "m002.png").mkdir()
    assert data.generate("--on_bad_input", "skip").returncode == 1 and len(data.pictures()) == 1
    shutil.copyfile(data.masks / "m000.png", data.masks / "m001.png")
    (data.run / "images").mkdir()  # what failed is asked for, and nothing else
    retried = data.generate("--retry-failed", "--on_bad_input", "skip")
    assert retried.returncode == 1 and sorted(data.pictures()) == ["m000.jpg", "m001.jpg"]
    assert missing(data) == ["m002"]


@pytest.mark.parametrize("how", ["stop", "skip"])
def test_input_that_goes_bad_while_running_does_not_stop_the_others(data_folder: Folder, how: str) -> None:
    data = data_folder(30)
    job = data.start("--shards", 1, "--on_bad_input", how)
    wait_until(lambda: len(data.made()) >= 1)
    truncate(data.masks / "m029.png")
    (data.run / "images/notes.txt").write_text("mine")
    _, errors = job.communicate(timeout=600)
    assert job.returncode == 1
    assert "m029" in errors and missing(data) == ["m029"]
    assert [failure["name"] for failure in failures(data)] == ["m029"]
    assert len(data.made()) == (29 if how == "stop" else 0)
    assert len(data.pictures()) == (0 if how == "stop" else 29)
    assert (data.run / "strays/notes.txt").read_text() == "mine"  # and it did not stop the end


def test_existing_results_are_never_lost_by_surprise(data_folder: Folder) -> None:
    data = data_folder(2)
    data.results.mkdir()
    (data.results / "thesis.txt").write_text("mine")
    refused = data.generate("--overwrite")
    assert refused.returncode == 2 and "thesis.txt" in refused.stderr
    assert (data.results / "thesis.txt").read_text() == "mine"
    (data.results / "thesis.txt").unlink()

    (data.results / "m000.jpg").write_bytes(b"by the original")
    refused = data.generate()
    assert refused.returncode == 2 and "--overwrite" in refused.stderr
    assert data.generate("--overwrite").returncode == 0
    first, folder = data.pictures(), data.results.stat().st_ino
    assert data.generate("--overwrite").returncode == 0 and data.results.stat().st_ino == folder

    refused = data.generate("--seed", 9)
    assert refused.returncode == 2 and "seed" in refused.stderr
    assert data.pictures() == first
    assert data.generate("--seed", 9, "--overwrite").returncode == 0
    assert data.pictures().keys() == first.keys() and data.pictures() != first
    refused = data.generate("--seed", 9, "--how_many", 1)
    assert refused.returncode == 2 and "m001.jpg" in refused.stderr and "--overwrite" in refused.stderr


def test_unfinished_pictures_of_other_settings_are_not_reused(data_folder: Folder) -> None:
    data = data_folder(60)
    job = data.start()
    wait_until(lambda: len(data.made()) >= 2)
    job.terminate()
    job.communicate(timeout=600)
    refused = data.generate("--seed", 9)
    assert refused.returncode == 2 and "(seed " in refused.stderr and "--overwrite" in refused.stderr
    anew = data.generate("--seed", 9, "--overwrite", "--how_many", 4)
    assert anew.returncode == 0 and (told(data).before, told(data).total) == (0, 4)


def test_pictures_of_an_unknown_plan_are_not_reused(data_folder: Folder) -> None:
    """What a kill leaves that hits while one plan takes the place of another."""
    data = data_folder(60)
    job = data.start()
    wait_until(lambda: len(data.made()) >= 2)
    job.terminate()
    job.communicate(timeout=600)
    (data.run / "plan.json").unlink()
    assert data.generate("--how_many", 4).returncode == 0
    assert (told(data).before, told(data).total) == (0, 4)


def test_unfinished_pictures_are_not_dropped_by_asking_for_fewer(data_folder: Folder) -> None:
    data = data_folder(60)
    job = data.start()
    wait_until(lambda: len(data.made()) >= 3)
    job.terminate()
    job.communicate(timeout=600)
    kept = sorted(path.stem for path in data.made())
    refused = data.generate("--how_many", 1)
    assert refused.returncode == 2 and "--overwrite" in refused.stderr
    assert any(name in refused.stderr for name in kept)
    assert sorted(path.stem for path in data.made()) == kept


def test_run_with_overwrite_goes_on_where_it_was_killed(data_folder: Folder) -> None:
    data = data_folder(60)
    assert data.generate("--how_many", 1).returncode == 0
    job = data.start("--seed", 9, "--overwrite")
    wait_until(lambda: len(data.made()) >= 3)
    job.terminate()
    job.communicate(timeout=600)
    kept = len(data.made())
    rest = data.generate("--seed", 9, "--overwrite", "--shards", 2)
    assert rest.returncode == 0 and told(data).before == kept
    assert len(data.pictures()) == 60


def test_file_put_into_results_during_the_run_is_not_lost(data_folder: Folder) -> None:
    data = data_folder(30)
    job = data.start()
    wait_until(lambda: len(data.made()) >= 1)
    data.results.mkdir()
    (data.results / "thesis.txt").write_text("mine")
    _, errors = job.communicate(timeout=600)
    assert job.returncode == 2 and "thesis.txt" in errors
    assert (data.results / "thesis.txt").read_text() == "mine" and len(data.made()) == 30
    (data.results / "thesis.txt").unlink()
    assert data.generate().returncode == 0 and len(data.pictures()) == 30


def test_mask_exchanged_during_the_run_is_noticed(data_folder: Folder) -> None:
    data = data_folder(30)
    job = data.start("--shards", 1)
    wait_until(lambda: len(data.made()) >= 1)
    Image.fromarray(draw_mask(77)).save(data.masks / "m029.png")
    _, errors = job.communicate(timeout=600)
    assert job.returncode == 1 and "m029" in errors and missing(data) == ["m029"]
    assert [failure["name"] for failure in failures(data)] == ["m029"]


def test_worker_told_to_stop_from_outside_is_replaced(data_folder: Folder) -> None:
    data = data_folder(40)
    job = data.start("--shards", 2, "--workers", 1)
    wait_until(lambda: len(data.made()) >= 2)
    os.kill(data.workers()[0], signal.SIGTERM)
    _, errors = job.communicate(timeout=600)
    assert job.returncode == 0, errors
    assert len(data.pictures()) == 40


def test_nothing_to_retry(data_folder: Folder) -> None:
    data = data_folder(2)
    job = data.generate("--retry-failed")
    assert job.returncode == 2 and "--retry_failed" in job.stderr and " 2 " in job.stderr  # not made yet
    assert not data.made() and not data.results.exists()


def test_names_of_every_kind(data_folder: Folder) -> None:
    data = data_folder(0)
    names = ['a b\'s "q".png', "\u2028 line.png", "山水.png", "dot..png", "x" * 250 + ".png"]
    for index, name in enumerate(names):
        Image.fromarray(draw_mask(index)).save(data.masks / name)
    data.references.write_text(json.dumps(dict.fromkeys(names, "photo0.jpg")))
    job = data.generate("--shards", 2)
    assert job.returncode == 0, job.stderr
    assert data.pictures().keys() == {name[:-4] + ".jpg" for name in names}


def test_second_launcher_is_kept_out(data_folder: Folder) -> None:
    data = data_folder(60)
    job = data.start()
    wait_until(lambda: len(data.made()) >= 1)
    second = data.generate()
    assert second.returncode == 2 and f"process {job.pid} " in second.stderr
    job.terminate()
    job.communicate(timeout=600)


def test_full_disk_loses_nothing(
    data_folder: Folder, undisturbed: dict[str, bytes], mount: Callable[[int], Path]
) -> None:
    data, small_disk = data_folder(60), mount(6)  # the code takes two, and so does its new copy
    job = data.start("--output_path", small_disk / "results", "--workers", 1)
    images = small_disk / "results.run" / "images"
    wait_until(lambda: len(list(images.glob("*.jpg"))) >= 2)
    filler = fill(small_disk)
    _, errors = job.communicate(timeout=600)
    assert job.returncode == 1
    assert os.strerror(errno.ENOSPC) in errors and "Traceback" not in errors
    assert not (small_disk / "results").exists()
    filler.unlink()
    assert data.generate("--output_path", small_disk / "results").returncode == 0
    assert undisturbed == {path.name: path.read_bytes() for path in (small_disk / "results").glob("*.jpg")}


def test_space_is_checked_before_the_start(data_folder: Folder, mount: Callable[[int], Path]) -> None:
    data, small_disk = data_folder(1), mount(1)
    job = data.generate("--output_path", small_disk / "results", "--size", "2000x2000")
    assert job.returncode == 2 and f"--output_path {small_disk}" in job.stderr and " MiB" in job.stderr


@pytest.mark.parametrize("path", ["/proc/results", "data/test/label_to_img.json/results"])
def test_output_that_can_not_be_written(data_folder: Folder, path: str) -> None:
    job = data_folder(1).generate("--output_path", path)
    assert job.returncode == 2 and "--output_path" in job.stderr and "Traceback" not in job.stderr


def test_results_may_not_swallow_their_input(data_folder: Folder) -> None:
    data = data_folder(1)
    job = data.generate("--output_path", data.photos, "--overwrite")
    assert job.returncode == 2 and "--img_path" in job.stderr
    assert len(list(data.photos.iterdir())) == 3


def test_one_mask(data_folder: Folder) -> None:
    data = data_folder(1)
    job = data.generate("--shards", 8)
    assert job.returncode == 0 and planned(data).shards == 1, job.stderr
    assert list(data.pictures()) == ["m000.jpg"]


def test_interruption_while_compiling_ends_the_compilers(data_folder: Folder, tmp_path: Path) -> None:
    data = data_folder(2)
    cache = tmp_path / "cold-cache"
    job = data.start("--cache_dir", cache)

    def users_of_the_cache() -> list[str]:
        return [line for line in processes() if str(cache) in line]

    wait_until(lambda: any("cc1plus" in line for line in users_of_the_cache()))
    job.send_signal(signal.SIGINT)
    _, errors = job.communicate(timeout=600)
    assert job.returncode == 130 and "Traceback" not in errors
    assert "compiling Jittor" in errors  # the user sees what takes so long
    assert told(data).state is State.STOPPED
    wait_until(lambda: not users_of_the_cache(), 20)


def processes() -> list[str]:
    """Command lines of all processes."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return found


def test_real_masks_survive_a_kill(original: Path, landscape_mini: Path, tmp_path: Path) -> None:
    """Real masks and photos, resized to the network's size, with the original's own checkpoint."""
    data = DataFolder(tmp_path, 0, original)
    paths = ("--input_path", landscape_mini / "test", "--img_path", landscape_mini / "train/imgs", "--how_many", 12)
    job = data.start(*paths, "--shards", 4)
    wait_until(lambda: len(data.made()) >= 3, 300)
    for worker in data.workers():
        os.kill(worker, signal.SIGKILL)
    job.kill()
    job.communicate(timeout=600)
    assert data.generate(*paths, "--shards", 3).returncode == 0
    assert data.generate(*paths, "--batch", 2, "--output_path", "whole").returncode == 0
    assert data.pictures() == data.pictures("whole") and len(data.pictures()) == 12


def test_number_of_shards(data_folder: Folder) -> None:
    data = data_folder(3)
    none = data.generate("--shards", 0)
    assert none.returncode == 2 and "--shards is 0" in none.stderr
    many = data.generate("--shards", 5000)
    assert many.returncode == 0 and planned(data).shards == 3


def test_no_masks(data_folder: Folder) -> None:
    data = data_folder(0)
    job = data.generate()
    assert job.returncode == 2 and "--input_path" in job.stderr
    assert not data.run.exists()


def test_dry_run_prints_the_plan_and_writes_nothing(data_folder: Folder) -> None:
    data = data_folder(3)
    before = sorted(data.path.rglob("*"))
    job = data.generate("--dry-run", "--shards", 2)
    assert job.returncode == 0 and "3: 0 made already, 3 to do" in job.stdout and "results.run" in job.stdout
    assert sorted(data.path.rglob("*")) == before


def test_pictures_of_another_precision_are_not_reused(data_folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    data = data_folder(1)
    assert data.generate().returncode == 0
    assert fingerprint(data)["precision"] == "float32"
    monkeypatch.setattr(precision, "_instructions", lambda: 0xE7)  # which has it, but no matrix units
    assert "nothing to do" in data.in_process("--precision", "auto").stdout
    refused = data.in_process("--precision", "bfloat16")
    assert refused.returncode == 2 and "precision" in refused.stderr and "--overwrite" in refused.stderr
    monkeypatch.setattr(precision, "_instructions", lambda: 0)
    refused = data.in_process("--precision", "bfloat16")
    assert refused.returncode == 2 and refused.stderr.startswith("error: --precision bfloat16: ")
    refused = data.in_process("--precision", "bfloat16", "--spade", "dense")
    assert refused.returncode == 2 and "--spade" in refused.stderr


def test_bfloat16_paints_as_told(data_folder: Folder) -> None:
    try:
        precision.insist("bfloat16")
    except MachineError as error:
        pytest.skip(str(error))
    data = data_folder(2)
    job = data.generate("--precision", "bfloat16", "--shards", 2)
    assert job.returncode == 0 and re.search("^precision +bfloat16$", job.stdout, re.MULTILINE), job.stderr
    assert fingerprint(data)["precision"] == "bfloat16"
    rounded = data.pictures()
    assert data.generate("--overwrite").returncode == 0
    assert data.pictures().keys() == rounded.keys() and data.pictures() != rounded


def fingerprint(data: DataFolder) -> dict[str, object]:
    return dict(json.loads((data.results / "manifest.json").read_text())["fingerprint"])


def test_threads_of_the_workers_are_the_users(data_folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    data = data_folder(3)
    assert "3 thread(s) each" in data.generate("--dry_run", "--threads", 3).stdout
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert "5 thread(s) each" in data.generate("--dry_run").stdout
    assert "3 thread(s) each" in data.generate("--dry_run", "--threads", 3).stdout
    assert "--threads" in data.generate("--dry_run", "--threads", 0).stderr


def test_configuration_file_and_its_mistakes(data_folder: Folder) -> None:
    data = data_folder(2)
    config = data.path / "mine.yaml"
    config.write_text("seed: 3\nformat: png\n")
    assert data.generate("--config", config).returncode == 0
    assert len(list(data.results.glob("*.png"))) == 2
    config.write_text("sead: 3\n")
    wrong = data.generate("--config", config)
    assert wrong.returncode == 2 and "sead" in wrong.stderr
    wrong = data.generate("--batch", "many")
    assert wrong.returncode == 2 and "batch" in wrong.stderr


def test_defaults_fit_the_layout_of_the_original(data_folder: Folder) -> None:
    data = data_folder(2)
    (data.path / "checkpoints").mkdir()
    (data.path / "checkpoints" / "landscape").symlink_to(data.checkpoint)
    # The README's segmentation network, trained after the generator, can't paint.
    native.save(data.path / "runs/segmenter/states/step-00000009", {"S": {}}, ModelConfig(), {})
    command = [part for part in data.command("--shards", 8) if part not in ("--checkpoint", str(data.checkpoint))]
    job = subprocess.run(command, cwd=data.path, capture_output=True, text=True)
    assert job.returncode == 0, job.stderr
    assert len(data.pictures()) == 2


def test_slurm_is_refused_until_it_is_there(data_folder: Folder) -> None:
    job = data_folder(1).generate("--cluster", "slurm")
    assert job.returncode == 2 and "--cluster local" in job.stderr


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])
