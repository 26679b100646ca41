"""What launch/score.py found picture by picture: images.csv in the score's folder."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from ecgan.errors import UserError
from ecgan.scoring.style import DEFAULT
from jobs import commands
from jobs.run.folder import RunDir, run_beside
from jobs.run.kind import Kind

#: Numbers by column, of one picture; None where one is undefined.
Numbers = dict[str, float | None]
_NOT_NUMBERS = ("name", "note")


def score_folder(results: Path, named: str | None) -> Path | None:
    """The folder with the numbers of the pictures in `results`; None if none is `named` and they have not been scored.

    Raises UserError if the one that is named holds none.
    """
    if named is None:
        beside = run_beside(results, Kind.SCORING)
        return beside if RunDir(beside).numbers.is_file() else None
    folder = Path(named).expanduser()
    if not (file := RunDir(folder).numbers).is_file():
        raise UserError(
            f"--score {folder} holds no {file.name}: run {commands.named('score')} --results {results} first"
        )
    return folder


def changed_since(folder: Path, pictures: Iterable[Path]) -> list[Path]:
    """Those that are newer than the numbers in `folder`, which are then those of other pictures."""
    scored = RunDir(folder).numbers.stat().st_mtime_ns
    return [path for path in pictures if path.exists() and path.stat().st_mtime_ns > scored]


def read_numbers(folder: Path) -> dict[str, Numbers]:
    """By picture. Raises UserError if the file can't be used."""
    path = RunDir(folder).numbers
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        return {
            row["name"]: {
                column: float(cell) if cell else None for column, cell in row.items() if column not in _NOT_NUMBERS
            }
            for row in rows
            if row[f"style_{DEFAULT}"] is not None  # KeyError where the column is not there
        }
    except (OSError, UnicodeError, csv.Error, KeyError, ValueError, TypeError) as error:
        raise UserError(
            f"{path} can't be read as numbers of pictures ({error}): run {commands.named('score')} again"
        ) from None
