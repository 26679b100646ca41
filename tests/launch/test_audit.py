"""The audit of a training set, on drawn faults of every kind and on real photos."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shlex
import signal
import struct
import subprocess
import sys
import termios
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, draw_mask, draw_photo, write_pairs
from PIL import Image

from ecgan.config import ModelConfig
from ecgan.data.audit import Examined, Limits, examine, find_duplicates
from ecgan.data.exclusion import leave_out, read_exclude_list
from ecgan.data.trainset import Pair

SIZE = (256, 192)


def audit(data: Path, output: Path, *options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / "launch/audit.py", "--input_path", data, "--output_path", output, *options]
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=600)


def findings(output: Path) -> dict[str, set[str]]:
    """Names by kind of fault."""
    found: dict[str, set[str]] = {}
    for each in json.loads((output / "report.json").read_text())["findings"]:
        found.setdefault(each["kind"], set()).add(each["name"])
    return found


def listed(data: Path, output: Path) -> set[str]:
    """Pairs of `data` that the audit's list leaves out, all lines of which must fit one."""
    found = leave_out(read_exclude_list(output / "exclude.txt"), list((data / "imgs").iterdir()))
    assert not found.unknown
    return set(found.names)


def command_in(said: str) -> list[str]:
    """The one that trains, with this Python."""
    [line] = [line for line in said.splitlines() if "train.py" in line]
    return [sys.executable, *shlex.split(line)[1:]]


@pytest.fixture
def faulty(tmp_path: Path) -> Path:
    """One pair of each fault beside four good ones."""
    data = tmp_path / "set"
    (data / "imgs").mkdir(parents=True)
    (data / "labels").mkdir()

    def add(name: str, photo: np.ndarray, labels: np.ndarray | None = None) -> Path:
        path = data / "imgs" / f"{name}.jpg"
        Image.fromarray(photo).save(path, quality=95)
        Image.fromarray(draw_mask(len(name), SIZE) if labels is None else labels).save(data / f"labels/{name}.png")
        return path

    for index in range(4):
        add(f"good{index}", draw_photo(index, SIZE))
    grey = np.asarray(Image.fromarray(draw_photo(5, SIZE)).convert("L"))
    add("grey", np.repeat(grey[..., None], 3, axis=2))
    framed = draw_photo(6, SIZE).copy()
    framed[:12] = 0
    add("framed", framed)
    (data / "imgs/same.jpg").write_bytes((data / "imgs/good1.jpg").read_bytes())
    Image.fromarray(draw_mask(1, SIZE)).save(data / "labels/same.png")
    add("similar", np.clip(draw_photo(2, SIZE).astype(int) + 6, 0, 255).astype(np.uint8))
    add("tall", draw_photo(7, (192, 256)), draw_mask(7, (192, 256)))
    cut = add("cut", draw_photo(8, SIZE))
    cut.write_bytes(cut.read_bytes()[:500])
    add("classes", draw_photo(9, SIZE), np.full((192, 256), 77, np.uint8))
    add("alone", draw_photo(10, SIZE))
    (data / "labels/alone.png").unlink()
    return data


@pytest.mark.process
def test_every_kind_of_fault_is_found(faulty: Path, tmp_path: Path) -> None:
    output = tmp_path / "audit"
    job = audit(faulty, output)
    assert job.returncode == 0, job.stderr
    assert findings(output) == {
        "grey": {"grey"},
        "border": {"framed"},
        "duplicate": {"same"},
        "near_duplicate": {"similar"},
        "size": {"tall"},
        "unreadable": {"cut"},
        "classes": {"classes"},
        "unpaired": {"alone"},
    }
    assert listed(faulty, output) == {"grey", "framed", "same", "similar", "tall", "cut", "classes"}
    report = json.loads((output / "report.json").read_text())
    assert sum(report["pixels"]) == 10 * 256 * 192  # of all masks that can be used
    assert "sky" in job.stdout and "exclude.txt" in job.stdout
    assert not list(output.glob(".*"))


