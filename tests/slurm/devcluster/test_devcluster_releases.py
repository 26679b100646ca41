"""What differs between releases of Slurm."""

from __future__ import annotations

import pytest

from ecgan.errors import UserError
from slurm.devcluster import releases


@pytest.mark.parametrize(
    ("said", "release"),
    [("slurm-wlm 22.05.8\n", (22, 5)), ("slurm 24.11.5\n", (24, 11)), ("slurm 25.05.0-0rc1\n", (25, 5))],
)
def test_a_release_is_its_year_and_month(said: str, release: releases.Release) -> None:
    assert releases.parsed(said) == release


@pytest.mark.parametrize("said", ["", "slurmd: error: no such option\n"])
def test_words_that_name_no_release_are_shown(said: str) -> None:
    with pytest.raises(UserError, match="slurmd -V") as refused:
        releases.parsed(said)
    assert said.strip() in str(refused.value)


def test_cgroups_are_switched_off_where_that_can_be_said() -> None:
    assert "CgroupPlugin" not in releases.cgroup_conf((22, 5)) and "CgroupPlugin" not in releases.cgroup_conf((23, 11))
    assert "CgroupPlugin=disabled\n" in releases.cgroup_conf((24, 5))
    assert "CgroupPlugin=disabled\n" in releases.cgroup_conf((24, 11))
