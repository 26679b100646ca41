"""PNG files written by hand: every depth, colour type and interlacing that the format has, and any chunk."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

import numpy as np

GREY, RGB, PALETTE, GREY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6
#: Depths in bits by colour type.
DEPTHS = {GREY: (1, 2, 4, 8, 16), RGB: (8, 16), PALETTE: (1, 2, 4, 8), GREY_ALPHA: (8, 16), RGB_ALPHA: (8, 16)}
CHANNELS = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGB_ALPHA: 4}
#: First column and row, and steps, of the seven pictures that an interlaced one is stored as (Adam7).
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def png(
    samples: np.ndarray, depth: int, colour: int, chunks: Sequence[tuple[bytes, bytes]] = (), interlaced: bool = False
) -> bytes:
    """`samples`: (H, W) or (H, W, channels), as they shall be stored. `chunks`: kind and content, before the pixels."""
    samples = samples.reshape(*samples.shape[:2], CHANNELS[colour])
    height, width = samples.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    parts = [samples[top::down, left::right] for left, top, right, down in _PASSES] if interlaced else [samples]
    pixels = zlib.compress(b"".join(_rows(part, depth) for part in parts if part.size))
    body = [(b"IHDR", header), *chunks, (b"IDAT", pixels), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, content) for kind, content in body)


def palette(count: int) -> tuple[bytes, bytes]:
    """`count` colours of which none is grey."""
    return b"PLTE", bytes(value for index in range(count) for value in (255 - index, index, 7))


def transparency(colour: int) -> tuple[bytes, bytes]:
    """The first sample value, or the first colour, is half or wholly transparent."""
    return b"tRNS", {GREY: struct.pack(">H", 1), RGB: struct.pack(">HHH", 1, 2, 3), PALETTE: b"\x80\x00"}[colour]


GAMMA = (b"gAMA", struct.pack(">I", 100000))


def _rows(samples: np.ndarray, depth: int) -> bytes:
    rows = []
    for row in samples.reshape(len(samples), -1):
        if depth < 8:
            bits = "".join(format(value, f"0{depth}b") for value in row)
            bits += "0" * (-len(bits) % 8)
            content = bytes(int(bits[start : start + 8], 2) for start in range(0, len(bits), 8))
        else:
            content = row.astype(">u2" if depth == 16 else "u1").tobytes()
        rows.append(b"\0" + content)  # not filtered
    return b"".join(rows)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
