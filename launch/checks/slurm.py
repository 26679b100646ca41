"""Whether Slurm answers, and if so what it offers."""

from __future__ import annotations

import shutil

from ecgan.runtime.programs import ask
from launch.checks.rows import Checks, Row, guarded
from slurm import controller

#: Of what to ask once Slurm answers.
check = Checks(failing="note")


def rows() -> list[Row]:
    answers = guarded("Slurm", "note", slurm)
    return [answers, *(check.rows() if answers.state == "ok" else ())]


def slurm() -> Row:
    answers, found = controller.controller_answers()
    if answers:
        return Row("Slurm", "ok", found)
    return Row("Slurm", "note", found, "not needed on one machine; on a cluster, ask from a login node")


@check
def pmix() -> Row:
    offered = controller.mpi_plugins()
    if any("pmix" in plugin for plugin in offered):
        return Row("srun --mpi=pmix", "ok", "offered")
    how = "several ranks under srun need Slurm's PMIx plugin, which the administrator installs"
    return Row("srun --mpi=pmix", "note", f"not offered, only {', '.join(offered) or 'nothing'}", how)


@check
def sacct() -> Row:
    path = shutil.which("sacct")
    works, answer = ask([path, "--noheader", "--allocations"]) if path else (False, "no sacct on the PATH")
    return Row("sacct", "ok", "answers") if works else Row("sacct", "note", answer, "optional: nothing here needs it")
