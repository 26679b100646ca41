"""Headers that are compiled once, and environments that share what is compiled; with the real compiler and Jittor."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from ecgan.runtime import copied, flags, precompiled
from ecgan.runtime.cache import cache_dir
from ecgan.runtime.starting import start

pytestmark = pytest.mark.process

#: Begins like Jittor's own.
OPERATOR = """
#define JIT 1
#define JIT_cpu 1
#include <cmath>
#include "var.h"
#include "ops/op_register.h"
#include "fused_op.h"
namespace jittor {
void FusedOp::jit_run() {
    auto x = ((Var*)(ops[0]->output(0)))->ptr<float>();
    for (int i = 0; i < 1000; i++) x[i] = std::exp(x[i]) * 3;
}
}
"""


@pytest.mark.skipif(not flags.gcc_version(), reason="g++ alone takes headers that are compiled already")
def test_operator_is_the_same_with_and_without(tmp_path: Path) -> None:
    start("cpu")
    from ecgan.runtime import jt

    source = tmp_path / "an_op.cc"
    source.write_text(OPERATOR)
    header = precompiled.flag("cpu")
    assert header in jt.flags.cc_flags
    made = []
    for given in (jt.flags.cc_flags, jt.flags.cc_flags.replace(header, " ")):
        words = [word for word in shlex.split(given) if not word.startswith(("-l", "-L", "-shared"))]
        command = [jt.flags.cc_path, *words, "-H", "-c", "-o", f"{tmp_path}/{len(made)}.o", str(source)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        made.append(
            (
                f"! {header.strip().removeprefix('-include')}.gch/operators" in done.stderr,
                Path(command[-2]).read_bytes(),
            )
        )
    assert made[0][0] and not made[1][0], "the compiler passed over it"
    assert made[0][1] == made[1][1]


def test_second_environment_on_another_node_compiles_nothing(tmp_path: Path) -> None:
    """One at another place, made of what this one has, in which the core is as it was, and operators are there."""
    start("cpu")
    from ecgan.runtime.probe import convolution

    convolution()
    environment = tmp_path / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", "--symlinks", str(environment)], check=True)
    installed = Path(str(metadata.distribution("jittor").locate_file("")))
    there = environment / installed.relative_to(sys.prefix)
    there.rmdir()
    there.symlink_to(installed)
    for folder in ("include", "lib", "bin"):
        (environment / folder).mkdir(exist_ok=True)
        for path in (Path(sys.prefix) / folder).iterdir():
            if not (environment / folder / path.name).exists():
                (environment / folder / path.name).symlink_to(path)
    program = """
import platform, resource, sys
platform.node = lambda: "another"
from ecgan.runtime.starting import start
start("cpu")
import jittor
jittor.flags.rewrite_op = 0  # of what is compiled already, Jittor writes the source again
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # no operator can be written
from ecgan.runtime.probe import convolution
print(sys.prefix, jittor.__file__, convolution(), platform.node())
"""
    before = written()
    command = [str(environment / "bin/python"), "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ, timeout=600)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(environment), str(copied.folder() / "jittor/__init__.py"), "5808.0", "another"]
    assert written() == before


def written() -> dict[str, int]:
    """Of each library below the cache folder that is no operator, when it was written; but for CUDA's, which another
    test may be making at this moment."""
    folders = (folder for folder in cache_dir().iterdir() if not folder.name.startswith("jittor-cuda-"))
    libraries = (path for folder in folders for path in folder.rglob("*.so") if path.parent.name != "jit")
    return {str(path): path.stat().st_mtime_ns for path in libraries}
