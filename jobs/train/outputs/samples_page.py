"""The page that shows a training: its losses and its samples over time, in one file that needs nothing else."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jobs.train.outputs.loss_chart import loss_chart
from jobs.train.outputs.metrics import History, Line

_SHEETS = 40
#: Bytes of all pictures in the page; large ones leave room for fewer, but for `_FEWEST`.
_ROOM, _FEWEST = 24 << 20, 6


@dataclass(frozen=True)
class Sheet:
    """A sheet of samples in the file `path`, with the losses nearest before it, if there were any."""

    step: int
    path: Path
    losses: Line | None


def samples_page(title: str, sheets: Sequence[Sheet], history: History, written: str) -> str:
    """HTML with the chart of the losses and the sheets, newest first. Raises OSError.

    `sheets`: in the order of their steps; of too many, some are shown, evenly over the steps.
    `written`: the time, as text.
    """
    steps = [sheet.step for sheet in sheets]
    room = _ROOM // max(1, sheets[-1].path.stat().st_size) if sheets else _SHEETS
    shown = spread(steps, min(_SHEETS, max(_FEWEST, room)))
    entries = [_entry(sheet) for sheet in reversed(sheets) if sheet.step in shown]
    chart = loss_chart(history.points, history.names)
    note = (
        f"{len(shown)} of {len(sheets)} sheets, evenly over the steps; all are in samples/" if shown < {*steps} else ""
    )
    return _PAGE.format(
        title=html.escape(title),
        about=html.escape(_about(sheets, history)),
        written=html.escape(written),
        chart=f'<section class="card">\n<h2>Losses <small>smoothed, over steps</small></h2>\n{chart}\n</section>'
        if chart
        else "",
        sheets="\n".join(entries) or "<p>No samples have been painted yet.</p>",
        note=f'<p class="note">{note}</p>' if note else "",
        style=STYLE,
    )


def spread(steps: Sequence[int], limit: int) -> set[int]:
    """At most `limit` of the ascending `steps`, the first and the last among them, as evenly as can be."""
    if len(steps) <= limit:
        return set(steps)
    known = np.array(steps)
    targets = np.linspace(steps[0], steps[-1], limit)
    return {int(known[np.abs(known - target).argmin()]) for target in targets}


def _about(sheets: Sequence[Sheet], history: History) -> str:
    steps = [sheet.step for sheet in sheets[-1:]] + [point.step for point in history.points[-1:]]
    return f"step {max(steps):,}" if steps else "not begun"


def _entry(sheet: Sheet) -> str:
    picture = base64.b64encode(sheet.path.read_bytes()).decode()
    about = f'<h2 id="step-{sheet.step}">Step {sheet.step:,}{_epoch(sheet.losses)}</h2>{_values(sheet)}'
    image = f'<img src="data:image/jpeg;base64,{picture}" alt="samples of step {sheet.step}" decoding="async">'
    return f'<section class="card">\n<header>{about}</header>\n{image}\n</section>'


def _epoch(line: Line | None) -> str:
    return f" <small>epoch {line.epoch}</small>" if line else ""


def _values(sheet: Sheet) -> str:
    if sheet.losses is None:
        return ""
    items = [f"<li>{html.escape(name)} <b>{_short(value)}</b></li>" for name, value in sheet.losses.losses.items()]
    if sheet.losses.step != sheet.step:
        items.append(f"<li>at step {sheet.losses.step:,}</li>")
    return f'<ul class="values">{"".join(items)}</ul>'


def _short(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0; background: #f4f5f7; color: #23272f;
  font: 15px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1680px; margin: 0 auto; padding: 28px 28px 64px; }
.top { display: flex; flex-wrap: wrap; align-items: baseline; gap: 4px 18px; margin: 0 2px 18px; }
h1 { font-size: 26px; font-weight: 650; letter-spacing: -0.01em; margin: 0; }
h2 { font-size: 17px; font-weight: 620; margin: 0; white-space: nowrap; font-variant-numeric: tabular-nums; }
small, .note, .when { color: #6b7280; font-weight: 400; }
small { font-size: 14px; margin-left: 6px; }
.when { margin-left: auto; font-size: 13px; }
.card { background: #fff; border: 1px solid #e3e6ea; border-radius: 12px; padding: 16px 18px; margin: 0 0 20px;
  box-shadow: 0 1px 2px rgb(20 25 35 / 5%); }
.card header { display: flex; flex-wrap: wrap; align-items: baseline; gap: 4px 22px; margin-bottom: 10px; }
.card img { display: block; width: 100%; height: auto; border-radius: 6px; }
ul { list-style: none; display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 0; padding: 0; font-size: 13.5px;
  color: #4b5563; }
ul.legend { margin: 8px 0 6px; gap: 4px 22px; }
li b { color: #23272f; font-weight: 600; font-variant-numeric: tabular-nums; }
.swatch { width: 24px; height: 8px; margin-right: 7px; vertical-align: middle; overflow: visible; }
.card > svg { display: block; width: 100%; height: auto; }
svg text { font-size: 12px; fill: #6b7280; font-variant-numeric: tabular-nums; }
.grid { stroke: #eceef1; } .axis { stroke: #b8bec7; }
polyline { fill: none; stroke-linejoin: round; }
.raw { stroke-width: 1; opacity: 0.22; } .smooth { stroke-width: 2; }
@media (max-width: 700px) { main { padding: 16px 10px 40px; } .when { margin-left: 0; } }
"""

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}: samples</title>
<style>{style}</style>
</head>
<body>
<main>
<div class="top"><h1>{title}</h1><span class="note">{about}</span><span class="when">written {written}</span></div>
{chart}
{sheets}
{note}
</main>
</body>
</html>
"""
