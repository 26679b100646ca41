"""A run's folder: where everything that a run writes has its place."""

from __future__ import annotations

import shutil
from pathlib import Path

from ecgan.errors import UserError
from ecgan.files import TEMPORARY_SUFFIX
from jobs.run.kind import Kind

#: Among the logs of ranks: what they run.
JOB = "job.pickle"
#: Beside the plan of sharded work: what is to be made.
ITEMS = "items.jsonl"


def run_beside(results: Path, kind: Kind) -> Path:
    """The folder of the run of that kind that belongs to the folder `results`."""
    assert kind.suffix is not None, f"{kind} belongs to no results folder"
    return results.with_name(results.name + kind.suffix)


class RunDir:
    """Paths below `path`; docs/structure.md says what they hold. Nothing is created before `create`.

    `option`: what the user chose the folder with, for messages.
    """

    def __init__(self, path: Path, option: str = "--output_path") -> None:
        self.path, self.option = path, option
        self.plan = path / "plan.json"
        self.items = path / ITEMS
        self.config = path / "config.yaml"
        self.status = path / "status.json"
        self.lock = path / "lock"
        self.failures = path / "failures.jsonl"
        self.missing = path / "missing.txt"
        self.logs = path / "logs"
        self.shards = path / "shards"
        self.images = path / "images"
        self.parts = path / "parts"
        self.score = path / "score.json"
        self.numbers = path / "images.csv"
        self.statistics = path / "statistics.npz"
        self.done = path / "done.jsonl"
        self.strays = path / "strays"
        self.replaced = path / "replaced"
        self.states = path / "states"
        self.checked = path / "checked.jsonl"
        self.hashed = path / "hashed.jsonl"
        self.metrics = path / "metrics.jsonl"
        self.samples = path / "samples"
        self.samples_page = path / "samples.html"
        self.tensorboard = path / "tensorboard"
        self.submission = path / "submission.json"
        self.attempts = path / "attempts"
        self.cluster = path / "cluster.yaml"
        self.code = path / "code"
        self.table = path / "table.json"
        self.notified = path / "notified"
        self.waiting = path / "waiting.yaml"

    def create(self, *folders: Path) -> None:
        """Makes the folder, that of the logs, and `folders`. Raises UserError if they can't be made or written to."""
        try:
            for folder in (self.path, self.logs, *folders):
                folder.mkdir(parents=True, exist_ok=True)
            probe = self.path / f".probe{TEMPORARY_SUFFIX}"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise UserError(f"can't write to {self.path}: {error.strerror}; choose another {self.option}") from None

    def clear_temporaries(self, *folders: Path) -> None:
        """Removes what killed processes left half written in `folders`, by default wherever a run writes. Only while
        holding the lock."""
        everywhere = (self.path, self.shards, self.images, self.parts, self.states, self.samples, self.attempts)
        for folder in folders or (*everywhere, self.logs, *self.logs.glob("*/")):
            for path in folder.glob(f".*{TEMPORARY_SUFFIX}"):
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)
