"""What a training leaves to be seen, read back from the files; killed, resumed and on a full disk, too."""

from __future__ import annotations

import base64
import io
import json
import math
import re
import signal
import struct
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT, draw_photo
from PIL import Image

from jobs.run.folder import RunDir
from jobs.train.outputs import metrics
from jobs.train.outputs.loss_chart import loss_chart, smoothed
from jobs.train.outputs.metrics import History, Line, Point
from jobs.train.outputs.recorder import Recorder
from jobs.train.outputs.samples_page import Sheet, samples_page, spread

HEADINGS = ("mask", "image2")
LOSSES = {"GAN": -0.5, "VGG": 8.25}


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    path = tmp_path / "a <run> & 'more'"
    path.mkdir()
    return RunDir(path)


def rows(seed: int = 0) -> list[list[np.ndarray]]:
    return [[draw_photo(seed + row, (32, 16)), draw_photo(seed + row + 50, (32, 16))] for row in range(2)]


def record(run: RunDir, first: int, last: int, start: int = 0) -> Recorder:
    """Steps `first` to `last`, each with losses, each tenth with samples."""
    recorder = Recorder(run, start)
    for step in range(first, last + 1):
        recorder.losses(step, 1 + step // 20, LOSSES | {"KLD": step / 100}, 1e-4, 3.5)
        if step % 10 == 0:
            recorder.samples(step, rows(step), HEADINGS)
    recorder.close()
    return recorder


def lines(run: RunDir) -> list[dict[str, Any]]:
    """Of metrics.jsonl, by the letter of JSON."""

    def refuse(word: str) -> None:
        raise ValueError(f"{word} is not JSON")

    text = run.metrics.read_text()
    assert text.endswith("\n")
    return [json.loads(line, parse_constant=refuse) for line in text.splitlines()]


def sheets(page: Path) -> list[tuple[int, bytes]]:
    found = re.findall(r'id="step-(\d+)".*?src="data:image/jpeg;base64,([^"]+)"', page.read_text(), re.DOTALL)
    return [(int(step), base64.b64decode(picture)) for step, picture in found]


def events(run: RunDir) -> list[Any]:
    """What TensorBoard would read, in its order."""
    from tensorboardX.proto.event_pb2 import Event

    found = []
    for path in sorted(run.tensorboard.iterdir()):
        assert "tfevents" in path.name
        data = path.read_bytes()
        while data:
            (length,) = struct.unpack("<Q", data[:8])
            found.append(Event.FromString(data[12 : 12 + length]))
            data = data[16 + length :]
    return found


def test_lines_of_metrics(run: RunDir) -> None:
    recorder = Recorder(run, 0)
    recorder.losses(100, 1, {"GAN": 0.5, "D_real": math.nan, "VGG": -math.inf}, 2e-4, 4.5)
    (line,) = lines(run)
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "step": 100,
        "epoch": 1,
        "lr": 2e-4,
        "images_per_second": 4.5,
        "GAN": 0.5,
        "D_real": "NaN",
        "VGG": "-Infinity",
    }
    assert math.isnan(float("NaN")) and float("-Infinity") == -math.inf
    recorder.close()


