"""One shard of a generation: reading ahead, generating, writing behind.

read (threads) -> encode style, generate (this thread) -> colour transfer, encode file, write under
a temporary name, rename, note (one thread behind).
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ecgan.data.images import BadImage, encode, read_bytes, read_mask, read_photo, resize_mask, resize_photo
from ecgan.files import write_atomically
from ecgan.runtime import starting
from ecgan.runtime.precision import insist
from ecgan.runtime.warming import warm_painting
from jobs import stop
from jobs.generate import outcomes
from jobs.generate.outcomes import TaskOutcome
from jobs.generate.plan import GeneratePlan, Painting, Task, input_digest
from jobs.run import attempts
from jobs.run.folder import RunDir
from jobs.run.progress import Progress
from jobs.sharded.shard import Share

if TYPE_CHECKING:  # it needs Jittor, which is started on the right device first
    from ecgan.synthesis import Synthesiser

_READERS = 2
#: Batches that are read ahead of the network, and that may wait behind it to be written.
_AHEAD = _BEHIND = 2


class GenerateShare(Share[Task]):
    """The pictures of one shard of a generation."""

    kept = "finished pictures are kept"

    def __init__(self, run: RunDir, number: int) -> None:
        self._run, self._number, self._plan = run, number, GeneratePlan.load(run.plan, number)
        self.items = self._plan.tasks

    def left(self) -> list[Task]:
        made = outcomes.made(self._run.images, self._plan, self.items, outcomes.of_shard(self._run, self._number))
        return [task for task in self.items if task.name not in made]

    def load(self) -> None:
        _load_networks(self._plan.painting, self._plan.batch)

    def make(self, items: Sequence[Task], progress: Progress) -> bool:
        networks = _load_networks(self._plan.painting, self._plan.batch)
        return _Line(self._run, self._plan, self._number, progress, networks).make(items)


@lru_cache(maxsize=1)
def _load_networks(painting: Painting, batch: int) -> Synthesiser:
    """Once for all shards that this process runs. Starts Jittor."""
    insist(painting.precision)  # whoever planned this may not have known which machine it would be
    checkpoint = painting.open_checkpoint()
    starting.start(painting.device)
    warm_painting(checkpoint.model, painting.device, batch, painting.spade, painting.precision)
    from ecgan.synthesis import Synthesiser

    return Synthesiser(checkpoint, painting.spade, painting.precision)


@dataclass(frozen=True)
class _Input:
    """A task with its mask and reference, both at the network's size."""

    task: Task
    mask: np.ndarray
    reference: np.ndarray


class _Line:
    """What makes pictures: one after another, each passing all stages."""

    def __init__(self, run: RunDir, plan: GeneratePlan, number: int, progress: Progress, networks: Synthesiser) -> None:
        self._images, self._outcomes = run.images, outcomes.shard_file(run, number)
        self._plan, self._number, self._progress, self._networks = plan, number, progress, networks
        self._noting = threading.Lock()

    def make(self, tasks: Sequence[Task]) -> bool:
        """Whether all was made or failed; False if it was asked to stop before that."""
        behind: deque[Future[None]] = deque()
        with ThreadPoolExecutor(_READERS) as readers, ThreadPoolExecutor(1) as writer:
            for batch in self._batches(tasks, readers):
                if stop.requested():
                    return False  # leaving the pools waits for what they have begun
                started = time.monotonic()
                for entry, raw in self._generate(batch):
                    seconds = (time.monotonic() - started) / len(batch)
                    behind.append(writer.submit(self._write, entry, raw, seconds))
                while len(behind) > _BEHIND * self._plan.batch:
                    behind.popleft().result()
            for future in behind:
                future.result()
        return True

    def _batches(self, tasks: Sequence[Task], readers: Executor) -> Iterator[list[_Input]]:
        """Full batches of readable inputs, in order; what can't be read is noted as failed."""
        pending: deque[tuple[Task, Future[_Input | BadImage]]] = deque()
        waiting = iter(tasks)
        batch: list[_Input] = []
        while True:
            while len(pending) < (1 + _AHEAD) * self._plan.batch and (task := next(waiting, None)):
                pending.append((task, readers.submit(self._read, task)))
            if not pending:
                break
            task, future = pending.popleft()
            entry = future.result()
            if isinstance(entry, BadImage):
                self._fail(task, str(entry), bad_input=True)
                continue
            batch.append(entry)
            if len(batch) == self._plan.batch:
                yield batch
                batch = []
        if batch:
            yield batch

    def _read(self, task: Task) -> _Input | BadImage:
        size = self._networks.size
        try:
            contents = read_bytes(Path(task.mask)), read_bytes(Path(task.reference))
            if input_digest(*(hashlib.sha256(content).digest() for content in contents)) != task.inputs:
                return BadImage(f"{task.mask} or {task.reference} has changed since this run was planned")
            mask = read_mask(Path(task.mask), self._networks.model, contents[0])
            reference = read_photo(Path(task.reference), contents[1])
        except BadImage as error:
            return error
        return _Input(task, resize_mask(mask, size), resize_photo(reference, size))

    def _generate(self, batch: list[_Input]) -> Iterator[tuple[_Input, np.ndarray]]:
        """The networks' output for each input. What fails together is tried again alone.

        The last batch is filled up with copies: the operators of every other size would be compiled anew.
        """
        together = None
        with contextlib.suppress(RuntimeError):
            together = self._generate_together([*batch, *batch[-1:] * (self._plan.batch - len(batch))])
        for index, entry in enumerate(batch):
            try:
                raw = together[index] if together is not None else self._generate_together([entry])[0]
            except RuntimeError as error:
                self._fail(entry.task, f"the network failed: {error}")
                continue
            if np.isfinite(raw).all():
                yield entry, raw
            else:
                self._fail(entry.task, "the network's output is not finite: the checkpoint may be broken")

    def _generate_together(self, batch: list[_Input]) -> np.ndarray:
        painting = self._plan.painting
        return self._networks.generate(
            np.stack([entry.mask for entry in batch]),
            np.stack([entry.reference for entry in batch]),
            [entry.task.noise_name for entry in batch],
            [painting.seed if entry.task.seed is None else entry.task.seed for entry in batch],
            painting.noise,
        )

    def _write(self, entry: _Input, raw: np.ndarray, seconds: float) -> None:
        painting = self._plan.painting
        started = time.monotonic()
        picture = resize_photo(self._networks.finish(raw, entry.reference, painting.colour_transfer), painting.size)
        content = encode(picture, painting.format, painting.quality)
        attempts.insist_on_newest()
        write_atomically(self._images / entry.task.file(painting.format), content)
        seconds += time.monotonic() - started
        digest = hashlib.sha256(content).hexdigest()
        self._note(TaskOutcome(entry.task.name, entry.task.inputs, self._number, digest, round(seconds, 3)))
        self._progress.count(done=1)

    def _fail(self, task: Task, reason: str, bad_input: bool = False) -> None:
        attempts.insist_on_newest()
        print(f"{task.name} failed: {reason}", flush=True)
        self._note(TaskOutcome(task.name, task.inputs, self._number, error=reason, bad_input=bad_input))
        self._progress.count(failed=1)

    def _note(self, outcome: TaskOutcome) -> None:
        with self._noting:  # pictures are noted by the writer, failures by the thread that generates
            outcomes.append(self._outcomes, outcome)
