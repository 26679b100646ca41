"""A score as lines for a person."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ecgan.scoring import terms
from ecgan.scoring.terms import Term


def table(score: dict[str, Any]) -> list[str]:
    """Of what `score.json` holds."""
    lines = [f"{score['pictures']} pictures of {score['results']}", ""]
    for term in sorted(terms.TERMS, key=lambda term: not term.leading):
        if entry := score.get(term.name):
            lines += _rows(term, entry)
    lines += ["", *_total(score)]
    return [*lines, *(f"note: {note}" for note in score["notes"])]


def _rows(term: Term, entry: dict[str, Any]) -> Iterator[str]:
    for number in term.numbers:
        remark = "<- in the total" if number.key == entry.get("in_the_total") else term.remark
        yield _row(number.title, f"{entry[number.key]:.{term.digits}f}" + (f"   {remark}" if remark else ""))
    if "mean_iou" in entry:
        yield _row("mean IoU", f"{entry['mean_iou']:.4f}")
        yield _row("", _own(entry["segmenter"]["on_held_out_pairs"]))


def _row(name: str, value: str) -> str:
    return f"  {name:<15}{value}"


def _own(measured: dict[str, Any] | None) -> str:
    """How far the segmentation network can be believed."""
    if not measured:
        return "(how good this segmentation network is itself is not known)"
    return (
        f"(the segmentation network itself: {measured['mask_accuracy']:.4f}, mean IoU {measured['mean_iou']:.4f} "
        f"on {measured['pairs']} photos that it had not seen)"
    )


def _total(score: dict[str, Any]) -> list[str]:
    if score["total"] is not None:
        return [_row("total", f"{score['total']:.4f}")]
    titles = {term.name: term.title for term in terms.TERMS}
    unknown = ", ".join(titles[name] for name in score["unknown"])
    lines = [_row("total", f"not known: {unknown} {'is' if len(score['unknown']) == 1 else 'are'} missing")]
    if line := score.get("total_without"):
        until = " (up to 100)" if line["term"] == "fid" else ""
        sign = "+" if line["slope"] >= 0 else "-"
        lines.append(_row("", f"{line['at_zero']:.4f} {sign} {abs(line['slope']):.4f} x {titles[line['term']]}{until}"))
    return lines
