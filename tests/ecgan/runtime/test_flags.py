"""What is added to the compilers' lines, and taken off again."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_up_programs import program

from ecgan.runtime import flags, precompiled


@pytest.fixture(autouse=True)
def nothing_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("cc_flags", "kernel_flags"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(params=["12.2.0", "15.1.0"])
def compiler(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    program(tmp_path, "g++", f"echo {request.param}")
    monkeypatch.setenv("cc_path", str(tmp_path / "g++"))
    return request.param


def ours() -> str:
    return precompiled.flag("cpu") + flags.wanted("cpu")


def test_only_ours_are_taken_off(compiler: str) -> None:
    assert ("-includecstdint" in ours()) == compiler.startswith("15")
    cuda = ' -iquote"/x/jittor-cuda-1/cuda/quoted"'
    for added in (ours(), flags.wanted("cuda")):
        assert flags.without_ours(f"{added}{cuda}") == ""
        assert flags.without_ours(f"-g{added}{cuda} -pipe") == "-g -pipe"
    for others in (' -I"/elsewhere/include" -Wno-template', " -O1 -includecmath", ' -I"/elsewhere" -O1'):
        assert flags.without_ours(others) == others


def test_process_started_by_ours_has_the_same(compiler: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even a blank more would have Jittor compile all anew."""
    monkeypatch.setenv("cc_flags", "-g")
    monkeypatch.setenv("kernel_flags", "-funroll-loops")
    before = ours(), flags.for_operators("cpu")
    monkeypatch.setenv("cc_flags", before[0])
    monkeypatch.setenv("kernel_flags", before[1])
    assert (ours(), flags.for_operators("cpu")) == before
    assert flags.for_operators("cuda") == "-funroll-loops"


def test_operators_keep_their_level(compiler: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Jittor adds -Ofast for them only if there is no level in the flags for all, where ours for the core is."""
    assert " -O1" in ours() and flags.for_operators("cpu").endswith("-Ofast")
    assert " -O" not in flags.wanted("cuda") and flags.for_operators("cuda") == ""
    monkeypatch.setenv("cc_flags", "-O0")  # a user's, for all
    monkeypatch.setenv("kernel_flags", "-g -Ofast")
    assert " -O1" not in ours() and flags.for_operators("cpu") == "-g -Ofast"


def test_each_is_one_word(compiler: str) -> None:
    """Of others Jittor takes the second half for a file to compile."""
    assert all(word.startswith("-") for word in ours().split())


def test_header_to_compile_once_is_the_first(compiler: str) -> None:
    """The compiler takes what was made of it for nothing that comes later."""
    first, *others = ours().split()
    assert first.startswith("-include/") and first.endswith("/jittor.h")
    assert not any("jittor.h" in word for word in others)


def test_other_compilers_get_headers_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, "clang++", "echo unknown argument >&2; exit 1")
    monkeypatch.setenv("cc_path", str(tmp_path / "clang++"))
    assert flags.gcc_version() == 0 and len(ours().split()) == 1 and flags.for_operators("cpu") == ""


def test_another_header_lies_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECGAN_CACHE", str(tmp_path))
    flags.lay_out_headers()
    flags.lay_out_headers()
    [folder] = tmp_path.iterdir()
    assert f'-I"{folder}"' in ours() and (folder / "pyjt/numpy.h").is_file()
    monkeypatch.setattr(flags, "SOURCES", tmp_path / "other")
    (tmp_path / "other").mkdir()
    (tmp_path / "other/new.h").touch()
    assert str(folder) not in ours()