def test_near_duplicates_differ_by_the_limits_distance_at_most() -> None:
    looks = {"first": b"\0" * 8, "later": b"\7" + b"\0" * 7}
    examined = [Examined((), name, np.zeros(29), content=name, look=look) for name, look in looks.items()]
    found = find_duplicates(examined, Limits(distance=3))
    assert [(each.name, each.kind) for each in found] == [("later", "near_duplicate")]
    assert not find_duplicates(examined, Limits(distance=2))


@pytest.mark.parametrize("side", range(4))
def test_a_border_that_jpeg_smeared(tmp_path: Path, side: int) -> None:
    path = tmp_path / "framed.jpg"
    turned = np.rot90(draw_photo(3, (512, 384)), side).copy()
    turned[:20] = 30, 90, 40
    Image.fromarray(np.rot90(turned, -side)).save(path, quality=75)
    examined = examine(Pair("framed", path, path), ModelConfig(), Limits())
    [border] = [each for each in examined.findings if each.kind == "border"]
    assert border.detail.endswith(f"at the {['top', 'right', 'bottom', 'left'][side]} is of one colour")


@pytest.mark.process
def test_the_user_says_what_is_listed(faulty: Path, tmp_path: Path) -> None:
    output = tmp_path / "audit"
    assert audit(faulty, output, "--exclude", "grey").returncode == 0
    assert listed(faulty, output) == {"grey", "cut", "classes"}
    known = tmp_path / "known.txt"
    known.write_text("grey.jpg\ncut\nframed.gif\n")
    job = audit(faulty, output, "--exclude", "grey,border", "--exclude_list", known, "--chroma", 256)
    assert job.returncode == 0
    assert {"good0", "framed", "grey", "cut"} <= listed(faulty, output)  # and what was on the other list
    assert "grey" not in {name for names in findings(output).values() for name in names}
    assert "1 line(s) of the exclusion list fit nothing in the set: framed.gif" in job.stdout


@pytest.mark.process
@pytest.mark.parametrize("options", [(), ("--exclude", "grey", "--label_nc", 78), ("--exclude_list", "known.txt")])
def test_the_command_that_is_printed_runs(faulty: Path, tmp_path: Path, options: tuple[object, ...]) -> None:
    """On a set with unpaired files, a doubled photo, odd names and faults of every kind, in a path with blanks."""
    data = faulty.rename(tmp_path / "a set of 'mine'")
    (data / "imgs/good0.JPEG").write_bytes((data / "imgs/good0.jpg").read_bytes())
    for kind, ending in (("imgs", "jpg"), ("labels", "png")):
        (data / kind / f"grey.{ending}").rename(data / kind / f"# {ending}  \n.{ending}")
        (data / kind / f"cut.{ending}").rename(data / kind / f"good1.jpg.{ending}")
        (data / kind / f"good3.{ending}").rename(data / kind / os.fsdecode(b"\xff." + ending.encode()))
    (tmp_path / "known.txt").write_text("similar.jpg\nnowhere.jpg\n")
    known = [tmp_path / word if word == "known.txt" else word for word in options]
    job = audit(data, tmp_path / "the audit", *known)
    assert job.returncode == 0, job.stderr
    smallest = ["--size", "64x32", "--ngf", "4", "--ndf", "4", "--num_upsampling_layers", "normal", "--lambda_vgg", "0"]
    command = [*command_in(job.stdout), *smallest, "--run_dir", str(tmp_path / "run"), "--device", "cpu", "--dry-run"]
    training = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert training.returncode == 0, training.stderr
    report = json.loads((tmp_path / "the audit/report.json").read_text())
    left = report["pairs"] - len(report["excluded"])
    assert f"{left} pairs, " in training.stdout and "fit nothing" not in training.stdout


@pytest.mark.process
def test_a_set_without_strays_needs_no_more_words(tmp_path: Path) -> None:
    job = audit(write_pairs(tmp_path / "set", 4), tmp_path / "audit", "--exclude", "none")
    assert command_in(job.stdout)[2:] == [
        "--input_path", str(tmp_path / "set"), "--exclude_list", str(tmp_path / "audit/exclude.txt"),
    ]  # fmt: skip


@pytest.mark.process
def test_nothing_is_left(tmp_path: Path) -> None:
    job = audit(write_pairs(tmp_path / "set", 1), tmp_path / "audit", "--size", "100x100")
    assert job.returncode == 0 and "train.py" not in job.stdout and "no pair without one" in job.stdout


