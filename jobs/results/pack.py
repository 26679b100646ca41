"""The archive that is handed in: a results folder, verified picture by picture, as one zip file."""

from __future__ import annotations

import hashlib
import stat
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ecgan.data.folders import listing
from ecgan.data.images import BadImage, Size, check_picture, read_bytes
from ecgan.errors import UserError
from ecgan.files import clear_leftovers, sha256_of, whole_file
from ecgan.progress import progress_bar
from ecgan.threads import in_threads
from jobs.commands import named
from jobs.generate.manifest import MANIFEST, has_damaged_manifest, left_out, read_manifest
from jobs.options import option, resolved
from jobs.results.folders import output_file
from jobs.samples import seeds_of

#: What a zip file can say of when a file was written; the same pictures make the same archive.
_NO_TIME = (1980, 1, 1, 0, 0, 0)
#: Of a file that everybody may read, in the half of the word that Unix has of it.
_MODE = (stat.S_IFREG | 0o644) << 16
_SHOWN = 5


@dataclass(frozen=True)
class PackSettings:
    results: str = option("results", f"folder of pictures that {named('generate')} made", path=True)
    output: str = option("submission.zip", "archive to write; one that is there is replaced", path=True)


@dataclass(frozen=True)
class Archive:
    """`sha256` is of the archive. `left_out`: what the results lack since the input was bad, with reasons."""

    path: Path
    pictures: int
    size: int
    sha256: str
    left_out: tuple[str, ...]


def pack(settings: PackSettings) -> Archive:
    """Verifies the folder against its manifest and writes the archive, pictures alone, no folders.

    Raises UserError if a picture is missing, damaged or not listed, and OSError if it can't be written.
    """
    results = Path(settings.results).expanduser()
    output = output_file(settings.output, [resolved(results)])
    manifest = read_manifest(results)
    if has_damaged_manifest(results):
        raise UserError(
            f"{results / MANIFEST} is damaged, so nothing can be verified: {named('generate')} --overwrite mends it"
        )
    if manifest is None:
        raise UserError(
            f"--results {results} holds no {MANIFEST}: no folder that {named('generate')} finished; generate first"
        )
    if seeds_of(manifest):
        raise UserError(
            f"{results} has several pictures for each mask: {named('pick')} --per_mask keeps the best first"
        )
    pictures = _verified(results, manifest)
    clear_leftovers(output.parent)
    try:
        with (
            whole_file(output) as file,
            zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive,  # they are compressed already
            progress_bar(len(pictures), "packing", "picture") as bar,
        ):
            for name, digest in pictures.items():
                content = read_bytes(results / name)
                if hashlib.sha256(content).hexdigest() != digest:
                    raise UserError(f"{results / name} changed while it was packed; run again")
                entry = zipfile.ZipInfo(name, _NO_TIME)
                entry.external_attr = _MODE
                archive.writestr(entry, content)
                bar.update()
    except BadImage as error:
        raise UserError(str(error)) from None
    lacking = tuple(str(gap) for gap in left_out(manifest))
    return Archive(output, len(pictures), output.stat().st_size, sha256_of(output), lacking)


def _verified(results: Path, manifest: dict[str, Any]) -> dict[str, str]:
    """SHA-256 by file name, in order of names."""
    width, height = manifest["fingerprint"]["size"]
    expected: dict[str, dict[str, Any]] = dict(sorted(manifest["images"].items()))
    if not expected:
        raise UserError(f"{results / MANIFEST} lists no pictures")
    known = {*expected, MANIFEST}
    extra = [path.name for path in listing(results) if path.name not in known]
    if extra:
        raise UserError(f"{results} holds {_some(extra)}, not among the pictures that were made: remove what is not")

    def check(name: str) -> str | None:
        return _fault(results / name, expected[name]["sha256"], (width, height))

    with progress_bar(len(expected), "verifying", "picture") as bar:
        found = in_threads(check, expected, tick=bar.update)
    if faults := [fault for fault in found if fault]:
        raise UserError(f"nothing packed: {_some(faults)}; {named('generate')} makes what is missing")
    return {name: entry["sha256"] for name, entry in expected.items()}


def _fault(path: Path, digest: str, size: Size) -> str | None:
    try:
        check_picture(path, size)
    except BadImage as error:
        return str(error)
    return None if sha256_of(path) == digest else f"{path} is not the picture that was made"


def _some(names: list[str]) -> str:
    return "; ".join(names[:_SHOWN]) + (f"; and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
