"""The list of states holds together, and its members read and write as their names."""

from __future__ import annotations

import json
import pickle

import pytest

from jobs.run.state import State


@pytest.mark.parametrize("state", State)
def test_meanings_do_not_contradict_each_other(state: State) -> None:
    assert not (state.goes_on and (state.is_settled or state.begins_again))
    assert state.goes_on or not state.ends_unsaid
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
