"""Losses over steps as a drawing (SVG) with a legend (HTML)."""

from __future__ import annotations

import html
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from jobs.train.outputs.metrics import Point

_WIDTH, _HEIGHT = 1200, 380
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 14, 12, 34
_COLOURS = ("#0b6cb8", "#d1590a", "#0f8f66", "#b3478f", "#c98a00", "#4fa3d9", "#7a5c3e", "#555b66")
#: Pixels that labels of the upright axis keep between them.
_APART = 24
#: Lines are smoothed over about this part of the whole.
_SMOOTHED = 1 / 40


@dataclass(frozen=True)
class Curve:
    """`values` at `steps`, of which the latter are finite and ascend; `style`: which of the colours it has."""

    name: str
    steps: np.ndarray
    values: np.ndarray
    style: int


def loss_chart(points: Sequence[Point], names: Sequence[str]) -> str:
    """A `chart` with a line for each loss of `names`."""
    steps = np.array([point.step for point in points], float)
    curves = [Curve(name, steps, np.array([point.mean(name) for point in points]), 0) for name in names]
    known = [curve for curve in curves if np.isfinite(curve.values).any()]
    return chart([replace(curve, style=number) for number, curve in enumerate(known)], "losses over steps")


def chart(curves: Sequence[Curve], title: str) -> str:
    """Every curve smoothed, above a pale one that is not; empty if there is nothing to draw.

    The upright axis is linear around 0 and logarithmic far from it, since losses differ a hundredfold
    and some are negative.
    """
    known = [curve for curve in curves if np.isfinite(curve.values).any()]
    if not known:
        return ""
    smooth = [smoothed(curve.values) for curve in known]
    axis = _Axis(np.concatenate([_typical(curve.values, line) for curve, line in zip(known, smooth, strict=True)]))
    span = np.unique(np.concatenate([curve.steps for curve in known]))
    across = _across(span)
    body = [*_upright(axis), *_level(span, across)]
    styles = [_style(curve.style) for curve in known]
    places = [np.interp(curve.steps, span, across) for curve in known]
    drawn = [
        f'<polyline points="{_path(place, axis.y(values))}" stroke="{colour}" {kind}{dashes}/>'
        for kind, lines in (('class="raw"', [curve.values for curve in known]), ('class="smooth"', smooth))
        for place, values, (colour, dashes) in zip(places, lines, styles, strict=True)
    ]
    plot = f'x="{_LEFT}" y="{_TOP}" width="{_WIDTH - _LEFT - _RIGHT}" height="{_HEIGHT - _TOP - _BOTTOM}"'
    legend = "".join(
        _legend(curve.name, line, *style) for curve, line, style in zip(known, smooth, styles, strict=True)
    )
    return (
        f'<ul class="legend">{legend}</ul>\n'
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{html.escape(title)}">\n'
        f'<clipPath id="plot"><rect {plot}/></clipPath>\n'
        + "\n".join(body)
        + '\n<g clip-path="url(#plot)">\n'
        + "\n".join(drawn)
        + "\n</g>\n</svg>"
    )


def smoothed(values: np.ndarray) -> np.ndarray:
    """Weighted means of neighbours; what is not finite is left out of them and stays as it is."""
    reach = max(1, round(len(values) * _SMOOTHED))
    weights = np.exp(-0.5 * (np.arange(-3 * reach, 3 * reach + 1) / reach) ** 2)
    known = np.isfinite(values)
    middle = slice(3 * reach, 3 * reach + len(values))
    sums = np.convolve(np.where(known, values, 0), weights)[middle]
    total = np.convolve(known.astype(float), weights)[middle]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(known, sums / total, np.nan)


def _typical(raw: np.ndarray, smooth: np.ndarray) -> np.ndarray:
    """Values to have room for: all smoothed ones, and the others but for outliers."""
    known = raw[np.isfinite(raw)]
    return np.concatenate([smooth[np.isfinite(smooth)], np.clip(known, *np.quantile(known, (0.05, 0.95)))])


class _Axis:
    """The upright axis: v is drawn at the height asinh(v / scale)."""

    def __init__(self, values: np.ndarray) -> None:
        sizes = np.abs(values[values != 0])
        self._scale = float(np.clip(np.quantile(sizes, 0.1), 1e-3, 1)) if len(sizes) else 1.0
        low, high = float(values.min()), float(values.max())
        self._low, self._high = (float(np.arcsinh(value / self._scale)) for value in (low, high))
        margin = 0.05 * (self._high - self._low) or 0.5
        self._low, self._high = self._low - margin, self._high + margin

    def y(self, values: np.ndarray) -> np.ndarray:
        part = (np.arcsinh(values / self._scale) - self._low) / (self._high - self._low)
        return _HEIGHT - _BOTTOM - part * (_HEIGHT - _TOP - _BOTTOM)

    def ticks(self) -> list[tuple[float, float]]:
        """Round values and their heights: as many as have room, powers of ten first."""
        found: list[tuple[float, float]] = []
        for value in _round_values():
            y = float(self.y(np.array(value)))
            if _TOP <= y <= _HEIGHT - _BOTTOM and all(abs(y - other) >= _APART for _, other in found):
                found.append((value, y))
        return found


def _round_values() -> Iterator[float]:
    yield 0.0
    exponents = sorted(range(-4, 9), key=abs)
    for factor in (1, 3, 2, 5, 1.5, 4, 7):
        for exponent in exponents:
            yield factor * 10.0**exponent
            yield -factor * 10.0**exponent


def _across(steps: np.ndarray) -> np.ndarray:
    first, last = steps[0], steps[-1]
    part = (steps - first) / (last - first) if last > first else np.full(len(steps), 0.5)
    return _LEFT + part * (_WIDTH - _LEFT - _RIGHT)


def _upright(axis: _Axis) -> Iterator[str]:
    for value, y in axis.ticks():
        yield f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" class="grid"/>'
        yield f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>'


def _level(steps: np.ndarray, across: np.ndarray) -> Iterator[str]:
    y = _HEIGHT - _BOTTOM
    yield f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}" class="axis"/>'
    first, last = steps[0], steps[-1]
    distance = _round_distance((last - first) / 7)
    for value in np.arange(math.ceil(first / distance) * distance, last + 1, distance):
        x = float(np.interp(value, steps, across)) if last > first else float(across[0])
        anchor = "end" if x > _WIDTH - _RIGHT - 30 else "middle"
        yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{y}" y2="{y + 5}" class="axis"/>'
        yield f'<text x="{x:.1f}" y="{y + 21}" text-anchor="{anchor}">{value:,.0f}</text>'


def _round_distance(least: float) -> int:
    """The smallest of 1, 2, 5, 10, 20, 50, … that is not below `least`."""
    power = 10 ** max(0, math.floor(math.log10(max(least, 1))))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least)


def _path(x: np.ndarray, y: np.ndarray) -> str:
    return " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True) if math.isfinite(b))


def _style(index: int) -> tuple[str, str]:
    """Colour, and dashes once the colours are used up."""
    return _COLOURS[index % len(_COLOURS)], ' stroke-dasharray="7 4"' if index >= len(_COLOURS) else ""


def _legend(name: str, values: np.ndarray, colour: str, dashes: str) -> str:
    last = values[np.isfinite(values)][-1]
    swatch = (
        f'<svg viewBox="0 0 24 8" class="swatch"><path d="M0 4H24" stroke="{colour}" stroke-width="3"{dashes}/></svg>'
    )
    return f"<li>{swatch}{html.escape(name)} <b>{last:.3g}</b></li>"
