"""Small disks that can be filled, and that turn read-only as a failing one does. They need root."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.campaign.case import NotPossible

_BLOCK = 1 << 12


@contextmanager
def in_memory(folder: Path, megabytes: int) -> Iterator[Path]:
    """A file system of that size at `folder`. Raises NotPossible."""
    _mount(folder, "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs")
    try:
        yield folder
    finally:
        unmount(folder)


def fill(disk: Path, left: int = 0) -> Path:
    """Takes all of its room but about `left` bytes; the file that does so can be removed."""
    filler = disk / "filler"
    with suppress(OSError), open(filler, "wb", buffering=0) as file:
        while True:
            file.write(bytes(_BLOCK))
    os.truncate(filler, max(0, filler.stat().st_size - left))
    return filler


class Failing:
    """A disk in the file `image`: `fail` makes its file system notice an error, and refuse all writing from then on.

    To files that are open, too; what was not yet on the disk is lost, as with a real one.
    """

    def __init__(self, image: Path, folder: Path, megabytes: int) -> None:
        self.image, self.folder = image, folder
        with open(image, "wb") as file:
            file.truncate(megabytes << 20)
        _insist("mkfs.ext4", "-q", "-E", "lazy_itable_init=0", str(image))
        self.mend()

    def mend(self) -> None:
        """Repairs and mounts it. Raises NotPossible."""
        unmount(self.folder)
        subprocess.run(["fsck.ext4", "-fy", str(self.image)], capture_output=True)
        _mount(self.folder, "-o", "loop,errors=remount-ro", str(self.image))

    def fail(self) -> bool:
        """Raises NotPossible."""
        device = self.folder.stat().st_dev
        name = Path(os.readlink(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}")).name
        try:
            Path(f"/sys/fs/ext4/{name}/trigger_fs_error").write_text("made up")
        except OSError as error:
            raise NotPossible(f"ext4 can't be made to fail here: {error}") from None
        return True

    def remove(self) -> None:
        unmount(self.folder)
        self.image.unlink()


@contextmanager
def failing(image: Path, folder: Path, megabytes: int) -> Iterator[Failing]:
    disk = Failing(image, folder, megabytes)
    try:
        yield disk
    finally:
        disk.remove()


def _mount(folder: Path, *words: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    _insist("mount", *words, str(folder))


def unmount(folder: Path) -> None:
    """Also if something still works there."""
    subprocess.run(["umount", "--lazy", str(folder)], capture_output=True)


def _insist(*words: str) -> None:
    try:
        done = subprocess.run(words, capture_output=True, text=True)
    except FileNotFoundError:
        raise NotPossible(f"{words[0]} is not here") from None
    if done.returncode:
        raise NotPossible(f"{words[0]}: {done.stderr.strip()}")
