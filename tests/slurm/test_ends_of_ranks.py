"""How ranks end by force: at once, with the right one named, nothing left behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import wait_until

from slurm.processes import ranks as module
from slurm.processes.ends import DONE, STOPPED
from slurm.processes.ranks import Ranks
from slurm.processes.session import Session
from slurm.processes.starters import here
from slurm.starters import Allocation, in_allocation

pytestmark = pytest.mark.process
RANK = here(2).origin.rank
ENVIRONMENT = {
    "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[2])]),
    "OMP_NUM_THREADS": "1",
    "CUDA_VISIBLE_DEVICES": "",
}


def met(folder: Path, starter: object = None) -> Ranks:
    """Two ranks that share memory."""
    from rank_jobs import Meet

    ranks = Ranks(Meet(folder, 2), starter or here(2), ENVIRONMENT, folder)  # type: ignore[arg-type]
    wait_until(lambda: len(list(folder.glob("met-*"))) == 2 or ranks.wait(0), 120)
    assert ranks.status is None, ranks.trouble()
    return ranks


def processes(ranks: Ranks) -> dict[int, int]:
    return module._ranks_of(ranks._process.pid, RANK)


def shared_files(ranks: Ranks) -> set[Path]:
    """Open MPI's, that its ranks have in their memory."""
    found: set[Path] = set()
    for process in processes(ranks).values():
        maps = Path(f"/proc/{process}/maps").read_text()
        found |= {Path(name) for name in re.findall(r"(/\S*vader_segment\S*)", maps)}
    return found


def seconds_to_end(ranks: Ranks) -> float:
    started = time.monotonic()
    wait_until(lambda: ranks.wait(0.25), 100)
    return time.monotonic() - started


def test_killed_ranks_leave_no_shared_memory(tmp_path: Path) -> None:
    ranks = met(tmp_path)
    files, session = shared_files(ranks), Session.of(tmp_path).temporary
    assert len(files) == 2 and all(path.exists() for path in files) and list(session.glob("ompi.*"))
    ranks.kill()
    assert not [path for path in files if path.exists()] and not session.exists()


def test_what_was_killed_with_its_launcher_is_cleaned_by_the_next_ranks(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    launch = (
        "import sys, time, pathlib; from rank_jobs import Meet; from slurm.processes.ranks import Ranks; "
        "from slurm.processes.starters import here; folder = pathlib.Path(sys.argv[1]); "
        "ranks = Ranks(Meet(folder, 2), here(2), {}, folder); print(ranks._process.pid, flush=True); time.sleep(600)"
    )
    launcher = subprocess.Popen(
        [sys.executable, "-c", launch, str(first)], env=os.environ | ENVIRONMENT, stdout=subprocess.PIPE, text=True
    )
    assert launcher.stdout is not None
    mpirun = int(launcher.stdout.readline())
    wait_until(lambda: len(list(first.glob("met-*"))) == 2, 120)
    left = [Session.of(first).temporary, Session.of(first).memory]
    victims = [launcher.pid, mpirun, *module._ranks_of(mpirun, RANK).values()]
    for victim in victims:
        os.kill(victim, signal.SIGKILL)
    launcher.communicate()
    wait_until(lambda: not any(Path(f"/proc/{victim}/environ").exists() and _lives(victim) for victim in victims), 10)
    assert all(folder.exists() for folder in left)

    def are_cleaned() -> bool:  # threads of what was killed may hold them a little longer
        Ranks(_nothing(), here(2), ENVIRONMENT, second).kill()
        return not any(folder.exists() for folder in left)

    wait_until(are_cleaned)


def _lives(process: int) -> bool:
    return module._end_of(process) is None


def _nothing() -> Callable[[], None]:
    from rank_jobs import Nothing

    return Nothing()


def test_no_rank_outlives_its_mpirun(tmp_path: Path) -> None:
    ranks = met(tmp_path)
    mine = processes(ranks)
    ranks._process.kill()
    assert seconds_to_end(ranks) < 20 and not any(_lives(process) for process in mine.values())
    assert "SIGKILL" in (ranks.trouble() or "")


def test_mpirun_that_is_told_to_end_stops_the_ranks_at_once(tmp_path: Path) -> None:
    ranks = met(tmp_path)
    ranks._process.send_signal(signal.SIGTERM)
    assert seconds_to_end(ranks) < 20
    assert ranks.status == STOPPED and ranks.trouble() is None and ranks.stopped_by == {"SIGTERM"}


def test_a_rank_that_is_killed_at_the_start_is_named_at_once(tmp_path: Path) -> None:
    from rank_jobs import Sleep

    ranks = Ranks(Sleep(), here(3), ENVIRONMENT, tmp_path)
    wait_until(lambda: not ranks.wait(0.1) and len(processes(ranks)) == 3, 20)  # before they have imported anything
    os.kill(processes(ranks)[1], signal.SIGKILL)
    assert seconds_to_end(ranks) < 20
    assert (ranks.trouble() or "").startswith("rank 1 ")


def test_ranks_of_an_mpirun_that_may_reach_other_nodes_end_at_once(tmp_path: Path) -> None:
    ranks = met(tmp_path, in_allocation("mpirun", Allocation(tasks_per_node=2)))
    started, mine = time.monotonic(), processes(ranks)
    ranks.kill()
    assert time.monotonic() - started < 20 and not any(_lives(process) for process in mine.values())


@pytest.mark.parametrize("count", [1, 2])
def test_ranks_on_a_full_disk_say_so(tmp_path: Path, mount: Callable[[int], Path], count: int) -> None:
    from rank_jobs import FillDisk

    disk = mount(1)
    ranks = Ranks(FillDisk(disk), here(count), ENVIRONMENT, disk)
    seconds_to_end(ranks)
    assert ranks.status not in (None, DONE, STOPPED)
    assert ranks.trouble() == f"{disk / 'result'}: No space left on device"


def test_mpirun_says_itself_why_it_did_not_start(tmp_path: Path) -> None:
    nowhere = ENVIRONMENT | {"OMPI_MCA_orte_tmpdir_base": "/proc/nowhere"}
    ranks = Ranks(_nothing(), here(2), nowhere, tmp_path)
    seconds_to_end(ranks)
    assert (ranks.trouble() or "").startswith("mpirun: ")
    assert "without a word" not in (ranks.trouble() or "")


@pytest.mark.parametrize(
    "variables",
    [
        {"SLURM_JOB_ID": "7", "SLURM_NODELIST": "n[1-2]", "SLURM_JOB_NUM_NODES": "2", "SLURM_TASKS_PER_NODE": "1(x2)"},
        {"OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "3", "PMIX_RANK": "3", "PMIX_NAMESPACE": "other"},
        {"PATH": "/nowhere"},
    ],
    ids=["slurm", "mpi", "no ssh"],
)
def test_ranks_here_start_whatever_started_us(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    ranks = Ranks(_nothing(), here(2), ENVIRONMENT, tmp_path)
    seconds_to_end(ranks)
    assert ranks.status == 0, ranks.trouble()


def test_mpirun_in_an_allocation_needs_no_ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    ranks = Ranks(_nothing(), in_allocation("mpirun", Allocation(tasks_per_node=2)), ENVIRONMENT, tmp_path)
    seconds_to_end(ranks)
    assert ranks.status == 0, ranks.trouble()
