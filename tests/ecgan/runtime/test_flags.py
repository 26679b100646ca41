"""What is added to the compilers' lines, and taken off again."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_up_programs import program

from ecgan.runtime import flags


@pytest.fixture(params=["12.2.0", "15.1.0"])
def compiler(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    program(tmp_path, "g++", f"echo {request.param}")
    monkeypatch.setenv("cc_path", str(tmp_path / "g++"))
    return request.param


def test_only_ours_are_taken_off(compiler: str) -> None:
    assert ("-includecstdint" in flags.ours()) == compiler.startswith("15")
    cuda = ' -iquote"/x/jittor-cuda-1/cuda/quoted"'
    assert flags.without_ours(f"-g{flags.ours()}{cuda} -pipe") == "-g -pipe"
    assert flags.without_ours(flags.ours()) == ""
    assert flags.without_ours(' -I"/elsewhere/include" -Wno-template') == ' -I"/elsewhere/include" -Wno-template'


def test_each_is_one_word(compiler: str) -> None:
    """Of others Jittor takes the second half for a file to compile."""
    assert all(word.startswith("-") for word in flags.ours().split())


def test_other_compilers_get_headers_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, "clang++", "echo unknown argument >&2; exit 1")
    monkeypatch.setenv("cc_path", str(tmp_path / "clang++"))
    assert flags.gcc_version() == 0 and len(flags.ours().split()) == 1


def test_another_header_lies_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECGAN_CACHE", str(tmp_path))
    flags.lay_out_headers()
    flags.lay_out_headers()
    [folder] = tmp_path.iterdir()
    assert f'-I"{folder}"' in flags.ours() and (folder / "pyjt/numpy.h").is_file()
    monkeypatch.setattr(flags, "_SOURCES", tmp_path / "other")
    (tmp_path / "other").mkdir()
    (tmp_path / "other/new.h").touch()
    assert str(folder) not in flags.ours()
