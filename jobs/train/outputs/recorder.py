"""What a training leaves to be seen: metrics.jsonl, samples/ with samples.html, and a log for TensorBoard."""

from __future__ import annotations

import contextlib
import io
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from ecgan.contact_sheet import contact_sheet
from ecgan.data.images import Size
from ecgan.files import TEMPORARY_SUFFIX, write_atomically
from ecgan.lines import append_line
from jobs.run.clock import now
from jobs.run.folder import RunDir
from jobs.run.values import to_json
from jobs.train.outputs import metrics
from jobs.train.outputs.metrics import History, Line
from jobs.train.outputs.samples_page import Sheet, samples_page
from jobs.train.outputs.tensorboard import EventFile

#: Pixels that a sheet of samples is wide at most, roughly.
_SHEET_WIDTH = 1600
_QUALITY = 88


class Recorder:
    """Writes what a person wants to see of a training. For one process: rank 0, with the run's lock held.

    Nothing of this is worth the training: what can't be written (a full disk) is said once on
    standard error, and left out.
    """

    def __init__(self, run: RunDir, step: int) -> None:
        """Goes on after `step` steps (0: from the beginning). What is there of later ones, which will be
        taken again, is dropped, as is what a kill left half written."""
        self._run, self._complained = run, False
        self._history = History()
        self._last: Line | None = None
        self._sheets: dict[int, Sheet] = {}
        self._events: EventFile | None = None
        self._purge_step: int | None = step + 1
        self._is_page_outdated = False
        with self._surviving_errors():
            metrics.cut(run.metrics, step)
        with self._surviving_errors():
            self._clear_samples(step)
        with self._surviving_errors():
            self._read_back(step)
        with self._surviving_errors():
            self._write_page()
        self._tell_tensorboard(lambda events: None)  # a new file now, so that what it hides is hidden

    def losses(self, step: int, epoch: int, values: dict[str, float], lr: float, images_per_second: float) -> None:
        """Notes the losses of `step`. Those that are not finite become "NaN", "Infinity" or "-Infinity"."""
        line = self._last = Line(step, epoch, dict(values))
        self._history.add(line)
        self._is_page_outdated = True
        if step in self._sheets:
            self._sheets[step] = Sheet(step, self._sheets[step].path, line)
        numbers = {"lr": lr, "images_per_second": images_per_second, **values}
        entry = {"step": step, "epoch": epoch, "time": now()}
        entry |= {name: to_json(value) for name, value in numbers.items()}
        with self._surviving_errors():
            append_line(self._run.metrics, entry)
        tags = {f"loss/{name}": value for name, value in values.items()}
        tags |= {"rate/lr": lr, "rate/images_per_second": images_per_second, "rate/epoch": epoch}
        self._tell_tensorboard(lambda events: events.scalars(step, tags))

    def samples(self, step: int, rows: list[list[np.ndarray]], headings: Sequence[str]) -> None:
        """Keeps a sheet of pictures: (H, W, 3) uint8, a row for each sample, `headings` for the columns."""
        sheet = contact_sheet(rows, _tile(rows[0][0], len(headings)), headings)
        buffer = io.BytesIO()
        sheet.save(buffer, "JPEG", quality=_QUALITY)
        path = self._run.samples / f"step-{step:08}.jpg"
        with self._surviving_errors():
            self._run.samples.mkdir(exist_ok=True)
            write_atomically(path, buffer.getvalue())
            self._sheets[step] = Sheet(step, path, self._last)
            self._write_page()
        self._tell_tensorboard(lambda events: events.picture(step, "samples", buffer.getvalue(), *sheet.size))

    def close(self) -> None:
        """Brings the page up to date; afterwards there is nothing left to write."""
        if self._is_page_outdated:
            with self._surviving_errors():
                self._write_page()
        if self._events is not None:
            with self._surviving_errors():
                self._events.close()
            self._events = None

    def _clear_samples(self, step: int) -> None:
        for path in self._run.samples.glob(f".*{TEMPORARY_SUFFIX}"):
            path.unlink()
        for number, path in _sheets_in(self._run.samples).items():
            if number > step:
                path.unlink()

    def _read_back(self, step: int) -> None:
        paths = _sheets_in(self._run.samples)
        waiting = sorted(number for number in paths if number <= step)
        for line in metrics.read(self._run.metrics, until=step):
            while waiting and waiting[0] < line.step:
                self._adopt(waiting.pop(0), paths)
            self._last = line
            self._history.add(line)
        for number in waiting:
            self._adopt(number, paths)

    def _adopt(self, number: int, paths: dict[int, Path]) -> None:
        self._sheets[number] = Sheet(number, paths[number], self._last)

    def _write_page(self) -> None:
        page = self._run.samples_page
        sheets = [self._sheets[step] for step in sorted(self._sheets)]
        if sheets or self._history.points:
            written = now().replace("T", " ").replace("+00:00", " UTC")
            write_atomically(page, samples_page(self._run.path.name, sheets, self._history, written))
        else:
            page.unlink(missing_ok=True)
        self._is_page_outdated = False

    def _tell_tensorboard(self, tell: Callable[[EventFile], None]) -> None:
        with self._surviving_errors():
            try:
                if self._events is None:
                    self._events = EventFile(self._run.tensorboard, self._purge_step)
                    self._purge_step = None  # a file that takes the place of a broken one hides nothing
                tell(self._events)
            except OSError:
                self._events = None  # it may end in half a record: what comes next begins another file
                raise

    @contextlib.contextmanager
    def _surviving_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if self._complained:
                return
            self._complained = True
            what = f"{error.filename or self._run.path}: {error.strerror}"
            with contextlib.suppress(OSError):  # what we say may go to the same disk
                print(
                    f"warning: {what}; training goes on, but some of its metrics and samples are not kept",
                    file=sys.stderr,
                    flush=True,
                )


def _tile(picture: np.ndarray, columns: int) -> Size:
    """As large as the picture, or as fits so many times into the width of a sheet."""
    height, width = picture.shape[:2]
    tile = min(width, max(64, _SHEET_WIDTH // columns))
    return tile, max(1, round(tile * height / width))


def _sheets_in(folder: Path) -> dict[int, Path]:
    matches = ((re.fullmatch(r"step-(\d{8,})\.jpg", path.name), path) for path in folder.glob("step-*.jpg"))
    return {int(match[1]): path for match, path in matches if match}
