"""Doing once what need not be done twice."""

from __future__ import annotations

import sys
import sysconfig
import time
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path

import pytest

from ecgan.runtime import copied, flags, precompiled
from ecgan.runtime.stamps import identity, once, stamp


def test_one_compiles_while_the_others_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECGAN_CACHE", str(tmp_path))
    runs = []

    def compile_something() -> None:
        runs.append(1)
        time.sleep(0.3)

    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(once, "something", "cpu", compile_something) for _ in range(4)]:
            future.result()
    assert len(runs) == 1
    with pytest.raises(ZeroDivisionError):
        once("another", "cpu", lambda: 1 / 0)  # type: ignore[arg-type, return-value]
    once("another", "cpu", compile_something)
    assert len(runs) == 2


def test_stamp_tells_what_is_compiled_differently(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("cc_flags", raising=False)
    before = stamp("core", "cpu")
    assert before == stamp("core", "cpu") and before.name.startswith("cpu-")
    others = [stamp("painting", "cpu"), stamp("core", "cuda")]
    monkeypatch.setenv("cc_flags", ' -iquote"/x/jittor-cuda-1/cuda/quoted"')  # ours, of a process that started this one
    assert stamp("core", "cpu") == before
    monkeypatch.setenv("cc_flags", precompiled.flag("cpu") + flags.wanted("cpu"))
    assert stamp("core", "cpu") == before
    monkeypatch.setenv("cc_flags", "-g")
    others.append(stamp("core", "cpu"))
    monkeypatch.delenv("cc_flags")
    monkeypatch.setenv("cc_path", str(tmp_path / "g++"))
    others.append(stamp("core", "cpu"))
    assert len({before, *others}) == 5


def test_where_an_environment_lies_makes_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    before = identity("cpu")
    monkeypatch.setattr(sys, "prefix", "/elsewhere")
    assert identity("cpu") == before


@pytest.mark.parametrize("other", ["Python", "its headers", "oneDNN", "Jittor", "oneDNN of unknown origin"])
def test_what_an_environment_has_makes_one(other: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = identity("cpu")
    version = metadata.version

    def unknown(name: str) -> str:
        if name.startswith("onednn"):
            raise metadata.PackageNotFoundError
        return version(name)

    if other == "Python":
        monkeypatch.setattr(sys, "version", "3.14.1 (main) [GCC 15.1.0]")
    elif other == "its headers":
        monkeypatch.setattr(sysconfig, "get_paths", lambda: {"include": "/opt/python/include"})
    elif other == "Jittor":
        monkeypatch.setattr(copied, "folder", lambda: Path("/cache/jittor-1.3.11.0-0"))
    elif other == "oneDNN":
        monkeypatch.setattr(metadata, "version", lambda name: "1" if name.startswith("onednn") else version(name))
    else:
        monkeypatch.setattr(metadata, "version", unknown)
    assert identity("cpu") != before
