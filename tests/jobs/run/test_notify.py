"""How a run has ended, told by commands of the user's that are run for real, and that go wrong in every way."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from conftest import Teller, wait_until

from jobs.run import notify, record
from jobs.run.folder import RunDir
from jobs.run.kind import Kind
from jobs.run.state import State


def test_text_is_one_line_and_one_word(tmp_path: Path) -> None:
    teller = Teller(tmp_path)
    notify.notify(teller.command, State.FAILED, tmp_path / "a 'run'", "it failed:\n  $HOME; `rm`")
    assert teller.told == [["failed", str(tmp_path / "a 'run'"), "it failed: $HOME; `rm`"]]


@pytest.mark.parametrize("command", [None, "none"])
def test_no_command_is_nobody(command: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    notify.notify(command, State.DONE, tmp_path, "done")
    assert not capsys.readouterr().out


@pytest.mark.parametrize(
    ("conduct", "words"),
    [("echo refused; exit 3", "status 3: refused"), ("kill -9 $$", "status -9"), ("sleep 60", "took over 0.5 seconds")],
)
def test_what_goes_wrong_is_a_line(
    conduct: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(notify, "_PATIENCE", 0.5)
    notify.notify(Teller(tmp_path, conduct).command, State.DONE, tmp_path, "done")
    said = capsys.readouterr().out
    assert said.startswith("note: nobody was notified: ") and words in said and said.count("\n") == 1


def test_a_command_that_is_not_there_is_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    notify.notify("/no/such/command", State.DONE, tmp_path, "done")
    assert "/no/such/command" in capsys.readouterr().out


def test_what_it_leaves_running_is_not_waited_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    began = time.monotonic()
    notify.notify(Teller(tmp_path, f"(sleep 5; touch '{tmp_path}/later') &").command, State.DONE, tmp_path, "done")
    assert time.monotonic() - began < 4 and not capsys.readouterr().out
    wait_until(lambda: (tmp_path / "later").exists(), 20)


@pytest.mark.parametrize(
    ("kind", "said", "known", "outcome", "told"),
    [
        (Kind.TRAINING, State.DONE, {"done": 6}, State.DONE, "training run done: 6 of 6 steps"),
        (Kind.TRAINING, State.DONE, {"done": 6, "before": 4}, State.DONE, "training run done: 6 of 6 steps"),
        (Kind.TRAINING, State.DONE, {"done": 6, "before": 6}, State.DONE, None),
        (Kind.GENERATION, State.DONE, {"done": 6, "before": 6}, State.DONE, "generation run done: 6 of 6 pictures"),
        (Kind.SCORING, State.INCOMPLETE, {"done": 2}, State.FAILED, "scoring run incomplete: 2 of 6 pictures; why"),
        (Kind.TRAINING, State.RUNNING, {"done": 2}, State.FAILED, "training run failed: 2 of 6 steps; why"),
        (Kind.TRAINING, State.RUNNING, {"done": 2}, State.REQUEUED, None),
        (Kind.TRAINING, State.STOPPED, {"done": 2}, State.STOPPED, None),
        (Kind.TRAINING, State.CANCELLED, {"done": 2}, State.CANCELLED, None),
    ],
)
def test_an_end_is_told_as_the_run_says_it(
    kind: Kind, said: State, known: dict[str, int], outcome: State, told: str | None, tmp_path: Path
) -> None:
    run, teller = RunDir(tmp_path / "run"), Teller(tmp_path)
    run.create()
    record.begin(run, kind, said, total=6, **known)
    notify.tell_end(teller.command, run.path, outcome, "why")
    assert [words[2] for words in teller.told] == ([told] if told else [])
