"""A training that begins anew puts what was there aside: a kill on the way leaves what says that it must."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.run.folder import RunDir
from jobs.train.resume import put_aside


class Killed(BaseException):
    pass


@pytest.mark.parametrize("moves", range(4))
def test_states_go_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moves: int) -> None:
    """While they are there the next start puts the rest aside, too; without them it would go on with the old losses, or
    find that its states are gone."""
    run, left = RunDir(tmp_path), [moves]
    run.states.mkdir()
    for path in (run.metrics, run.samples_page, run.status):
        path.touch()
    rename = Path.rename

    def killed(path: Path, target: Path) -> Path:
        if not left[0]:
            raise Killed
        left[0] -= 1
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", killed)
    with pytest.raises(Killed):
        put_aside(run)
    assert run.states.is_dir()
    left[0] = 10
    put_aside(run)
    assert not any(path.exists() for path in (run.states, run.metrics, run.samples_page, run.status))
