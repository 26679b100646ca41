"""The list of states holds together, and its members read and write as their names."""

from __future__ import annotations

import ast
import json
import pickle

import pytest
from conftest import ROOT

from jobs.run.state import State


@pytest.mark.parametrize("state", State)
def test_meanings_do_not_contradict_each_other(state: State) -> None:
    assert not (state.goes_on and (state.is_settled or state.begins_again))
    assert state.goes_on or not (state.ends_unsaid or state.prepares or state.is_at_work)
    assert not state.goes_on or not (state.is_success or state.is_stop or state.is_failure)
    assert not (state.is_success and state.begins_again) and not (state.is_own and not state.goes_on)
    assert sum((state.prepares, state.is_at_work, state.is_success, state.is_stop, state.is_failure)) <= 1
    assert state.words.split(":")[0].split(";")[0]


@pytest.mark.parametrize("state", State)
def test_a_state_is_its_name(state: State) -> None:
    assert State(json.loads(json.dumps(state))) is state
    assert pickle.loads(pickle.dumps(state)) is state
    assert f"{state:<12}" == f"{state.value:<12}" and str(state) == state.value == state


def test_what_the_others_ask() -> None:
    assert {state for state in State if state.ends_unsaid} == {State.STARTING, State.RUNNING}
    assert {state for state in State if state.begins_again} == {State.STOPPED, State.FAILED, State.INCOMPLETE}
    over = {state for state in State if not state.goes_on}
    assert {state for state in over if not state.is_settled} == {
        State.STOPPED,
        State.DIED,
        State.CUT_OFF,
        State.UNREADABLE,
    }


def test_who_asks_asks_what_a_state_means() -> None:
    """A name in a comparison is a place that a new state would have to be added to."""
    for path in (path for package in ("jobs", "launch", "slurm") for path in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Compare):
                named = {ast.unparse(each) for side in node.comparators for each in ast.walk(side)}
                # What a record is read as that says nothing, or nothing that can be understood.
                asked = {name for name in named if name.startswith("State.")} - {"State.PLANNED", "State.UNREADABLE"}
                assert not asked, f"{path}:{node.lineno}"
