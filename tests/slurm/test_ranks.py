"""Several processes of one job: real mpirun, real ranks."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, commands, wait_until, write_pairs

from ecgan.errors import UserError
from ecgan.training.recipe import LossWeights, Recipe
from slurm.processes.ends import DONE, FAILED, STOPPED
from slurm.processes.rank import Origin, in_a_line
from slurm.processes.ranks import Ranks
from slurm.processes.starters import Starter, here
from slurm.starters import Allocation, in_allocation

ENVIRONMENT = {"PYTHONPATH": str(Path(__file__).parent), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


@pytest.mark.process
def test_gradients_of_the_first_step_are_those_of_one_process(tmp_path: Path) -> None:
    from rank_jobs import GradientJob

    write_pairs(tmp_path / "set", 4)
    found = {}
    for count in (1, 2, 4):
        output = tmp_path / f"{count}.npz"
        (tmp_path / f"logs{count}").mkdir()
        ranks = Ranks(GradientJob(tmp_path / "set", output, count), here(count), ENVIRONMENT, tmp_path / f"logs{count}")
        wait_until(lambda ranks=ranks: ranks.wait(1), 300)
        assert ranks.status == DONE, ranks.trouble()
        found[count] = dict(np.load(output))
    one = found[1]
    assert len(one) > 150
    for count in (2, 4):
        for part in ("GE", "D", "mean", "var"):
            names = [name for name in one if name.startswith(part)]
            sizes = np.array([np.linalg.norm(one[name]) for name in names])
            apart = np.array([np.linalg.norm(found[count][name] - one[name]) for name in names])
            assert np.linalg.norm(apart) <= 2e-3 * np.linalg.norm(sizes), (count, part)
            assert (apart <= 0.02 * sizes + 1e-6 * sizes.max()).all(), (count, part)


@pytest.mark.process
def test_ranks_whose_pixels_are_judged_and_contrasted_go_on_to_the_bit(tmp_path: Path) -> None:
    from rank_jobs import ResumeJob

    write_pairs(tmp_path / "set", 4)
    weights = LossWeights(lambda_vgg=0.0, lambda_labelmix=5.0, lambda_contrast=0.5)
    recipe = Recipe(weights, ema_decay=0.9, discriminator="both")
    output = tmp_path / "found.json"
    ranks = Ranks(ResumeJob(tmp_path / "set", output, recipe), here(2), ENVIRONMENT, tmp_path)
    wait_until(lambda: ranks.wait(1), 300)
    assert ranks.status == DONE, ranks.trouble()
    found = json.loads(output.read_text())
    assert found["odd"] == [] and {"D", "U", "P", "adam_DU", "adam_P"} <= set(found["parts"])
    assert {"GAN_Seg", "U_Fake", "U_real", "LabelMix", "Contrast"} <= found["losses"].keys()
    assert all(np.isfinite(value) for value in found["losses"].values())


@pytest.mark.process
@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("mistake", "rank 1 can't find its file"),
        ("crash", "ValueError: rank 1 has a bug"),
        ("abort", r"rank 1 (was killed by SIGABRT|ended without a word .*)"),
    ],
)
def test_one_rank_that_fails_ends_all_and_says_why(tmp_path: Path, what: str, message: str) -> None:
    from rank_jobs import OddJob

    ranks = Ranks(OddJob(what), here(3), ENVIRONMENT, tmp_path)
    wait_until(lambda: ranks.wait(0.5), 120)
    assert ranks.status not in (None, DONE, STOPPED)
    assert re.fullmatch(message, ranks.trouble() or "")
    wait_until(lambda: not [c for _, c in commands() if "slurm.processes.rank" in c and str(tmp_path) in c], 20)


#: Becomes a user who is but a number, as in a container.
NOBODY = ("unshare", "--user", "--map-user=54321")
OF_NOBODY = """
import sys
from pathlib import Path
from rank_jobs import OddJob
from slurm.processes.ranks import Ranks
from slurm.processes.starters import here
ranks = Ranks(OddJob("mistake"), here(2), {}, Path(sys.argv[1]))
while not ranks.wait(1):
    pass
