"""The checkpoint that comes with the project: found by its name, small, and as good as docs/quality.md says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ecgan.checkpoint import open_checkpoint
from ecgan.checkpoint.shipped import SHIPPED, located
from ecgan.drawn import compose, paint, pick_style
from ecgan.errors import UserError
from ecgan.scoring import style

#: Of four masks that nobody has seen: the style's score, and how far the picture is from the landscape itself, drawn in
#: the reference's style, on average in grey levels.
STYLES, DISTANCES = (0.378, 0.2968, 0.6366, 0.0599), (43.7, 26.65, 22.44, 42.3)
SIZE = (256, 192)


def test_it_is_found_by_its_name_and_nothing_else_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    checkpoint = open_checkpoint(Path("drawn"))
    checkpoint.verify()
    assert (checkpoint.model.width, checkpoint.model.height) == SIZE and set(checkpoint.files) == {"G", "E"}
    assert sum(file.stat().st_size for file in SHIPPED["drawn"].iterdir()) <= 16 << 20
    (tmp_path / "drawn").mkdir()
    assert located(Path("drawn")) == SHIPPED["drawn"]  # whatever lies here: ./drawn is one's own
    with pytest.raises(UserError, match="no checkpoint in"):
        open_checkpoint(tmp_path / "drawn")


@pytest.mark.slow
def test_its_pictures_are_as_good_as_is_said() -> None:
    from ecgan.synthesis import Synthesiser

    painter = Synthesiser(open_checkpoint(Path("drawn")))
    for seed, wanted_style, wanted_distance in zip(range(4), STYLES, DISTANCES, strict=True):
        layout, reference = compose(9000 + seed, SIZE), compose(9100 + seed, SIZE)
        worn = pick_style(9100 + seed)
        photo = paint(reference, worn)
        (picture,) = painter.paint([layout.labels], [photo], [f"seen-{seed}"], noise=0.0)
        truth = paint(layout, worn)
        found = style.compare(picture, photo)[style.DEFAULT].value
        distance = np.abs(picture.astype(float) - truth.astype(float)).mean()
        assert found == pytest.approx(wanted_style, abs=0.02)
        assert distance == pytest.approx(wanted_distance, rel=0.03)
