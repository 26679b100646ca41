"""Draws landscapes with their masks, or masks alone.

python -m ecgan.drawn FOLDER COUNT [--seed S] [--size WxH] [--times noon,dawn]
python -m ecgan.drawn FOLDER COUNT --references SET [--seed S] [--size WxH]
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ecgan import logs
from ecgan.data.images import Size
from ecgan.drawn import SEASONS, TIMES, WEATHERS, Styles, write_test_set, write_training_set
from ecgan.errors import UserError


def _size(text: str) -> Size:
    match = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no WIDTHxHEIGHT")
    return int(match[1]), int(match[2])


def _count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of pairs")
    return int(text)


def _some_of(all_of_them: tuple[str, ...]) -> Callable[[str], Any]:
    """A comma list of some of them."""

    def read(text: str) -> tuple[str, ...]:
        words = tuple(text.split(","))
        if strangers := [word for word in words if word not in all_of_them]:
            raise argparse.ArgumentTypeError(f"{strangers[0]!r} is none of {', '.join(all_of_them)}")
        return words

    return read


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m ecgan.drawn", description="Draws landscapes with their masks.")
    parser.add_argument("folder", type=Path, help="to write imgs/ and labels/ to")
    parser.add_argument("count", type=_count, help="how many pairs; a larger set begins with the smaller one")
    parser.add_argument("--seed", type=int, default=0, help="another one draws other landscapes (default 0)")
    parser.add_argument("--size", type=_size, default=(512, 384), metavar="WxH", help="in pixels (default 512x384)")
    for kind, every in (("times", TIMES), ("weathers", WEATHERS), ("seasons", SEASONS)):
        known = ",".join(every)
        parser.add_argument(f"--{kind}", type=_some_of(every), default=every, metavar="LIST", help=f"some of {known}")
    parser.add_argument(
        "--references", type=Path, metavar="SET", help="draw a test set: masks alone, each with a photo of the set SET"
    )
    asked = parser.parse_args()
    if asked.references is not None and (asked.times, asked.weathers, asked.seasons) != (TIMES, WEATHERS, SEASONS):
        parser.error("--times, --weathers and --seasons are of photos, and a test set has masks alone")
    logs.show()
    try:
        if asked.references is not None:
            write_test_set(asked.folder, asked.references, asked.count, asked.seed, asked.size)
        else:
            among = Styles(asked.times, asked.weathers, asked.seasons)
            write_training_set(asked.folder, asked.count, asked.seed, asked.size, among)
    except UserError as failure:
        print(f"error: {failure}", file=sys.stderr)
        sys.exit(2)
    except OSError as failure:
        print(f"error: {asked.folder}: {failure.strerror}", file=sys.stderr)
        sys.exit(2)
