"""Draws landscapes with their masks: python -m ecgan.drawn FOLDER COUNT [--seed S] [--size WxH]."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from ecgan import logs
from ecgan.data.images import Size
from ecgan.drawn import write_training_set
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


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m ecgan.drawn", description="Draws landscapes with their masks.")
    parser.add_argument("folder", type=Path, help="to write imgs/ and labels/ to")
    parser.add_argument("count", type=_count, help="how many pairs; a larger set begins with the smaller one")
    parser.add_argument("--seed", type=int, default=0, help="another one draws other landscapes (default 0)")
    parser.add_argument("--size", type=_size, default=(512, 384), metavar="WxH", help="in pixels (default 512x384)")
    asked = parser.parse_args()
    logs.show()
    try:
        write_training_set(asked.folder, asked.count, asked.seed, asked.size)
    except UserError as failure:
        print(f"error: {failure}", file=sys.stderr)
        sys.exit(2)
    except OSError as failure:
        print(f"error: {asked.folder}: {failure.strerror}", file=sys.stderr)
        sys.exit(2)