print(ranks.trouble())
"""


@pytest.mark.process
def test_a_user_without_name_and_home_has_ranks(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "HOME"}
    environment |= ENVIRONMENT | {"PYTHONPATH": os.pathsep.join([ENVIRONMENT["PYTHONPATH"], str(ROOT)])}
    try:
        subprocess.run([*NOBODY, "true"], check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no user namespaces here")
    command = [*NOBODY, sys.executable, "-c", OF_NOBODY, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.stdout == "rank 1 can't find its file\n", done.stderr


@pytest.mark.process
def test_ranks_with_other_weights_do_not_begin(tmp_path: Path) -> None:
    from rank_jobs import StrangersJob

    ranks = Ranks(StrangersJob(), here(2), ENVIRONMENT, tmp_path)
    wait_until(lambda: ranks.wait(0.5), 120)
    assert ranks.status not in (None, DONE, STOPPED) and "rank 1" in (ranks.trouble() or "")


def test_no_two_ranks_share_a_gpu() -> None:
    from ecgan.training.world import _insist_on_devices

    _insist_on_devices([("a", 1, 2), ("a", 2, 2), ("b", 3, 1)])
    with pytest.raises(UserError, match="2 ranks on b .*1 GPU"):
        _insist_on_devices([("a", 1, 1), ("b", 2, 1), ("b", 3, 1)])
    with pytest.raises(UserError, match="GPU"):
        _insist_on_devices([("a", 1, 1), ("b", 2, 0)])


@pytest.mark.process
def test_all_can_be_ended_at_once(tmp_path: Path) -> None:
    from rank_jobs import OddJob

    ranks = Ranks(OddJob("mistake"), here(1), ENVIRONMENT | {"OMPI_COMM_WORLD_RANK": "0"}, tmp_path)
    several = Ranks(OddJob("sleep"), here(1), ENVIRONMENT | {"OMPI_COMM_WORLD_RANK": "2"}, tmp_path)
    wait_until(lambda: len([c for _, c in commands() if "slurm.processes.rank" in c and str(tmp_path) in c]) >= 2)
    for each in (ranks, several):
        each.kill()
    wait_until(lambda: not [c for _, c in commands() if "slurm.processes.rank" in c and str(tmp_path) in c], 20)
    assert ranks.trouble() == "the job was killed by SIGKILL (out of memory?)"


@pytest.mark.process
@pytest.mark.parametrize(
    ("said", "what"), [("Node failure on n1", "has_lost_node"), ("task 1: User defined signal 2", "died_of_warning")]
)
def test_tasks_that_left_no_word_have_not_done_their_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, what: str
) -> None:
    """srun ends with 0 when it has lost a node."""
    from rank_jobs import Nothing

    srun = tmp_path / "srun"
    srun.write_text(f"#!/bin/sh\necho 'srun: error: {said}'\n")
    srun.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    ranks = Ranks(Nothing(), in_allocation("srun", Allocation(nodes=2)), ENVIRONMENT, tmp_path)
    wait_until(lambda: ranks.wait(1))
    assert ranks.status == FAILED and ranks.trouble() == f"srun: error: {said}"
    assert getattr(ranks, what) and ranks.has_lost_node != ranks.died_of_warning


def test_an_error_is_told_in_a_line() -> None:
    page = "\x1b[38;5;1m[f 1123 executor.cc:686]\nExecute failed.\n[Reason]: \x1b[38;5;1mno memory\n\n***\n\x1b[m"
    assert in_a_line(RuntimeError(page)) == "RuntimeError: [Reason]: no memory"
    assert in_a_line(KeyError()) == "KeyError: "
    assert in_a_line(ValueError("one\ntwo")) == "ValueError: one"


class ByShell(Starter):
    """Another way of starting ranks: two that a shell starts, with variables of its own, and no MPI."""

    name = "shell"
    origin = Origin("SHELL_RANK", "SHELL_SIZE", "SHELL_LOCAL")

    @property
    def command(self) -> list[str]:
        start = 'SHELL_RANK=%s SHELL_LOCAL=%s "$@" <&3 & '
        both = "".join(start % (rank, rank) for rank in range(self.count))
        return ["sh", "-c", f"exec 3<&0; export SHELL_SIZE={self.count}; {both} wait", "sh"]


@pytest.mark.process
def test_another_way_of_starting_ranks_is_a_starter(tmp_path: Path) -> None:
    from rank_jobs import Say

    ranks = Ranks(Say(), ByShell(2), ENVIRONMENT, tmp_path)
    wait_until(lambda: ranks.wait(0.5), 60)
    assert ranks.status == DONE, ranks.trouble()
    assert [(tmp_path / f"rank-{rank}.log").read_text().strip() for rank in (0, 1)] == ["0 2 0", "1 2 1"]
