"""Where compiled code is kept, also for a user who is but a number."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ecgan.errors import UserError
from ecgan.runtime import cache
from launch import command

ASK = """
import os, sys
from ecgan.errors import UserError
from ecgan.runtime.cache import cache_dir, home
from ecgan.checkpoint.weights import find_weights
os.setuid(54321)
try:
    print(home(), cache_dir(), find_weights(None, "f", "NO_SUCH_VARIABLE", ["x.pth"]))
except UserError as error:
    print(error)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({}, "user 54321 has no home folder (no HOME, no entry among the users); set ECGAN_CACHE"),
        ({"ECGAN_CACHE": "~/cache"}, "user 54321 has no home folder"),
        ({"ECGAN_CACHE": "/cache"}, "None /cache None"),
        ({"XDG_CACHE_HOME": "/cache"}, "None /cache/ecgan None"),
    ],
)
def test_a_user_without_home_is_told_what_to_set(variables: dict[str, str], said: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in ("HOME", "ECGAN_CACHE")}
    environment.pop("XDG_CACHE_HOME", None)
    asked = subprocess.run(
        [sys.executable, "-c", ASK],
        env=environment | variables | {"PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
    )
    assert said in asked.stdout and "Traceback" not in asked.stderr


def test_the_homes_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ECGAN_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/somewhere")
    assert cache.cache_dir() == Path("/somewhere/.cache/ecgan")
    monkeypatch.setenv("ECGAN_CACHE", "~/mine")
    assert cache.cache_dir() == Path("/somewhere/mine")


@pytest.mark.parametrize("named", ["~no-such-user/x", "cache", "./cache", " "])
def test_a_variable_that_names_no_folder_is_named(monkeypatch: pytest.MonkeyPatch, named: str) -> None:
    monkeypatch.setenv("ECGAN_CACHE", named)
    with pytest.raises(UserError, match="^ECGAN_CACHE is "):
        cache.cache_dir()


def test_variables_that_say_nothing_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/somewhere")
    monkeypatch.setenv("ECGAN_CACHE", "")
    for users in ("", "relative/folder"):
        monkeypatch.setenv("XDG_CACHE_HOME", users)
        assert cache.cache_dir() == Path("/somewhere/.cache/ecgan")


def test_a_folder_that_is_given_is_the_same_for_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ECGAN_CACHE", "/before")
    monkeypatch.chdir(tmp_path)
    command.use_cache("mine")
    monkeypatch.chdir("/")
    assert cache.cache_dir() == tmp_path / "mine"


def test_a_home_that_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "home", lambda: None)
    for name in ("ECGAN_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UserError, match="set ECGAN_CACHE"):
        cache.cache_dir()
