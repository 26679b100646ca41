"""The project as a package: a real wheel, installed where nothing else of it is, and used from another folder."""

from __future__ import annotations

import configparser
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT, DataFolder, TrainFolder, wait_until

import ecgan
import ecgan_cluster

pytestmark = pytest.mark.process

COMMANDS = {path.stem for path in (ROOT / "launch").glob("*.py") if '__name__ == "__main__"' in path.read_text()}
#: What a wheel has, by where it has it.
FOLDERS = {
    "ecgan": "ecgan",
    "ecgan_cluster": "ecgan_cluster",
    **{name: f"ecgan_cluster/{name}" for name in ("launch", "jobs", "slurm", "configs")},
}

#: Starts what it is given as jobs on a node that inherits nothing of the command's environment; the second job, which
#: waits for the first, once that has left no element.
SBATCH = """#!/bin/sh
here="$(dirname "$0")"
number=$((100 + $(ls -d "$here"/job.* 2> /dev/null | wc -l)))
mkdir "$here/job.$number"
cp "$1" "$here/job.$number/script"
last="$(sed -n 's/^#SBATCH --array=0-\\([0-9]*\\).*/\\1/p' "$1")"
after="$(sed -n 's/^#SBATCH --dependency=afterany:\\([0-9]*\\).*/\\1/p' "$1")"
(
    while [ -n "$after" ] && [ ! -e "$here/job.$after/over" ]; do sleep 0.1; done
    for element in $(seq 0 "${last:-0}"); do
        array="${last:+SLURM_ARRAY_JOB_ID=$number SLURM_ARRAY_TASK_ID=$element}"
        env -i PATH="$PATH" HOME="$HOME" ECGAN_CACHE="$ECGAN_CACHE" CUDA_VISIBLE_DEVICES= GOMP_SPINCOUNT=0 \\
            SLURM_JOB_ID="$number" SLURM_JOB_NODELIST=n1 $array \\
            bash "$here/job.$number/script" > "$here/job.$number/log.$element" 2>&1
    done
    touch "$here/job.$number/over"
) > /dev/null 2>&1 < /dev/null &
echo "Submitted batch job $number"
"""
SRUN = """#!/bin/sh
while [ "${1#--}" != "$1" ]; do shift; done
SLURM_NTASKS=1 exec "$@"
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", out]
    done = subprocess.run([*pip, ROOT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    [built] = out.glob("*.whl")
    return built


class Installed:
    """An environment with the wheel, which sees what is installed in this one, and has others' packages of the names
    that are top-level in the repository."""

    def __init__(self, folder: Path, wheel: Path) -> None:
        venv.create(folder, symlinks=True)
        self.bin = folder / "bin"
        python = self.bin / "python"
        pip = [sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", wheel]
        done = subprocess.run(pip, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        packages = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
        for name in ("launch", "jobs", "slurm", "configs"):
            (packages / f"{name}.py").write_text("raise AssertionError('this is of others')\n")
        self.others = packages / "others.pth"
        self.others.write_text(sysconfig.get_path("purelib"))
        for part in ("bin", "lib", "include", "etc", "share"):  # what wheels put beside the packages: oneDNN, Open MPI
            for entry in (Path(sys.prefix) / part).glob("*"):
                (folder / part).mkdir(exist_ok=True)
                if not os.path.lexists(link := folder / part / entry.name):
                    link.symlink_to(entry)

    @property
    def environment(self) -> dict[str, str]:
        found = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONSAFEPATH")}
        return found | {"PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}"}

    def run(self, name: str, *words: object, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
        command = [str(self.bin / f"ecgan-{name}"), *map(str, words)]
        environment = self.environment | variables
        return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=600)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Installed:
    return Installed(tmp_path_factory.mktemp("environment"), wheel)


def options(command: list[str]) -> list[str]:
    """Without Python and the script."""
    return command[2:]


def test_a_wheel_has_everything_and_nothing_that_would_collide(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    about = f"ecgan_cluster-{ecgan.__version__}.dist-info"
    assert {name.split("/")[0] for name in names} == {"ecgan", "ecgan_cluster", about}
    files = {
        f"{place}/{path.relative_to(ROOT / folder)}"
        for folder, place in FOLDERS.items()
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in names if not name.startswith(about)} == files


def test_each_command_is_installed(wheel: Path) -> None:
    about = f"ecgan_cluster-{ecgan.__version__}.dist-info"
    found = configparser.ConfigParser()
    found.read_string(zipfile.ZipFile(wheel).read(f"{about}/entry_points.txt").decode())
    assert dict(found["console_scripts"]) == {f"ecgan-{name}": f"ecgan_cluster:{name}" for name in COMMANDS}


def test_what_is_no_command_is_not_there() -> None:
    for name in ("nothing", "__version__", "checks", "launch"):
        with pytest.raises(AttributeError, match=name):
            getattr(ecgan_cluster, name)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_help_names_the_command_as_it_was_called(installed: Installed, name: str, tmp_path: Path) -> None:
    done = installed.run(name, "--help", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"usage: ecgan-{name} ") and "launch/" not in done.stdout


def test_the_doctor_finds_all_that_it_needs(installed: Installed, tiny_checkpoint: Path, tmp_path: Path) -> None:
    done = installed.run("doctor", "--device", "cpu", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_generating_with_workers(installed: Installed, data_folder: Callable[[int], DataFolder]) -> None:
    data = data_folder(4)
    words = options(data.command("--cluster", "local", "--shards", 2, "--workers", 2))
    done = installed.run("generate", *words, cwd=data.path)
    assert done.returncode == 0, done.stderr
    assert len(data.pictures()) == 4
    assert {path.name for path in (data.run / "code").iterdir()} == {"ecgan", "jobs", "slurm", "launch"}


def test_training_where_it_is_installed(
    installed: Installed, train_folder: Callable[[int], TrainFolder], tmp_path: Path
) -> None:
    """By ranks that have no copy of the code, and with a configuration of the project's."""
    data = train_folder(5)
    words = ["--config", "configs/recommended.yaml", "--ema_decay", 0, "--cluster", "local", "--ranks", 2]
    done = installed.run("train", *words, "--no_snapshot", *options(data.command("--max_steps", 3)), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "--config configs/recommended.yaml is the project's own" in done.stderr
    assert len(data.metrics()) == 3 and "save_every_epochs: 1\n" in (data.path / "run/config.yaml").read_text()
    assert f"ecgan-generate --checkpoint {data.path / 'run'}" in done.stdout


def test_jobs_on_nodes_of_a_cluster(
    installed: Installed, data_folder: Callable[[int], DataFolder], tmp_path: Path
) -> None:
    fake = tmp_path / "slurm"
    fake.mkdir()
    for name, text in (("sbatch", SBATCH), ("srun", SRUN), ("sinfo", "#!/bin/sh\n"), ("squeue", "#!/bin/sh\n")):
        (fake / name).write_text(text)
        (fake / name).chmod(0o755)
    data = data_folder(4)
    words = ["--cluster", "slurm", "--cluster_config", "configs/cluster/cpu.yaml", "--shards", 2]
    path = f"{fake}{os.pathsep}{installed.environment['PATH']}"
    done = installed.run("generate", *options(data.command(*words)), cwd=data.path, PATH=path)
    assert done.returncode == 0, done.stderr
    assert f"ecgan-status {shlex.quote(str(data.run))} --watch" in done.stdout
    wait_until((fake / "job.101/over").exists)
    assert len(data.pictures()) == 4, "\n".join(log.read_text() for log in fake.glob("job.*/log.*"))


def test_what_to_run_next_is_an_installed_command(
    installed: Installed, train_folder: Callable[[int], TrainFolder], tmp_path: Path
) -> None:
    """By its name where a shell finds it by that, else by its path."""
    data = train_folder(3)
    for path, train in ((installed.environment["PATH"], "ecgan-train"), ("/usr/bin", f"{installed.bin}/ecgan-train")):
        done = installed.run("audit", "--input_path", data.data, "--exclude", "none", cwd=tmp_path, PATH=path)
        assert done.returncode == 0, done.stderr
        assert f"\n  {train} --input_path {shlex.quote(str(data.data))} " in done.stdout


def test_a_file_that_nobody_has_is_named(installed: Installed, tmp_path: Path) -> None:
    done = installed.run("generate", "--config", "configs/mine.yaml", cwd=tmp_path)
    assert done.returncode == 2 and "--config configs/mine.yaml" in done.stderr


def test_users_files_go_before_the_projects(installed: Installed, tmp_path: Path) -> None:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/generate.yaml").write_text("mine: 1\n")
    done = installed.run("generate", "--config", "configs/generate.yaml", cwd=tmp_path)
    assert done.returncode == 2 and "mine" in done.stderr


def test_something_that_is_needed_is_not_installed(installed: Installed, tmp_path: Path) -> None:
    """Where nothing is seen of what is installed elsewhere."""
    aside = installed.others.rename(tmp_path / "others")
    done = installed.run("status", cwd=tmp_path)
    shutil.move(aside, installed.others)
    line = r"error: No module named '\w+': install ecgan-cluster anew, with all that it asks for\n"
    assert done.returncode == 1 and re.fullmatch(line, done.stderr), done.stderr
