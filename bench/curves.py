"""Lines over a common axis, as a drawing (SVG) by itself."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 900, 420, 60, 240, 16, 44
_COLOURS = ("#0b6cb8", "#d1590a", "#0f8f66", "#b3478f", "#c98a00", "#4fa3d9", "#7a5c3e", "#555b66")


def curves(lines: Mapping[str, Sequence[tuple[float, float]]], across: str, upright: str) -> str:
    """`lines`: points (x, y) by name; those without any are left out. `across`, `upright`: what the axes are of."""
    lines = {name: points for name, points in lines.items() if points}
    xs = [x for points in lines.values() for x, _ in points] or [0.0]
    ys = [y for points in lines.values() for _, y in points] or [0.0]
    low, high, end = min(ys), max(ys), max(xs)
    body = []
    for part in range(5):
        y, value = _HEIGHT - _BOTTOM - part / 4 * (_HEIGHT - _TOP - _BOTTOM), low + part / 4 * (high - low)
        body.append(f'<path d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}" stroke="#ddd"/>')
        body.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:.3g}</text>')
        x = _LEFT + part / 4 * (_WIDTH - _LEFT - _RIGHT)
        body.append(f'<text x="{x:.1f}" y="{_HEIGHT - _BOTTOM + 18}" text-anchor="middle">{part / 4 * end:.3g}</text>')
    for index, (name, points) in enumerate(lines.items()):
        colour, dashes = _COLOURS[index % len(_COLOURS)], ' stroke-dasharray="6 4"' * (index // len(_COLOURS) % 2)
        path = " ".join(
            f"{_LEFT + x / (end or 1) * (_WIDTH - _LEFT - _RIGHT):.1f},"
            f"{_HEIGHT - _BOTTOM - (y - low) / ((high - low) or 1) * (_HEIGHT - _TOP - _BOTTOM):.1f}"
            for x, y in points
        )
        body.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dashes}/>')
        place = _TOP + 8 + 18 * index
        body.append(f'<path d="M{_WIDTH - _RIGHT + 14} {place}h22" stroke="{colour}" stroke-width="3"{dashes}/>')
        body.append(f'<text x="{_WIDTH - _RIGHT + 42}" y="{place + 4}">{html.escape(name)}</text>')
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    body.append(f'<text x="{middle}" y="{_HEIGHT - 6}" text-anchor="middle">{html.escape(across)}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" '
        f'font-size="12"><title>{html.escape(upright)}</title><rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>\n'
        + "\n".join(body)
        + "\n</svg>\n"
    )
