"""Starting Jittor: what it does to the process, to the home folder, and when something is missing."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from made_up_cuda import cudnn, driver, nvcc, toolkit

from ecgan import runtime
from ecgan.errors import UserError

pytestmark = pytest.mark.process


def python(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | environment
    return subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=300)


def test_process_is_left_as_it_was(tmp_path: Path) -> None:
    cache = str(runtime.cache_dir())
    done = python(
        """
import os, signal, sys
before = sys.exit, sys.excepthook, [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGCHLD, signal.SIGTERM)]
from ecgan import runtime
assert runtime.start("cpu") == "cpu" and runtime.start() == "cpu"
after = sys.exit, sys.excepthook, [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGCHLD, signal.SIGTERM)]
assert before == after
assert runtime.probe() == 5808.0
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
from ecgan import runtime
runtime.start("cpu")
child = subprocess.Popen(["sleep", "60"])
child.kill()
time.sleep(0.3)
assert child.wait() == -9
print("alive", runtime.probe())
"""
    )
    assert done.stdout.startswith("alive"), done.stderr


def test_number_of_threads_is_kept() -> None:
    program = """
import ctypes
from ecgan import runtime
runtime.start("cpu", threads=1)
print(ctypes.CDLL("libgomp.so.1").omp_get_max_threads())
"""
    assert python(program).stdout == "1\n"


def test_cuda_is_insisted_on_in_vain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "gpu_count", lambda: 0)
    with pytest.raises(UserError, match="--device cuda: no GPU answers"):
        runtime.choose_device("cuda")
    assert runtime.choose_device("auto") == "cpu"


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
    failed = set((runtime.cache_dir() / "ready").glob("*.failed"))
    try:
        for _attempt in range(2):
            program = "from ecgan import runtime; print(runtime.usable_device('auto'), runtime.start('auto'))"
            done = python(program, **broken)
            assert done.stdout == "cpu cpu\n", done.stderr
            assert done.stderr.count("CUDA does not work here, using the CPU") == 2  # the child's, then our own
            assert "Traceback" not in done.stderr
        insisted = python("from ecgan import runtime; runtime.start('cuda')", **broken)
        assert insisted.returncode == 1 and "UserError" in insisted.stderr
    finally:
        for path in set((runtime.cache_dir() / "ready").glob("*.failed")) - failed:
            path.unlink()


def test_missing_compiler_is_named(tmp_path: Path) -> None:
    program = "from ecgan import runtime; runtime.start('cpu')"
    for without in ({"PATH": str(tmp_path), "cc_path": ""}, {"cc_path": "/nowhere/g++"}):
        done = python(program, **without)
        assert done.returncode == 1 and "install g++" in done.stderr


def test_numpy_that_jittor_can_not_read_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    version = runtime.metadata.version
    monkeypatch.setattr(runtime.metadata, "version", lambda name: "2.2.6" if name == "numpy" else version(name))
    with pytest.raises(UserError, match="NumPy 2.2.6 .* 'numpy<2'"):
        runtime._check_requirements()


def test_cache_that_can_not_be_written_is_named() -> None:
    done = python("from ecgan import runtime; runtime.start('cpu')", ECGAN_CACHE="/proc/nowhere")
    assert done.returncode == 1 and "/proc/nowhere" in done.stderr and "ECGAN_CACHE" in done.stderr


def test_one_compiles_while_the_others_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECGAN_CACHE", str(tmp_path))
    runs = []

    def compile_something() -> None:
        runs.append(1)
        time.sleep(0.3)

    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(runtime.once, "something", "cpu", compile_something) for _ in range(4)]:
            future.result()
    assert len(runs) == 1
    with pytest.raises(ZeroDivisionError):
        runtime.once("another", "cpu", lambda: 1 / 0)  # type: ignore[arg-type, return-value]
    runtime.once("another", "cpu", compile_something)
    assert len(runs) == 2


def test_output_of_a_failed_compilation_is_kept(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "x.log"
    command = [sys.executable, "-c", "print('Compiling core(3/150)'); raise SystemExit('fatal error: no such header')"]
    with pytest.raises(UserError, match="compiling x failed .*no such header.*x.log"):
        runtime.run_compiling(command, "compiling x", log)
    assert "Compiling core(3/150)" in log.read_text()
