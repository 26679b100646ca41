"""How ranks are started: the commands, and what an exit code of theirs means."""

from __future__ import annotations

import sys

import pytest

from ecgan.errors import UserError
from ecgan.runtime import mpi
from jobs.options import in_words
from slurm import script
from slurm.container import Container
from slurm.processes.ends import DONE, FAILED, STOPPED
from slurm.processes.rank import RankOutcome
from slurm.processes.starters import Starter, here
from slurm.site import Site
from slurm.starters import LAUNCHERS, Allocation, in_allocation

TWO_NODES = Allocation(nodes=2, tasks_per_node=4, cpus_per_task=6, srun_args=["--cpu-bind=none"])


def test_srun_starts_the_ranks_of_a_training_as_one_world() -> None:
    command = in_allocation("srun", TWO_NODES).command
    assert command[0] == "srun" and command[-1] == "--cpu-bind=none"
    assert {"--nodes=2", "--ntasks=8", "--ntasks-per-node=4", "--cpus-per-task=6", "--mpi=pmix"} <= set(command)
    assert "--kill-on-bad-exit=1" in command


#: What starts the ranks of a training in a container, and a shard, on the cluster of the test below.
RECORDED = """\
srun --nodes=2 --ntasks=8 --ntasks-per-node=4 --cpus-per-task=6 --export=ALL --kill-on-bad-exit=1 --unbuffered \
--mpi=pmix --container-image=/images/ecgan.sqsh --container-mounts=/data/us:/data/us,/scratch:/tmp:rw \
--container-writable python
srun --nodes=1 --ntasks=1 --ntasks-per-node=1 --cpus-per-task=6 --export=ALL --kill-on-bad-exit=1 --unbuffered \
--mpi=none --container-image=/images/ecgan.sqsh --container-mounts=/data/us:/data/us,/scratch:/tmp:rw \
--container-writable python
"""


def test_srun_starts_all_that_computes_in_the_container(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ECGAN_CACHE", raising=False)
    site = Site(
        nodes=2,
        gpus_per_node=4,
        cpus_per_task=6,
        srun_args=["--container-writable"],
        container_image="/images/ecgan.sqsh",
        container_mounts=["/data/us", "/scratch:/tmp:rw"],
    )
    shapes = script.training(site, "t", {}), script.shard(site, "s", {})
    starters = [in_allocation("srun", script.allocation(site, shape)) for shape in shapes]
    assert "".join(f"{' '.join([*each.command, each.python])}\n" for each in starters) == RECORDED


def test_a_cache_folder_that_the_command_names_goes_before_the_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECGAN_CACHE", "/scratch/cache")
    inside = Allocation(container=Container("ecgan.sqsh"))
    assert in_allocation("srun", inside).command[-1] == "--container-env=ECGAN_CACHE"


def test_without_a_container_ranks_have_our_python() -> None:
    starter = in_allocation("srun", TWO_NODES)
    assert starter.python == sys.executable and not any("container" in word for word in starter.command)


def test_a_job_gets_what_its_site_and_its_shape_say() -> None:
    site = Site(nodes=2, gpus_per_node=4, cpus_per_task=6, srun_args=["--cpu-bind=none"])
    assert script.allocation(site, script.training(site, "t", {})) == TWO_NODES
    assert script.allocation(site, script.shard(site, "s", {})).ranks == 1


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_single_rank_of_a_cluster_is_a_task_of_srun_without_mpi(launcher: str) -> None:
    starter = in_allocation(launcher, Allocation())
    assert starter.name == "srun" and "--mpi=none" in starter.command


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_each_launcher_of_a_site_has_its_starter(launcher: str) -> None:
    starter = in_allocation(launcher, TWO_NODES)
    assert (starter.name, starter.count, starter.is_here) == (launcher, 8, False)


def test_mpirun_starts_so_many_here() -> None:
    starter = here(3)
    words = starter.command
    assert (starter.name, starter.is_here) == ("mpirun", True) and words[words.index("-n") + 1] == "3"
    assert here(1).command == []


def test_without_mpirun_one_rank_is_advised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mpi, "find_program", lambda name: None)
    with pytest.raises(UserError) as caught:
        _ = here(2).command
    assert in_words(caught.value).endswith("or use --ranks 1")


@pytest.mark.parametrize(
    ("starter", "code", "left", "status"),
    [
        (here(2), DONE, [DONE, DONE], DONE),
        (here(2), DONE, [STOPPED, STOPPED], STOPPED),
        (here(2), DONE, [], DONE),
        (here(1), -9, [], -9),
        (in_allocation("srun", Allocation(nodes=2)), DONE, [DONE], FAILED),
        (in_allocation("mpirun", Allocation(nodes=2)), DONE, [STOPPED, STOPPED], STOPPED),
        (in_allocation("mpirun", Allocation(nodes=2)), FAILED, [DONE, STOPPED], FAILED),
    ],
)
def test_what_an_exit_code_means(starter: Starter, code: int, left: list[int], status: int) -> None:
    assert starter.status(code, [RankOutcome(each) for each in left]) == status
