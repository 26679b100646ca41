"""An experiment as one page that needs nothing else: the table, what differs, pictures, curves over each other.

Curves are those of every training's metrics, a colour for each variant, and the pictures those of the same masks by
each.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ecgan.config import ModelConfig
from ecgan.data.folders import find_pictures
from ecgan.data.images import BadImage, read_mask, read_photo
from ecgan.data.testset import Item, find_test_set
from ecgan.errors import UserError
from jobs.experiment import progress
from jobs.experiment.chains import Chain
from jobs.experiment.table import Table, shown
from jobs.results.gallery.page import mask_thumbnail, thumbnail
from jobs.run import record
from jobs.run.clock import now
from jobs.run.folder import RunDir
from jobs.train.outputs import metrics
from jobs.train.outputs.loss_chart import Curve, chart
from jobs.train.outputs.metrics import History
from jobs.train.outputs.samples_page import STYLE

#: How many masks are shown.
_MASKS = 8
#: Settings of a training that say what masks are.
_OF_MASKS = ("label_nc", "contain_dontcare_label")
#: Settings that differ between all chains by what they are.
_OF_CHAINS = {"train.run_dir", "generate.checkpoint", "generate.output_path", "score.results", "gallery.results"} | {
    *("train.seed", "gallery.output")
}


def page(whole: Table, chains: Sequence[Chain]) -> str:
    """HTML. `chains`: those of the table, in the order of the file."""
    order = {row.variant: number for number, row in enumerate(whole.rows)}
    ranked = sorted(chains, key=lambda chain: order[chain.variant])
    parts = [
        _card("Scores", "means over seeds, and their standard deviation", _scores(whole)),
        _card("What differs", "marked where it is not as in most", _differences(chains, order)),
        _card("Pictures", f"of the same masks by every variant, seed {ranked[0].seed}", _pictures(ranked)),
        *(_card(name, "smoothed, over steps", drawn) for name, drawn in _curves(ranked)),
    ]
    title = html.escape(whole.title)
    return _PAGE.format(
        title=title, written=html.escape(now()), style=STYLE + _OURS, parts="\n".join(filter(None, parts))
    )


def _card(title: str, remark: str, content: str) -> str:
    """Empty without content."""
    head = f"<h2>{html.escape(title)} <small>{html.escape(remark)}</small></h2>"
    return f'<section class="card">\n<header>{head}</header>\n{content}\n</section>' if content else ""


def _scores(whole: Table) -> str:
    head = ["variant", *whole.columns.values(), "state"]
    rows = []
    for row in whole.rows:
        cells = [shown(name, row.spread(name)) for name in whole.columns]
        rows.append([_th(row.variant), *map(_td, cells), _td(row.words)])
    return _table(head, rows)


def _differences(chains: Sequence[Chain], order: Mapping[str, int]) -> str:
    """Settings that are not the same in all variants, a column for each. Of values that are in as many, the usual one
    is the first of the file; `order`: of the variants' rows."""
    variants = {chain.variant: _flat(chain) for chain in chains}
    names = dict.fromkeys(name for settings in variants.values() for name in settings)
    columns = []
    for name in names:
        values = [settings.get(name) for settings in variants.values()]
        if name not in _OF_CHAINS and any(value != values[0] for value in values):
            columns.append((name, max(values, key=values.count)))
    rows = [
        [_th(variant), *(_td(_plain(settings.get(name)), settings.get(name) != usual) for name, usual in columns)]
        for variant, settings in sorted(variants.items(), key=lambda each: order[each[0]])
    ]
    return _table(["variant", *(name for name, _ in columns)], rows) if columns else ""


def _flat(chain: Chain) -> dict[str, Any]:
    return {f"{stage}.{name}": value for stage, each in chain.settings.items() for name, value in each.items()}


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _curves(chains: Sequence[Chain]) -> Iterator[tuple[str, str]]:
    """By loss or score, a chart with a line for each chain; those of a variant have its colour."""
    histories = [(chain, _history(chain)) for chain in chains if _is_trained(chain)]
    colours = {variant: number for number, variant in enumerate(dict.fromkeys(chain.variant for chain in chains))}
    for name in dict.fromkeys(name for _, history in histories for name in history.names):
        curves = []
        for chain, history in histories:
            points = [point for point in history.points if np.isfinite(point.mean(name))]
            if points:
                steps = np.array([point.step for point in points], float)
                values = np.array([point.mean(name) for point in points])
                curves.append(Curve(chain.name, steps, values, colours[chain.variant]))
        if drawn := chart(curves, f"{name} over steps"):
            yield name, drawn


