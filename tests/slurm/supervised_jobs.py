"""A job that ends in the way it is told."""

from __future__ import annotations

import time
from dataclasses import dataclass

from ecgan.errors import UserError
from ecgan.files import write_atomically
from jobs import stop
from jobs.run import attempts


@dataclass(frozen=True)
class Job:
    """`conduct`: done, work (until asked to stop), nowhere (the same, without having come further), mistake, crash,
    full (of a disk that has its log, too), late (another attempt begins before it writes)."""

    conduct: str

    def __call__(self) -> None:
        """Raises what belongs to the conduct."""
        if self.conduct == "mistake":
            raise UserError("a mistake of the user's")
        if self.conduct == "crash":
            raise RuntimeError("a crash")
        if self.conduct == "late" and (mine := attempts.current()):
            attempts.begin(mine.folder, mine.unit)
            attempts.insist_on_newest()
        if self.conduct == "full" and (mine := attempts.current()):
            for _ in range(4000):
                print("x" * 1000)
            write_atomically(mine.folder / "result", bytes(1 << 21))
        print("working", flush=True)
        while self.conduct != "done":
            time.sleep(0.05)
            if stop.requested():
                raise stop.Stopped(progressed=self.conduct == "work")
