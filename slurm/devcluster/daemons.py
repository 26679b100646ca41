"""How each daemon is started, and how to know that it is ready."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from ecgan.errors import UserError
from slurm.devcluster import config, members, processes, requirements
from slurm.devcluster.config import Settings
from slurm.devcluster.layout import Layout
from slurm.devcluster.state import ClusterState

#: Seconds that a daemon may take to be ready, with much else going on.
_PATIENCE = 120
_INTERVAL = 0.1
_TAIL = 15


def environment(layout: Layout, node: str | None = None) -> dict[str, str]:
    """Of daemons: as little as possible, and what they are recognised by."""
    values = {"PATH": requirements.PATH, "HOME": "/root", "LANG": "C.UTF-8", members.MARK: str(layout.folder)}
    values |= {"SLURM_CONF": str(layout.slurm_conf), "MYSQL_UNIX_PORT": str(layout.database_socket)}
    return values | ({members.NODE_MARK: node} if node else {})


def command(layout: Layout, settings: Settings, daemon: str) -> list[str]:
    """What starts `daemon`, in the foreground."""
    if daemon == "munged":
        # --force: folders above that others may write to are a warning, not the end.
        files = {"socket": "socket", "key-file": "key", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
        return ["munged", "--foreground", "--force", *(f"--{o}={layout.munge / name}" for o, name in files.items())]
    if daemon == "mariadbd":
        size = "--innodb-log-file-size=8M"
        options = ["--skip-networking", "--user=root", size, "--innodb-buffer-pool-size=64M", "--skip-log-bin"]
        options += ["--innodb-flush-log-at-trx-commit=0", "--innodb-lock-wait-timeout=900"]
        where = [f"--socket={layout.database_socket}", f"--pid-file={layout.var}/mariadbd.pid"]
        return ["mariadbd", "--no-defaults", f"--datadir={layout.database}", *where, *options]
    if daemon in settings.names:
        return ["slurmd", "-D", "-N", daemon]
    return [daemon, "-D"]


def prepare(layout: Layout, daemon: str) -> None:
    """What must be there before `daemon` starts. OSError, UserError."""
    if daemon == "munged":
        layout.munge.mkdir()
        (layout.munge / "key").touch(0o600)
        (layout.munge / "key").write_bytes(secrets.token_bytes(128))
    elif daemon == "mariadbd":
        options = [f"--datadir={layout.database}", "--auth-root-authentication-method=socket", "--skip-test-db"]
        log = layout.log_of("mariadb-install-db")
        made = ask(layout, ["mariadb-install-db", "--no-defaults", *options, "--user=root", "--skip-name-resolve"])
        log.write_text(made.stdout + made.stderr)
        if made.returncode:
            raise UserError(f"mariadb-install-db failed; the end of {log}:\n{tail(log)}")
    elif daemon == "slurmctld":
        layout.controller_state.mkdir(mode=0o700, exist_ok=True)


def clear_node(layout: Layout, node: str) -> None:
    """Empties a node's folders: what a failed launch left there blocks the next one."""
    for folder in (layout.spool(node), layout.scratch(node)):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()


def start(layout: Layout, state: ClusterState, daemon: str) -> None:
    """Starts `daemon` and records it."""
    prepare(layout, daemon)
    node = daemon if daemon in state.settings.names else None
    line = command(layout, state.settings, daemon)
    line[0] = requirements.which(line[0]) or line[0]
    state.processes[daemon] = processes.start(line, environment(layout, node), layout.log_of(daemon))
    state.write(layout.state)


def ask(layout: Layout, line: list[str]) -> subprocess.CompletedProcess[str]:
    """Runs a command that ends soon, with this cluster's configuration."""
    line = [requirements.which(line[0]) or line[0], *line[1:]]
    return subprocess.run(
        line, env=environment(layout), capture_output=True, text=True, errors="replace", timeout=_PATIENCE
    )


def answers(layout: Layout, *line: str) -> bool:
    return ask(layout, list(line)).returncode == 0


def wait_ready(layout: Layout, state: ClusterState, daemon: str) -> None:
    """Until `daemon` does its work. UserError with the end of its log if it ends or takes too long."""
    probes = {
        "munged": ("munge", "--no-input", f"--socket={layout.munge_socket}"),
        "mariadbd": ("mariadb-admin", "--no-defaults", f"--socket={layout.database_socket}", "ping"),
        "slurmdbd": ("sacctmgr", "--noheader", "show", "cluster"),
        "slurmctld": ("scontrol", "ping"),
    }
    wait(layout, state, [daemon], lambda: answers(layout, *probes[daemon]), "does not answer")


def create_database(layout: Layout) -> None:
    """Makes the database that slurmdbd is to use. It would do so itself, once refused for want of it; but in the client
    library of MariaDB 11.8 a connection that was refused once gets no results any more."""
    line = ["mariadb-admin", "--no-defaults", f"--socket={layout.database_socket}", "create", config.DATABASE]
    made = ask(layout, line)
    if made.returncode:
        raise UserError(f"mariadb-admin create {config.DATABASE} failed: {(made.stdout + made.stderr).strip()}")


def wait_nodes(layout: Layout, state: ClusterState, nodes: list[str]) -> None:
    """Until the controller can use every one of `nodes`."""
    wait(layout, state, nodes, lambda: not unusable(layout, nodes), "is not idle")
    for node in nodes:
        if requirements.NO_PMIX in layout.log_of(node).read_text(errors="replace"):
            raise UserError(
                "Slurm's PMIx plugin finds no libpmix.so, so no job could start: "
                f"{requirements.how_to_install(state.settings.accounting)}"
            )


def node_states(layout: Layout) -> dict[str, str]:
    """Node -> idle, allocated, mixed, down, …, a star behind it if the node does not answer; none if nobody answers."""
    listed = ask(layout, ["sinfo", "--Node", "--noheader", "--format=%N %T"])
    return dict(line.split() for line in listed.stdout.splitlines()) if listed.returncode == 0 else {}


def unusable(layout: Layout, nodes: list[str]) -> list[str]:
    states = node_states(layout)
    usable = ("idle", "allocated", "mixed", "completing")
    return [node for node in nodes if states.get(node) not in usable]


def slurmd_start(layout: Layout, node: str) -> str:
    """When the controller last saw this node's slurmd start; the same words until it registers anew."""
    shown = ask(layout, ["scontrol", "--oneliner", "show", "node", node]).stdout
    return next((word for word in shown.split() if word.startswith("SlurmdStartTime=")), "")


def wait(layout: Layout, state: ClusterState, names: list[str], done: Callable[[], bool], trouble: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not done():
        ended = [name for name in names if not state.alive(name)]
        if ended or time.monotonic() > deadline:
            name = ended[0] if ended else names[0]
            log = layout.log_of(name)
            what = "ended" if ended else f"{trouble} after {_PATIENCE} s"
            raise UserError(f"{name} {what}; the end of {log}:\n{tail(log)}")
        time.sleep(_INTERVAL)


def tail(log: Path) -> str:
    try:
        lines = log.read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    return os.linesep.join(f"  {line}" for line in lines[-_TAIL:]) or "  (empty)"
