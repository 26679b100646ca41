"""Replacing a results folder: whether that may be, the two renames that do it, and what becomes of the old one.

Whatever lies in it and is not as it was made may be somebody's work: without --overwrite the folder stays, and with
it the folder is kept beside the new one.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ecgan.errors import UserError, reason
from ecgan.files import TEMPORARY_SUFFIX, sha256_of
from ecgan.threads import in_threads, readers
from jobs.commands import named
from jobs.generate.manifest import MANIFEST, read_manifest
from jobs.generate.merge import hash_if_any, names_in
from jobs.generate.plan import GeneratePlan, differences
from jobs.run.folder import RunDir

#: What a folder that can be renamed is refused for if the place is taken by another (EISDIR: it is a link to one).
_TAKEN = (errno.ENOTEMPTY, errno.EEXIST, errno.EISDIR)
_OCTAL = re.compile(rb"\\([0-7]{3})")


def insist_on_replaceable(
    results: Path, plan: GeneratePlan, overwrite: bool, hash_of: Callable[[Path], str] = sha256_of
) -> dict[str, Any] | None:
    """Raises UserError if swapping in `plan`'s pictures would lose something, or needs --overwrite to. Returns the
    manifest of what is there, which may be large; None if there is none that can be read."""
    if not results.exists():
        return None
    if _is_mount_point(results):
        raise UserError(f"--output_path {results} is a mount point, which no rename can replace: choose a folder in it")
    if not results.is_dir():
        raise UserError(f"{results} is a file; choose another --output_path")
    manifest = read_manifest(results)
    if manifest is None and os.path.lexists(results / MANIFEST):  # nobody knows what in it is ours: all of it is kept
        if overwrite:
            return None
        raise UserError(
            f"{results / MANIFEST} is damaged, so it is not known what {results} holds: --overwrite makes all pictures "
            f"anew and keeps the folder as {results.name}.old, another --output_path leaves it"
        )
    ours = set(manifest["images"]) | {MANIFEST} if manifest else set()
    present = names_in(results)
    strange = sorted(present - ours - set(plan.files))
    if strange:
        raise UserError(
            f"{results} holds {strange[0]} ({len(strange)} such), which would be deleted: choose another --output_path"
        )
    if overwrite or not present:
        return manifest
    if manifest is None:
        raise UserError(f"{results} holds pictures without a {MANIFEST}: --overwrite replaces them")
    if manifest["fingerprint"] != plan.painting.fingerprint():
        changed = differences(manifest["fingerprint"], plan.painting.fingerprint())
        raise UserError(f"{results} holds pictures of other settings ({changed} differ): --overwrite replaces them")
    if dropped := sorted((present & set(manifest["images"])) - set(plan.files)):
        raise UserError(f"{results} holds {some(dropped)} more, not asked for now: --overwrite drops that")
    if found := altered(results, manifest, hash_of):
        raise UserError(
            f"{results}: {some(found)} not as {named('generate')} made it: --overwrite makes it anew, and keeps the "
            f"folder as {results.name}.old"
        )
    if old := [file for file in _of_other_inputs(plan, manifest) if file in present]:
        raise UserError(f"{results}: {some(old)} of another mask or reference than now: --overwrite replaces that")
    return manifest


def altered(folder: Path, manifest: dict[str, Any] | None, hash_of: Callable[[Path], str] = sha256_of) -> list[str]:
    """Files in a results folder that are not as they were made, by name; of one without a manifest, all."""
    images = manifest["images"] if manifest else {}
    names = sorted(names_in(folder) - {MANIFEST})

    def is_altered(name: str) -> bool:
        return name not in images or hash_if_any(folder / name, hash_of) != images[name]["sha256"]

    return [name for name, yes in zip(names, in_threads(is_altered, names, readers()), strict=True) if yes]


def insist_on_renames(run: RunDir, results: Path) -> None:
    """Raises UserError if the renames of `swap_in` would be refused. Needs the run's folder, and leaves nothing.

    What can't be renamed to anywhere (part of a bind mount, or of an overlay's lower layer) is refused for that before
    it is refused since the place is taken, which is why each is tried on a place that is taken.
    """
    taken = run.path / f".taken{TEMPORARY_SUFFIX}"
    (taken / "by this").mkdir(parents=True, exist_ok=True)
    moved = results.with_name(f".{secrets.token_hex(8)}{TEMPORARY_SUFFIX}")
    try:
        for folder in (results, run.images):
            if folder.exists():
                _insist_on_rename(folder, taken, results)
        _insist_on_rename(taken, moved, results)
    finally:
        for folder in (taken, moved):
            shutil.rmtree(folder, ignore_errors=True)


def _insist_on_rename(folder: Path, to: Path, results: Path) -> None:
    try:
        os.rename(folder, to)
    except OSError as error:
        if error.errno not in _TAKEN:
            raise UserError(
                f"--output_path {results}: {folder} can't be renamed ({reason(error)}), so finished pictures could not "
                "take their place: choose another"
            ) from None


def swap_in(run: RunDir, results: Path, hash_of: Callable[[Path], str] = sha256_of) -> None:
    """Renames images/ to `results`, and does away with what was there. Raises UserError if it can't be renamed."""
    try:
        if results.exists():
            os.rename(results, run.replaced)
        os.rename(run.images, results)
    except BaseException as error:
        restore(run, results)
        if not isinstance(error, OSError):
            raise
        raise UserError(f"can't rename to {results}: {error.strerror}; the pictures are in {run.images}") from None
    if run.replaced.exists():
        _do_away(run, results, hash_of)


