"""Opens masks and photos, each once, to see whether they can be used: with all cores, and not again what is unchanged.

Decoding runs outside Python's lock, but what is around it takes a third of the time. So where files are many, child
processes open them. They are started as new programs, which works from wherever this is called, and end with their
standard input: whoever started them may be killed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import queue
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ecgan.config import ModelConfig
from ecgan.cores import cores
from ecgan.data.images import BadImage, Size, check_mask, read_bytes, read_photo
from ecgan.file_notes import FileNotes, stamp_of
from ecgan.threads import in_threads, readers

#: Grows when a file that could be used before might be refused now.
_VERSION = 1
#: Fewer files are opened in the time in which a child starts.
_MANY = 4000
#: Files that a child is given at a time, and its threads, since a disk is waited for, too.
_CHUNK, _THREADS = 64, 2
#: Threads of this process that open files, at most: more would wait for Python's lock.
_OPENERS = 8


class File(NamedTuple):
    path: Path
    kind: Literal["mask", "photo"]


class Seen(NamedTuple):
    """`fault`: why the file can't be used; else `sha256` and `size` are known, (width, height)."""

    fault: str | None
    sha256: str = ""
    size: Size = (0, 0)


def notes_on_files(path: Path, model: ModelConfig) -> FileNotes:
    """What is known of files of masks with `model`'s classes, and of photos, from a file of notes that may be there."""
    decided_by = {"label_nc": model.label_nc, "dontcare": model.contain_dontcare_label, "version": _VERSION}
    return FileNotes.load(path, decided_by)


def look_at(
    files: Sequence[File], model: ModelConfig, notes: FileNotes, tick: Callable[[], object] = lambda: None
) -> list[Seen]:
    """What there is to see of each. `notes`, which `notes_on_files` gives, grow by it. `tick` is called once for each,
    in this thread."""
    stamps = in_threads(lambda file: stamp_of(file.path, status=True), files, readers())
    seen = [_known(notes, file, stamp) for file, stamp in zip(files, stamps, strict=True)]
    new = [index for index, known in enumerate(seen) if known is None]
    for _ in range(len(files) - len(new)):
        tick()
    for index, found in zip(new, _open([files[index] for index in new], model, tick), strict=True):
        seen[index] = found
        if found.fault is None:
            file, (width, height) = files[index], found.size
            notes.note(_key(file), stamps[index], f"{found.sha256} {width} {height}")
    return [found for found in seen if found is not None]


def _key(file: File) -> str:
    return f"{file.kind} {file.path}"


def _known(notes: FileNotes, file: File, stamp: str | None) -> Seen | None:
    words = notes.known(_key(file), stamp)
    if words is None:
        return None
    sha256, width, height = words.split(" ")
    return Seen(None, sha256, (int(width), int(height)))


def _open(files: Sequence[File], model: ModelConfig, tick: Callable[[], object]) -> list[Seen]:
    if len(files) < _MANY or cores() == 1:
        return in_threads(lambda file: _see(file, model), files, min(_OPENERS, readers()), tick)
    chunks = [files[start : start + _CHUNK] for start in range(0, len(files), _CHUNK)]
    seen: list[Seen] = []
    in_hand = iter(chunks)

    def count() -> None:
        for _ in next(in_hand):
            tick()

    with _children(model) as ask:
        for found in in_threads(ask, chunks, cores(), count):
            seen += found
    return seen


def _see(file: File, model: ModelConfig) -> Seen:
    try:
        content = read_bytes(file.path)
        if file.kind == "mask":
            size = check_mask(file.path, model, content)
        else:
            height, width, _ = read_photo(file.path, content).shape
            size = width, height
    except BadImage as error:
        return Seen(str(error))
    return Seen(None, hashlib.sha256(content).hexdigest(), size)


@contextlib.contextmanager
def _children(model: ModelConfig) -> Iterator[Callable[[Sequence[File]], list[Seen]]]:
    """A function that has some files opened by one of as many children as there are cores. As many threads may call
    it. What a child would do that can't be started, for memory, say, or that was killed, this process does."""
    free: queue.SimpleQueue[subprocess.Popen[str] | None] = queue.SimpleQueue()
    started: list[subprocess.Popen[str]] = []

    def ask(files: Sequence[File]) -> list[Seen]:
        child = free.get()
        try:
            if child is not None:
                with contextlib.suppress(OSError, ValueError):
                    return _asked(child, files)
            return [_see(file, model) for file in files]
        finally:
            free.put(child)

    try:
        for _ in range(cores()):
            child = None
            with contextlib.suppress(OSError):
                child = _start(model)
                started.append(child)
            free.put(child)
        yield ask
    finally:
        for child in started:
            child.kill()
            child.communicate()


def _start(model: ModelConfig) -> subprocess.Popen[str]:
    """It imports what this process would, and nothing that lies in its folder, and names of files are the same bytes to
    it. Ctrl-C does not reach it: its standard input ends with the command. Raises OSError."""
    code = f"import sys; sys.path[:] = {sys.path!r}; from ecgan.data.opening import serve; serve()"
    alone = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    child = subprocess.Popen(
        [sys.executable, "-I", "-X", f"utf8={sys.flags.utf8_mode}", "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **alone},
        start_new_session=True,
    )
    assert child.stdin is not None
    child.stdin.write(json.dumps(dataclasses.asdict(model)) + "\n")
    return child


def _asked(child: subprocess.Popen[str], files: Sequence[File]) -> list[Seen]:
    assert child.stdin is not None and child.stdout is not None
    child.stdin.write(json.dumps([[str(file.path), file.kind] for file in files]) + "\n")
    child.stdin.flush()
    answer: list[list[Any]] = json.loads(child.stdout.readline())
    return [Seen(fault, sha256, tuple(size)) for fault, sha256, size in answer]


def serve() -> None:
    """A child's work: a line with the model, then lines with files, each answered by a line with what was seen."""
    model = ModelConfig(**json.loads(sys.stdin.readline()))
    for line in sys.stdin:
        files = [File(Path(path), kind) for path, kind in json.loads(line)]
        print(json.dumps(in_threads(lambda file: _see(file, model), files, _THREADS)), flush=True)
