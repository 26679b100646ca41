"""A score as lines for a person."""

from __future__ import annotations

from typing import Any

_NAMES = {"style": "style", "mask_accuracy": "mask accuracy", "fid": "FID", "aesthetic": "aesthetic"}


def table(score: dict[str, Any]) -> list[str]:
    """Of what `score.json` holds."""
    style = score["style"]
    lines = [f"{score['pictures']} pictures of {score['results']}", ""]
    for name in ("rgb", "hsv", "hue"):
        mark = "   <- in the total" if name == style["in_the_total"] else ""
        lines.append(_row(f"style ({name})", f"{style[name]:.4f}{mark}"))
    if "fid" in score:
        lines.append(_row("FID", f"{score['fid']['value']:.2f}"))
    if "fsd" in score:
        lines.append(_row("FSD", f"{score['fsd']['value']:.4f}   (segmentation features; not FID, not in the total)"))
    if accuracy := score.get("mask_accuracy"):
        lines.append(_row("mask accuracy", f"{accuracy['value']:.4f}"))
        lines.append(_row("mean IoU", f"{accuracy['mean_iou']:.4f}"))
        lines.append(_row("", _own(accuracy["segmenter"]["on_held_out_pairs"])))
    if "aesthetic" in score:
        lines.append(_row("aesthetic", f"{score['aesthetic']['value']:.4f}"))
    lines += ["", *_total(score)]
    return [*lines, *(f"note: {note}" for note in score["notes"])]


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
    unknown = ", ".join(_NAMES[name] for name in score["unknown"])
    lines = [_row("total", f"not known: {unknown} {'is' if len(score['unknown']) == 1 else 'are'} missing")]
    if line := score.get("total_without"):
        until = " (up to 100)" if line["term"] == "fid" else ""
        sign = "+" if line["slope"] >= 0 else "-"
        lines.append(_row("", f"{line['at_zero']:.4f} {sign} {abs(line['slope']):.4f} x {_NAMES[line['term']]}{until}"))
    return lines
