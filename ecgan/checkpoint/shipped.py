"""Checkpoints that come with the project, called by their names instead of a path."""

from __future__ import annotations

from pathlib import Path

#: `drawn`: trained on drawn landscapes (docs/quality.md), for a first look without data of one's own.
SHIPPED = {"drawn": Path(__file__).parents[1] / "models/drawn"}


def located(path: Path) -> Path:
    """The folder of the checkpoint that is called so; any other path as it is. A folder of one's own with such a name
    is ./NAME."""
    return SHIPPED.get(str(path), path)
