"""Starting Jittor: what it does to the process, to the home folder, and when something is missing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from made_up_cuda import cudnn, driver, nvcc, toolkit

from ecgan.errors import MachineError
from ecgan.runtime import copied, starting
from ecgan.runtime.cache import cache_dir

pytestmark = pytest.mark.process

_ALL_WAYS = """
from ecgan.runtime.compiling import usable_device
from ecgan.runtime.starting import start
print(usable_device("auto"), start("auto"))
"""


def python(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | environment
    return subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=600)


def test_process_is_left_as_it_was(tmp_path: Path) -> None:
    cache = str(cache_dir())
    done = python(
        """
import os, signal, sys
before = sys.exit, sys.excepthook, [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGCHLD, signal.SIGTERM)]
from ecgan.runtime.starting import start
assert start("cpu") == "cpu" and start() == "cpu"
after = sys.exit, sys.excepthook, [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGCHLD, signal.SIGTERM)]
assert before == after
from ecgan.runtime.probe import convolution
assert convolution() == 5808.0
os.kill(os.getpid(), signal.SIGINT)  # Jittor would end the process here
""",
        HOME=str(tmp_path),
        ECGAN_CACHE=cache,
    )
    assert "KeyboardInterrupt" in done.stderr and "quick exit" not in done.stderr
    assert done.stdout == ""
    assert not (tmp_path / ".cache" / "jittor").exists(), "Jittor wrote its settings for everybody"


def test_death_of_a_child_is_not_ours() -> None:
    done = python(
        """
import os, subprocess, time
from ecgan.runtime.probe import convolution
child = subprocess.Popen(["sleep", "60"])
child.kill()
time.sleep(0.3)
assert child.wait() == -9
print("alive", convolution())
"""
    )
    assert done.stdout.startswith("alive"), done.stderr


def test_number_of_threads_is_kept() -> None:
    program = """
import ctypes
from ecgan.runtime.starting import start
start("cpu", threads=1)
print(ctypes.CDLL("libgomp.so.1").omp_get_max_threads())
"""
    assert python(program).stdout == "1\n"


def test_broken_cuda_falls_back_with_one_line(tmp_path: Path) -> None:
    """A driver that claims a GPU, and a toolkit of which nothing works."""
    driver(tmp_path)
    root = tmp_path / "toolkit"
    toolkit(root / "include", root / "lib64", 12)
    cudnn(root / "include", root / "lib64", 8)
    nvcc(root / "bin").write_text("#!/bin/sh\necho 'nvcc: no such toolkit' >&2\nexit 1\n")
    broken = {
        "CUDA_HOME": str(root),
        "LD_LIBRARY_PATH": str(tmp_path),
        "CUDA_VISIBLE_DEVICES": "0",
    }
    failed = set((cache_dir() / "ready").glob("*.failed"))
    try:
        for _attempt in range(2):
            done = python(_ALL_WAYS, **broken)
            assert done.stdout == "cpu cpu\n", done.stderr
            assert done.stderr.count("CUDA does not work here, using the CPU") == 2  # the child's, then our own
            assert "Traceback" not in done.stderr
        insisted = python("from ecgan.runtime.starting import start; start('cuda')", **broken)
        assert insisted.returncode == 1 and "MachineError" in insisted.stderr
    finally:
        for path in set((cache_dir() / "ready").glob("*.failed")) - failed:
            path.unlink()


def test_cache_that_can_not_be_written_is_named() -> None:
    done = python("from ecgan.runtime.starting import start; start('cpu')", ECGAN_CACHE="/proc/nowhere")
    assert done.returncode == 1 and "/proc/nowhere" in done.stderr and "ECGAN_CACHE" in done.stderr


def test_device_in_use_is_printed() -> None:
    command = [sys.executable, "-m", "ecgan.runtime"]
    done = subprocess.run([*command, "cpu"], capture_output=True, text=True, timeout=600)
    assert (done.returncode, done.stdout) == (0, "cpu\n"), done.stderr
    done = subprocess.run([*command, "tpu"], capture_output=True, text=True, timeout=600)
    assert (done.returncode, done.stdout) == (1, "") and "'tpu'" in done.stderr


def test_jittor_comes_from_its_copy_where_no_variable_names_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HOME, which the cache then lies in, is another one during the import."""
    for name in ("ECGAN_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("JITTOR_HOME", str(tmp_path / "jittor's"))
    expected = copied.folder()
    assert expected.is_relative_to(tmp_path)
    seen = []

    def just_before_the_import() -> None:
        seen.append((os.environ["HOME"], sys.path[0]))
        raise RuntimeError("seen enough")

    monkeypatch.setattr(starting, "older_python", just_before_the_import)
    with pytest.raises(MachineError, match="seen enough"):
        starting._import_jittor("cpu", (), parallel_compiler=True)
    assert seen == [(str(tmp_path / "jittor's"), str(expected))]
    assert os.environ["HOME"] == str(tmp_path) and str(expected) not in sys.path