def _history(chain: Chain) -> History:
    run, history = RunDir(chain.training), History()
    for line in metrics.read(run.metrics, record.read(run).done or 0):
        history.add(line)
    return history


def _pictures(chains: Sequence[Chain]) -> str:
    """A row for each mask, a column for each variant that has its pictures; empty if none has."""
    first = {chain.variant: chain for chain in reversed(chains) if chain.seed == chains[0].seed}
    painted = {name: chain for name, chain in reversed(first.items()) if _is_painted(chain)}
    if not painted:
        return ""
    chain = next(iter(painted.values()))
    settings = chain.settings["generate"]
    try:
        items = find_test_set(Path(settings["input_path"]), Path(settings["img_path"])).items
    except UserError:
        return ""
    found = {name: find_pictures(each.results) for name, each in painted.items()}
    model = ModelConfig(**{name: value for name, value in chain.settings.get("train", {}).items() if name in _OF_MASKS})
    rows = []
    for item in _spread([item for item in items if any(item.name in each for each in found.values())]):
        pictures = [_picture(each.get(item.name), f"{item.name} by {name}") for name, each in found.items()]
        rows.append([_mask(item, model), _picture(item.reference, f"reference of {item.name}"), *pictures])
    if not rows:
        return ""
    return _table(["mask", "reference", *found], [[f"<td>{cell}</td>" for cell in row] for row in rows], "pictures")


def _is_trained(chain: Chain) -> bool:
    """Whether a training with the settings that it has now has begun at least."""
    return any(each.stage == "train" and each.status for each in progress.states(chain))


def _is_painted(chain: Chain) -> bool:
    return any(each.stage == "generate" and each.state.is_success for each in progress.states(chain))


def _spread(items: Sequence[Item]) -> list[Item]:
    """At most `_MASKS`, evenly over all."""
    places = np.unique(np.linspace(0, len(items) - 1, min(_MASKS, len(items))).round().astype(int))
    return [items[place] for place in places]


def _mask(item: Item, model: ModelConfig) -> str:
    try:
        return _img(mask_thumbnail(read_mask(item.mask, model)), f"mask {item.name}")
    except BadImage:
        return "missing"


def _picture(path: Path | None, title: str) -> str:
    try:
        return _img(thumbnail(read_photo(path)), title) if path else "missing"
    except BadImage:
        return "missing"


def _img(source: str, title: str) -> str:
    return f'<img src="{source}" alt="{html.escape(title)}" title="{html.escape(title)}" decoding="async">'


def _table(head: Iterable[str], rows: Iterable[Sequence[str]], name: str = "numbers") -> str:
    titles = "".join(f"<th>{html.escape(title)}</th>" for title in head)
    body = "\n".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    return f'<div class="wide"><table class="{name}">\n<tr>{titles}</tr>\n{body}\n</table></div>'


def _th(text: str) -> str:
    return f"<th>{html.escape(text)}</th>"


def _td(text: str, marked: bool = False) -> str:
    kind = ' class="other"' if marked else ""
    return f"<td{kind}>{html.escape(text)}</td>"


_OURS = """
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13.5px; font-variant-numeric: tabular-nums; }
th, td { padding: 5px 14px 5px 0; text-align: left; white-space: nowrap; border-bottom: 1px solid #eceef1; }
tr:first-child th { color: #6b7280; font-weight: 500; }
td.other { background: #fff3d6; padding-left: 8px; }
table.pictures td { padding: 4px 6px 4px 0; border: 0; color: #6b7280; }
table.pictures img { width: 256px; max-width: none; height: auto; image-rendering: auto; }
"""

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
<div class="top"><h1>{title}</h1><span class="when">written {written}</span></div>
{parts}
</main>
</body>
</html>
"""