def restore(run: RunDir, results: Path) -> None:
    """After a kill between the renames: puts the old results back, or away if the new ones are in place.

    Raises UserError if something else has taken their place meanwhile.
    """
    if not run.replaced.exists():
        return
    if read_manifest(results) is not None:
        _do_away(run, results, sha256_of)
        return
    if results.exists() and (not results.is_dir() or any(results.iterdir())):
        raise UserError(f"{results} has taken the place of results that lie in {run.replaced}: move one of them away")
    os.rename(run.replaced, results)  # over an empty folder, too


def _do_away(run: RunDir, results: Path, hash_of: Callable[[Path], str]) -> None:
    """Deletes what new results have replaced, but keeps it beside them if anything in it is not as it was made."""
    if found := altered(run.replaced, read_manifest(run.replaced), hash_of):
        kept = free_name(results.with_name(f"{results.name}.old"))
        os.rename(run.replaced, kept)
        print(f"note: what was in {results} is kept as {kept}: {some(found)} not as it was made", file=sys.stderr)
        return
    going = run.path / f".replaced{TEMPORARY_SUFFIX}"  # killed now, half of it is not taken for somebody's work
    shutil.rmtree(going, ignore_errors=True)
    os.rename(run.replaced, going)
    shutil.rmtree(going, ignore_errors=True)


def free_name(path: Path) -> Path:
    """`path`, or with a number behind it where that is taken."""
    number, free = 1, path
    while os.path.lexists(free):
        number += 1
        free = path.with_name(f"{path.name}-{number}")
    return free


def _of_other_inputs(plan: GeneratePlan, manifest: dict[str, Any]) -> list[str]:
    files = {task.file(plan.painting.format): task.inputs for task in plan.tasks}
    return [file for file, inputs in files.items() if manifest["images"].get(file, {}).get("inputs", inputs) != inputs]


def _is_mount_point(path: Path) -> bool:
    """Also of a folder of the same file system (a bind mount), which `os.path.ismount` does not see."""
    try:
        lines = Path("/proc/self/mountinfo").read_bytes().splitlines()
    except OSError:
        lines = []
    mounted = {_OCTAL.sub(lambda found: bytes([int(found[1], 8)]), line.split(b" ")[4]) for line in lines}
    return os.path.ismount(path) or os.fsencode(path) in mounted


def some(names: list[str]) -> str:
    return names[0] + (f" (and {len(names) - 1} more)" if len(names) > 1 else "")
