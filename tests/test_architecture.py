"""The rules of the house: who may import whom, and that nothing heavy happens on a login node."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

PACKAGES = ("ecgan", "jobs", "slurm", "launch")
MAY_IMPORT = {
    "ecgan": {"ecgan"},
    "jobs": {"jobs", "ecgan"},
    "slurm": {"slurm", "jobs", "ecgan"},
    "launch": set(PACKAGES),
}
#: What slurm/ may know of jobs: how to ask one to stop, which attempt at it is the newest and how it may end, and how
#: options are called.
JOBS_INTERFACE = {
    "jobs",
    "jobs.run",
    "jobs.run.attempts",
    "jobs.run.state",
    "jobs.stop",
    "jobs.options",
    "jobs.yaml_files",
}


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_run_one_way(package: str) -> None:
    for path in sources(package):
        ours = {name for name in imports(path) if name.split(".")[0] in PACKAGES}
        assert {name.split(".")[0] for name in ours} <= MAY_IMPORT[package], path
        if package == "slurm":
            assert {name for name in ours if name.startswith("jobs")} <= JOBS_INTERFACE, path


def test_only_the_runtime_imports_jittor() -> None:
    for package in PACKAGES:
        for path in sources(package):
            if any(name.split(".")[0].startswith("jittor") for name in imports(path)):
                assert path == ROOT / "ecgan/runtime/starting.py"


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("cache", {"ctypes", "subprocess", "signal", "ecgan.runtime.starting"}),
        ("toolchain", {"ctypes", "subprocess", "ecgan.runtime.starting"}),
        ("devices", {"subprocess", "ecgan.runtime.starting", "ecgan.runtime.compiling"}),
        ("stamps", {"ecgan.runtime.starting", "ecgan.runtime.compiling"}),
    ],
)
def test_who_does_not_start_jittor_does_not_import_what_does(module: str, unwanted: set[str]) -> None:
    program = f"import sys; before = set(sys.modules); import ecgan.runtime.{module}; print(*set(sys.modules) - before)"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert not unwanted & set(done.stdout.split())


@pytest.mark.parametrize(
    "command",
    ["generate", "train", "score", "gallery", "pick", "pack", "audit", "status", "cancel", "doctor", "convert"],
)
def test_commands_never_start_jittor(command: str) -> None:
    program = f"import sys, launch.{command}; sys.exit(any(name.startswith('jittor') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT).returncode == 0


@pytest.mark.parametrize("package", PACKAGES)
def test_modules_stay_readable(package: str) -> None:
    for path in sources(package):
        assert len(path.read_text().splitlines()) <= 550, f"{path} has grown beyond one subject"
        assert ast.get_docstring(ast.parse(path.read_text())), f"{path} does not say what it is for"


@pytest.mark.parametrize(
    "modules",
    ["ecgan.networks, ecgan.synthesis, ecgan.random_model", "ecgan.training.learner", "gpu, gpu_parts, measure"],
)
def test_networks_and_benchmarks_do_without_opencv(modules: str) -> None:
    program = f"import sys; sys.modules['cv2'] = None; sys.path.insert(0, 'bench'); import {modules}"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
