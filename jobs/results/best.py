"""Of several pictures for each mask the best one, in a folder like any other results: what is handed in.

The best is that with the highest score of its own; of equals, the one with the lowest seed.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ecgan.errors import UserError, reason
from ecgan.files import clear_leftovers, sha256_of, whole_folder, write_atomically
from ecgan.progress import progress_bar
from jobs.commands import named
from jobs.generate.manifest import MANIFEST, read_manifest
from jobs.results.numbers import Numbers
from jobs.samples import KEY, by_mask, seeds_of

#: What the fingerprint of such a folder says, so that no generation takes it for its own.
_PICKED = {"picked": "the best of each mask's"}


@dataclass(frozen=True)
class Best:
    """`pictures`: how many there are; `seeds`: how many of them have each seed."""

    pictures: int
    seeds: dict[int, int]


def keep_best(
    results: Path, output: Path, numbers: Mapping[str, Numbers], score_of: Callable[[Numbers], float]
) -> Best:
    """Fills the folder `output` with the best picture of each mask in `results`, called as the mask.

    `numbers`: of each picture, by its name, and `score_of`: what they come to. Raises UserError if `results` has one
    picture for each mask, one of its pictures was not scored or is not as it was made, or `output` can't be written.
    """
    manifest = read_manifest(results)
    seeds = seeds_of(manifest)
    if manifest is None or not seeds:
        raise UserError(
            f"{results} has one picture for each mask, as far as its {MANIFEST} says: "
            f"{named('generate')} --samples_per_mask makes several"
        )
    if output.exists():
        raise UserError(f"--per_mask {output} is there already: choose another name or remove it")
    files = {Path(file).stem: file for file in manifest["images"]}
    if unscored := sorted(files.keys() - numbers.keys()):
        raise UserError(f"{results / files[unscored[0]]} has not been scored: run {named('score')} again")
    chosen = {
        mask: max(pictures, key=lambda picture: (score_of(numbers[picture[1]]), -picture[0]))
        for mask, pictures in by_mask(files, seeds).items()
    }
    clear_leftovers(output.parent)
    try:
        with whole_folder(output) as new, progress_bar(len(chosen), "copying", "picture") as bar:
            images = {}
            for mask, (_, name) in chosen.items():
                file = mask + Path(files[name]).suffix
                images[file] = manifest["images"][files[name]]
                _copy(results / files[name], new / file, images[file]["sha256"])
                bar.update()
            fingerprint = manifest["fingerprint"] | _PICKED
            rest = {key: value for key, value in manifest.items() if key != KEY}
            content = json.dumps(rest | {"fingerprint": fingerprint, "images": images}, indent=1)
            write_atomically(new / MANIFEST, content)
    except OSError as error:
        raise UserError(f"--per_mask {output}: {reason(error)}") from None
    return Best(len(chosen), dict(sorted(Counter(seed for seed, _ in chosen.values()).items())))


def _copy(source: Path, target: Path, sha256: str) -> None:
    try:
        shutil.copyfile(source, target)  # no link: who retouches one of them means that one
    except FileNotFoundError:
        raise UserError(f"{source} is gone: {named('generate')} makes it again") from None
    if sha256_of(target) != sha256:
        raise UserError(f"{source} is not the picture that was made: {named('generate')} --overwrite mends it")