def test_kill_loses_no_line(run: RunDir) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from jobs.run.folder import RunDir; from jobs.train.outputs.recorder import Recorder\n"
        "recorder = Recorder(RunDir(Path(sys.argv[1])), 0)\n"
        "for step in range(1, 10**6):\n"
        "    recorder.losses(step, 1, {'GAN': 0.5}, 1e-4, 1.0); print(step, flush=True)\n"
    )
    command = [sys.executable, "-c", program, str(run.path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for _ in range(20):
            child.stdout.readline()
        child.send_signal(signal.SIGKILL)
        said = 20 + len(child.stdout.read().split("\n")[:-1])
    kept = [line.step for line in metrics.read(run.metrics, until=10**9)]
    assert kept[:said] == list(range(1, said + 1))
    assert {event.step for event in events_until_broken(run) if event.summary.value} >= set(range(1, said))


def events_until_broken(run: RunDir) -> list[Any]:
    (path,) = run.tensorboard.iterdir()
    return events(run) if path.stat().st_size else []


def test_resumed_run_forgets_what_will_be_made_again(run: RunDir) -> None:
    record(run, 1, 40)
    kept = {path.name: path.read_bytes() for path in run.samples.iterdir() if path.name <= "step-00000020.jpg"}
    with open(run.metrics, "a") as file:
        file.write('{"step": 41, "epo')
    (run.samples / ".half.part").write_bytes(b"half")
    (run.samples / "notes.txt").write_text("the user's own")

    Recorder(run, 25).close()
    assert [line["step"] for line in lines(run)] == list(range(1, 26))
    assert {path.name: path.read_bytes() for path in run.samples.glob("*.jpg")} == kept
    assert {path.name for path in run.samples.iterdir()} == {*kept, "notes.txt"}
    assert [step for step, _ in sheets(run.samples_page)] == [20, 10]
    assert "step 25<" in run.samples_page.read_text()

    record(run, 26, 40, start=25)
    assert [line["step"] for line in lines(run)] == list(range(1, 41))
    page = run.samples_page.read_text()
    assert [step for step, _ in sheets(run.samples_page)] == [40, 30, 20, 10]
    # The losses at each sheet, those of before the kill included.
    assert [float(value) for value in re.findall(r'"values">.*?KLD <b>([\d.]+)', page)] == [0.4, 0.3, 0.2, 0.1]


def test_run_that_begins_again_has_nothing(run: RunDir) -> None:
    record(run, 1, 20)
    Recorder(run, 0).close()
    assert run.metrics.read_text() == "" and not run.samples_page.exists()
    assert not list(run.samples.iterdir())


def test_page_needs_nothing_but_itself(run: RunDir) -> None:
    record(run, 1, 30)
    page = run.samples_page.read_text()
    assert not re.search(r"(src|href)=\"(?!data:|#)|url\((?!#)|https?://|<script|@import", page)
    assert "<h1>a &lt;run&gt; &amp; &#x27;more&#x27;</h1>" in page
    assert "<run>" not in page
    shown = sheets(run.samples_page)
    assert [step for step, _ in shown] == [30, 20, 10]
    for step, picture in shown:
        assert picture == (run.samples / f"step-{step:08}.jpg").read_bytes()
    assert 'Step 30 <small>epoch 2</small></h2><ul class="values"><li>GAN <b>-0.5</b></li>' in page
    assert not list(run.path.glob(".*.part"))


def test_page_stays_small_and_nothing_is_deleted(run: RunDir) -> None:
    recorder = Recorder(run, 0)
    for step in range(10, 1010, 10):
        recorder.samples(step, rows(), HEADINGS)
    steps = [step for step, _ in sheets(run.samples_page)]
    assert len(steps) == 40 and steps[0] == 1000 and steps[-1] == 10
    assert {a - b for a, b in zip(steps, steps[1:], strict=False)} <= {20, 30}
    assert len(list(run.samples.iterdir())) == 100
    assert "40 of 100 sheets" in run.samples_page.read_text()
    recorder.close()


def test_large_sheets_leave_room_for_fewer(tmp_path: Path) -> None:
    found = []
    for step in range(20):
        path = tmp_path / f"{step}.jpg"
        path.write_bytes(bytes(2 << 20))
        found.append(Sheet(step, path, None))
    page = samples_page("run", found, History(), "now")
    assert page.count("<img") == 12 and len(page) < 34 << 20


@pytest.mark.parametrize("steps", [[], [5], list(range(0, 400, 4)), [1, 2, 3, *range(1000, 1100)]])
def test_spread_keeps_both_ends(steps: list[int]) -> None:
    chosen = spread(steps, 10)
    assert chosen <= set(steps) and len(chosen) <= 10
    assert not steps or {steps[0], steps[-1]} <= chosen


def test_losses_that_come_after_the_samples_of_their_step(run: RunDir) -> None:
    recorder = Recorder(run, 0)
    recorder.losses(5, 1, {"GAN": 5.0}, 1e-4, 1.0)
    recorder.samples(10, rows(), HEADINGS)
    assert "at step 5" in run.samples_page.read_text()
    recorder.losses(10, 1, {"GAN": 7.0}, 1e-4, 1.0)
    recorder.close()
    page = run.samples_page.read_text()
    assert "at step 5" not in page and "<li>GAN <b>7</b></li>" in page


def test_history_stays_small_and_keeps_the_means() -> None:
    history = History()
    for step in range(1, 10_001):
        history.add(
            Line(step, 1, {"GAN": float(step)} | ({"late": math.nan if step % 2 else 2.0} if step > 5000 else {}))
        )
    points = history.points
    assert 250 <= len(points) <= 500
    assert sum(point.lines for point in points) == 10_000 and points[-1].step == 10_000
    total = sum(point.sums["GAN"] for point in points)
    assert total == pytest.approx(sum(range(1, 10_001)))
    assert math.isnan(points[0].mean("late")) and points[-1].mean("late") == 2
    assert history.names == ["GAN", "late"]


def points_of(**values: list[float]) -> list[Point]:
    history = History()
    for index, each in enumerate(zip(*values.values(), strict=True), 1):
        history.add(Line(index * 100, 1, dict(zip(values, each, strict=True))))
    return history.points


@pytest.mark.parametrize(
    "values",
    [[1.0], [2.0, 2.0, 2.0], [0.0, 0.0], [-3.0, 4.0, math.nan, 5.0], [1e-6, 1e6], list(np.linspace(-20, 300, 400))],
)
def test_chart_is_a_drawing_within_its_frame(values: list[float]) -> None:
    chart = loss_chart(points_of(GAN=values, other=[7.0] * len(values)), ["GAN", "other"])
    root = ElementTree.fromstring(f"<div>{chart}</div>")
    lines = root.findall(".//polyline")
    assert [line.get("class") for line in lines] == ["raw", "raw", "smooth", "smooth"]
    for line in lines[2:]:
        for pair in (line.get("points") or "").split():
            x, y = map(float, pair.split(","))
            assert 0 <= x <= 1200 and 0 <= y <= 380
    upright = [text.text for text in root.findall(".//text") if text.get("x") == "48"]
    assert len(upright) == len(set(upright)) and len(upright) >= 2
    assert [item.text or (item[0].tail or "").strip() for item in root.findall(".//li")] == ["GAN", "other"]


def test_nothing_to_draw() -> None:
    assert loss_chart([], []) == "" == loss_chart(points_of(GAN=[math.nan]), ["GAN"])


def test_smoothing_keeps_level_and_takes_noise() -> None:
    assert np.allclose(smoothed(np.full(200, 3.0)), 3)
    noise = np.random.default_rng(0).standard_normal(400)
    assert smoothed(noise).std() < 0.3 * noise.std()
    holes = np.array([1.0, np.nan, 1.0])
    assert np.array_equal(smoothed(holes), holes, equal_nan=True)


def test_tensorboard_reads_scalars_and_sheets(run: RunDir) -> None:
    record(run, 1, 10)
    record(run, 6, 7, start=5)
    found = events(run)
    assert [event.session_log.status for event in found if event.HasField("session_log")] == [1, 1]
    assert [event.step for event in found if event.HasField("session_log")] == [1, 6]
    values = {(event.step, value.tag): value for event in found for value in event.summary.value}
    assert values[3, "loss/KLD"].simple_value == pytest.approx(0.03)
    assert values[3, "rate/lr"].simple_value == pytest.approx(1e-4)
    assert values[3, "rate/images_per_second"].simple_value == 3.5
    picture = Image.open(io.BytesIO(values[10, "samples"].image.encoded_image_string))
    assert picture.size == (values[10, "samples"].image.width, values[10, "samples"].image.height)


def test_full_disk_does_not_stop_training(run: RunDir) -> None:
    """Files may not grow (the system's limit for a process stands in for the disk's), later they may again."""
    program = (
        "import resource, sys; from pathlib import Path; import numpy as np\n"
        "from jobs.run.folder import RunDir; from jobs.train.outputs.recorder import Recorder\n"
        "def limit(size): resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))\n"
        "recorder = Recorder(RunDir(Path(sys.argv[1])), 0)\n"
        "picture = np.zeros((16, 32, 3), np.uint8)\n"
        "def step(number):\n"
        "    recorder.losses(number, 1, {'GAN': 0.5}, 1e-4, 1.0); recorder.samples(number, [[picture]], ['mask'])\n"
        "step(1); limit(200)\n"
        "for number in range(2, 40): step(number)\n"
        "limit(resource.RLIM_INFINITY); step(40); recorder.close(); print('trained')\n"
    )
    command = [sys.executable, "-X", "dev", "-c", program, str(run.path)]  # which shows what Python 3.13 always does
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0 and result.stdout == "trained\n", result.stderr
    assert result.stderr.count("warning: ") == 1
    assert "Traceback" not in result.stderr
    assert [line["step"] for line in lines(run)] == [1, 40]
    assert [step for step, _ in sheets(run.samples_page)] == [40, 1]
    assert sorted(path.name for path in run.samples.iterdir()) == ["step-00000001.jpg", "step-00000040.jpg"]
    assert not list(run.path.glob(".*.part"))


def test_sheets_of_real_photos(run: RunDir, landscape_mini: Path) -> None:
    paths = sorted((landscape_mini / "train" / "imgs").glob("*.jpg"))[:4]
    photos = [np.asarray(Image.open(path).convert("RGB").resize((512, 384))) for path in paths]
    headings = ("mask", "reference", "edge", "generated edge", "image", "image2", "photo")
    recorder = Recorder(run, 0)
    recorder.samples(100, [[photo] * 7 for photo in photos], headings)
    recorder.close()
    sheet = Image.open(run.samples / "step-00000100.jpg")
    assert 1400 < sheet.width < 1700 and sheet.height > 4 * 160
    tile = np.asarray(sheet)[30:170, 10:220].astype(float)
    wanted = np.asarray(Image.fromarray(photos[0]).resize((228, 171)))[10:150, 4:214].astype(float)
    assert np.abs(tile.mean((0, 1)) - wanted.mean((0, 1))).max() < 5


@pytest.mark.parametrize(
    "line",
    [
        "[" * 100_000,
        '{"step": "x", "epoch": 1}',
        '{"step": Infinity, "epoch": 1}',
        '{"step": 2, "epoch": 1, "GAN": [1]}',
    ],
)
def test_a_line_that_is_none_of_ours_is_passed_over(run: RunDir, line: str) -> None:
    record(run, 1, 3)
    before = run.metrics.read_bytes()
    run.metrics.write_bytes(before + f"{line}\n".encode())
    assert [each.step for each in metrics.read(run.metrics, until=9)] == [1, 2, 3]
    metrics.cut(run.metrics, until=9)
    assert run.metrics.read_bytes() == before
