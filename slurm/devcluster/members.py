"""Finds what belongs to a cluster among all processes, without its state file: that may be gone, or never written."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from slurm.devcluster import processes
from slurm.devcluster.layout import Layout
from slurm.devcluster.processes import Entry, Process

#: In the environment of every daemon, with the cluster's folder.
MARK = "ECGAN_DEVCLUSTER"
#: In that of a slurmd, with its node.
NODE_MARK = "ECGAN_DEVCLUSTER_NODE"


@dataclass(frozen=True)
class Member:
    """`kind`: daemon, step (a slurmstepd) or task (what a job runs). `node`: where, if on one."""

    process: Process
    kind: str
    node: str | None


def find(layout: Layout, recorded: Iterable[Process] = ()) -> list[Member]:
    """Every daemon, step and task of the cluster, never this process or those that it descends from.

    - A daemon has our mark in its environment, or is in the state file (`recorded`).
    - A slurmstepd has lost the mark, and its parent, but has its node's log open.
    - A task has the cluster's and its node's name in its environment (Slurm sets both, --export=NONE or not).
    - A process that descends from any of these belongs, too, whatever its environment.
    """
    table = {entry.process.pid: entry for entry in processes.table()}
    ours = _ancestry(table, os.getpid())
    known = set(recorded)
    found: dict[int, Member] = {}
    for pid, entry in table.items():
        if pid not in ours and (member := _recognise(layout, entry.process, known)):
            found[pid] = member
    for pid, entry in table.items():
        if pid in found or pid in ours:
            continue
        above = next((found[ancestor] for ancestor in _ancestry(table, pid) if ancestor in found), None)
        if above is not None:
            kind = "daemon" if above.kind == "daemon" else "task"
            found[pid] = Member(entry.process, kind, above.node)
    return list(found.values())


def _ancestry(table: dict[int, Entry], pid: int) -> list[int]:
    """The process, its parent and so on."""
    line: list[int] = []
    while pid in table and pid not in line:
        line.append(pid)
        pid = table[pid].parent
    return line


def _recognise(layout: Layout, process: Process, recorded: set[Process]) -> Member | None:
    environment = _environment(process.pid)
    if environment.get("SLURM_CLUSTER_NAME") == layout.cluster_name and "SLURMD_NODENAME" in environment:
        return Member(process, "task", environment["SLURMD_NODENAME"])
    if environment.get(MARK) == str(layout.folder) or process in recorded:
        return Member(process, "daemon", environment.get(NODE_MARK))
    if _program(process.pid).startswith("slurmstepd") and (node := _logging_node(layout, process.pid)):
        return Member(process, "step", node)
    return None


def _environment(pid: int) -> dict[str, str]:
    """What the process was started with; empty if that can't be read (another user's, or it has ended)."""
    with contextlib.suppress(OSError):
        text = (Path("/proc") / str(pid) / "environ").read_bytes().decode(errors="replace")
        return dict(line.partition("=")[::2] for line in text.split("\0"))
    return {}


def _program(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(os.readlink(f"/proc/{pid}/exe")).name
    return ""


def _logging_node(layout: Layout, pid: int) -> str | None:
    """The node whose log the process has open (deleted or not)."""
    head, tail = str(layout.step_log("\0")).split("\0")
    with contextlib.suppress(OSError):
        for descriptor in (Path("/proc") / str(pid) / "fd").iterdir():
            with contextlib.suppress(OSError):
                target = os.readlink(descriptor).removesuffix(" (deleted)")
                if target.startswith(head) and target.endswith(tail):
                    return target[len(head) : -len(tail)]
    return None
