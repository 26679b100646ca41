"""What failed in a run, each with its reason: failures.jsonl in the run's folder, a line for each."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ecgan.errors import UserError, reason
from ecgan.files import write_atomically
from ecgan.lines import append_line, read_lines
from jobs.run import values


@dataclass(frozen=True, kw_only=True)
class Failure:
    """`name`: of the picture or pair, None of what has none. `mask`, `reference`: of a picture that was to be made;
    `step`: after which a training could not go on, of whose batch it was."""

    name: str | None
    reason: str
    mask: str | None = None
    reference: str | None = None
    step: int | None = None

    def told(self) -> dict[str, Any]:
        """What its line says."""
        return {key: value for key, value in dataclasses.asdict(self).items() if value is not None or key == "name"}


def write(path: Path, failures: Iterable[Failure]) -> None:
    """All there are."""
    write_atomically(path, "".join(f"{json.dumps(failure.told())}\n" for failure in failures))


def append(path: Path, failure: Failure) -> None:
    """One more. Raises OSError."""
    append_line(path, failure.told())


def read(path: Path) -> tuple[list[Failure], int]:
    """What failed, and how many lines can't be understood; nothing if there is no such file. Raises UserError if it
    can't be read."""
    try:
        lines = list(read_lines(path))
    except FileNotFoundError:
        return [], 0
    except OSError as error:
        raise UserError(f"can't read {path}: {reason(error)}") from None
    found, damaged = [], 0
    for _, entry in lines:
        try:
            found.append(Failure(**values.fitting(Failure, entry or {})))
        except TypeError:  # cut short, or none of ours
            damaged += 1
    return found, damaged
