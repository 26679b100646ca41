"""The rules of the house: who may import whom, and that nothing heavy happens on a login node."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

PACKAGES = ("ecgan", "jobs", "slurm", "launch", "ecgan_cluster")
MAY_IMPORT = {
    "ecgan": {"ecgan"},
    "jobs": {"jobs", "ecgan"},
    "slurm": {"slurm", "jobs", "ecgan"},
    "launch": {"launch", "slurm", "jobs", "ecgan"},
    "ecgan_cluster": {"launch", "jobs"},
}
#: What slurm/ may know of jobs: how one is asked to stop, the attempts at it and how they end, what files are called
#: and jobs are for; how the user is told, and how options are given.
JOBS_INTERFACE = {
    *("jobs.stop", "jobs.run.attempts", "jobs.run.folder", "jobs.run.state", "jobs.run.submission", "jobs.run.notify"),
    *("jobs.options", "jobs.bounds", "jobs.given", "jobs.yaml_files"),
}
#: What launch/ may know of slurm: the door to schedulers, and processes on machines.
DOOR = ("slurm.scheduler", "slurm.schedulers", "slurm.processes")
#: Lines of a module that has one subject. The drawn landscapes are a world of their own.
LONGEST, DRAWN = 300, ROOT / "ecgan/drawn"


def imports(path: Path) -> set[str]:
    """The modules that `path` imports, also those that it takes from their package."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            whole = {f"{node.module}.{alias.name}" for alias in node.names}
            modules = {name for name in whole if is_module(name)}
            found |= modules if modules == whole else modules | {node.module}
    return found


def is_module(name: str) -> bool:
    path = ROOT / name.replace(".", "/")
    return path.is_dir() or path.with_suffix(".py").is_file()


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_run_one_way(package: str) -> None:
    for path in sources(package):
        ours = {name for name in imports(path) if name.split(".")[0] in PACKAGES}
        assert {name.split(".")[0] for name in ours} <= MAY_IMPORT[package], path
        if package == "slurm":
            assert {name for name in ours if name.startswith("jobs")} <= JOBS_INTERFACE, path
        if package == "launch":
            of_slurm = {name for name in ours if name.startswith("slurm")}
            assert all(name in DOOR or name.startswith("slurm.processes.") for name in of_slurm), path


def test_processes_know_no_scheduler() -> None:
    for path in sources("slurm/processes"):
        ours = {name for name in imports(path) if name.startswith("slurm")}
        assert all(name.startswith("slurm.processes") for name in ours), path


def test_the_documents_say_the_same_of_imports() -> None:
    told = (ROOT / "docs/structure.md").read_text()
    rules = told[told.index("**Imports run one way**") : told.index("## Four nouns")]
    named = {
        path.rstrip("/").removesuffix(".py").replace("/", ".") for path in re.findall(r"`(\w+/[\w/]+(?:\.py)?)`", rules)
    }
    assert {name for name in named if name.startswith("jobs")} == JOBS_INTERFACE
    assert {name for name in named if name.startswith("slurm")} == set(DOOR)
    assert f"more than {LONGEST} lines" in rules


def test_only_the_runtime_imports_jittor() -> None:
    for package in PACKAGES:
        for path in sources(package):
            if any(name.split(".")[0].startswith("jittor") for name in imports(path)):
                assert path == ROOT / "ecgan/runtime/starting.py"


def test_one_place_counts_cores() -> None:
    """A job or a container may have fewer than the machine."""
    for path in (path for package in PACKAGES for path in sources(package)):
        assert "cpu_count" not in path.read_text(), f"{path}: ecgan/cores.py knows how many"


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
    [
        "generate",
        "train",
        "score",
        "experiment",
        "gallery",
        "pick",
        "pack",
        "audit",
        "status",
        "cancel",
        "doctor",
        "convert",
    ],
)
def test_commands_never_start_jittor(command: str) -> None:
    program = f"import sys, launch.{command}; sys.exit(any(name.startswith('jittor') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT).returncode == 0


@pytest.mark.parametrize("package", PACKAGES)
def test_modules_stay_readable(package: str) -> None:
    for path in sources(package):
        if DRAWN not in path.parents:
            assert len(path.read_text().splitlines()) <= LONGEST, f"{path} has grown beyond one subject"
        assert ast.get_docstring(ast.parse(path.read_text())), f"{path} does not say what it is for"


@pytest.mark.parametrize(
    "modules",
    ["ecgan.networks, ecgan.synthesis, ecgan.random_model", "ecgan.training.learner", "gpu, gpu_parts, measure"],
)
def test_networks_and_benchmarks_do_without_opencv(modules: str) -> None:
    program = f"import sys; sys.modules['cv2'] = None; sys.path.insert(0, 'bench'); import {modules}"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