@pytest.mark.process
def test_kinds_of_fault_do_not_depend_on_names(tmp_path: Path) -> None:
    data = write_pairs(tmp_path / "a class of classes", 3)
    (data / "labels/p0.png").write_bytes(b"cut")
    (data / "labels/p1.png").unlink()
    os.mkfifo(data / "labels/p1.png")
    (data / "labels/p2.png").unlink()
    (data / "labels/p2.png").symlink_to("class")
    assert audit(data, tmp_path / "audit").returncode == 0
    assert findings(tmp_path / "audit")["unreadable"] == {"p0", "p1", "p2"}
    assert "classes" not in findings(tmp_path / "audit")


@pytest.mark.process
def test_nothing_of_pillow_is_on_the_screen(tmp_path: Path) -> None:
    data = write_pairs(tmp_path / "set", 2)
    see_through = Image.fromarray(draw_photo(0)).quantize(16)
    (data / "imgs/p0.jpg").unlink()
    see_through.save(data / "imgs/p0.png", transparency=b"\0\x80")
    Image.fromarray(draw_photo(1)).save(data / "imgs/p1.jpg", exif=b"Exif\0\0II*\0\x08\0\0\0\x05\0broken")
    job = audit(data, tmp_path / "audit")
    assert job.returncode == 0 and "arning" not in job.stderr + job.stdout, job.stderr


@pytest.mark.process
def test_real_photos(landscape_mini: Path, tmp_path: Path) -> None:
    """Ten grey photos of a pier, and near copies of four others, were put among the 160."""
    output = tmp_path / "audit"
    assert audit(landscape_mini / "train", output).returncode == 0
    found = findings(output)
    assert len(found["grey"]) == 10 and "border" not in found
    pairs = [
        each for each in json.loads((output / "report.json").read_text())["findings"] if "looks like" in each["detail"]
    ]
    assert len({each["name"] for each in pairs} - found["grey"]) == 4
    assert found.keys() == {"grey", "near_duplicate"}


@pytest.mark.process
def test_mistakes_are_named(tmp_path: Path) -> None:
    data = write_pairs(tmp_path / "set", 1)
    (tmp_path / "file").touch()
    cases = [
        ((tmp_path / "nowhere", tmp_path / "a"), "nowhere: no such folder"),
        ((data, tmp_path / "file"), "file: can't be written"),
        ((data, tmp_path / "a", "--exclude", "ugly"), "'ugly' is none of"),
        ((data, tmp_path / "a", "--size", "big"), "--size"),
    ]
    for arguments, message in cases:
        job = audit(*arguments)
        assert job.returncode == 2 and message in job.stderr and "Traceback" not in job.stderr, (arguments, job.stderr)
    assert audit(data, tmp_path / "a").returncode == 0  # a single pair is a set


@pytest.mark.process
def test_it_can_be_interrupted(tmp_path: Path) -> None:
    data = write_pairs(tmp_path / "set", 1)
    mask = Image.fromarray(draw_mask(0)).resize((4096, 3072), Image.Resampling.NEAREST)
    mask.save(data / "labels/p0.png")
    for index in range(1, 1000):  # no machine examines so many before it is interrupted
        for folder, kind in (("imgs", "jpg"), ("labels", "png")):
            os.link(data / folder / f"p0.{kind}", data / folder / f"p{index}.{kind}")
    command = [sys.executable, str(ROOT / "launch/audit.py"), "--input_path", str(data), "--workers", "1"]
    command += ["--output_path", str(tmp_path / "audit")]
    ours, terminal = os.openpty()  # on a terminal the bar shows within seconds that it is at work
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    job = subprocess.Popen(command, stderr=terminal, stdout=subprocess.DEVNULL)
    os.close(terminal)
    said = ""
    with os.fdopen(ours, "rb", buffering=0) as screen, contextlib.suppress(OSError):  # EIO: the job has ended
        while more := screen.read(4096):
            if "examining" in more.decode() and "examining" not in said:
                job.send_signal(signal.SIGINT)
            said += more.decode()
    assert job.wait(120) == 130 and "examining" in said and "Traceback" not in said, said
    assert not (tmp_path / "audit").exists()
