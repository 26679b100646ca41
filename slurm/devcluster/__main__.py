"""The cluster from a shell: python -m slurm.devcluster up | down | status | kill-node n2 | revive-node n2."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from ecgan.errors import UserError
from slurm.devcluster import daemons, requirements
from slurm.devcluster.cluster import DevCluster
from slurm.devcluster.layout import default_folder

_DONE, _NOT_UP, _WRONG_USAGE, _INTERRUPTED, _TERMINATED = 0, 1, 2, 130, 143


def parser() -> argparse.ArgumentParser:
    whole = argparse.ArgumentParser(
        prog="python -m slurm.devcluster",
        description="A real Slurm cluster on this machine, for tests and for trying a setup.",
        allow_abbrev=False,
    )
    commands = whole.add_subparsers(dest="command", required=True)
    explained = {
        "install": "install what it needs from Debian's packages, as root, unless all is there",
        "up": "start it and wait until every node is idle",
        "down": "end every daemon and every process of a job",
        "status": "what runs; exit status 1 if anything is missing",
        "kill-node": "kill a node and all that runs on it, as if its power were cut",
        "revive-node": "start a killed node again",
        "restart-controller": "end slurmctld in good order and start it again",
    }
    for name, text in explained.items():
        command = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        folder = f"where the cluster lives (default: {default_folder()})"
        command.add_argument("--folder", type=Path, default=None, metavar="DIR", help=folder)
        if name == "install":
            continue
        if name == "up":
            command.add_argument("--nodes", type=int, default=4, metavar="N", help="n1 to nN (default: 4)")
            command.add_argument("--gpus", type=int, default=1, metavar="N", help="stand-ins on each node (default: 1)")
            text = "no slurmdbd and no MariaDB; sacct does not work then"
            command.add_argument("--no-accounting", "--no_accounting", action="store_true", help=text)
            text = "preempted jobs get the signal of their sbatch --signal"
            command.add_argument("--user-signal", "--user_signal", action="store_true", help=text)
        if name.endswith("-node"):
            command.add_argument("node", metavar="NODE", help="n1, n2, …")
        if name == "kill-node":
            text = "kill slurmd alone: jobs go on, as if the node's network were cut"
            command.add_argument("--keep-jobs", "--keep_jobs", action="store_true", help=text)
    return whole


def run(arguments: Sequence[str] | None = None) -> int:
    given = parser().parse_args(arguments)
    if given.command == "install":
        print("installed" if requirements.install(accounting=True) else "all that a cluster needs is here")
        return _DONE
    if given.command == "up":
        return up(DevCluster(given.folder, given.nodes, not given.no_accounting, given.gpus, given.user_signal))
    cluster = DevCluster(given.folder)
    if given.command == "down":
        print(f"{cluster.down()} processes ended; nothing of {cluster.layout.folder} runs")
    elif given.command == "status":
        return status(cluster)
    elif given.command == "kill-node":
        print(f"{given.node}: {cluster.kill_node(given.node, jobs=not given.keep_jobs)} processes killed")
    elif given.command == "revive-node":
        print(f"{given.node} is back" if cluster.revive_node(given.node) else f"{given.node} runs already")
    else:
        cluster.stop_controller()
        cluster.start_controller()
        print("slurmctld was restarted")
    return _DONE


def up(cluster: DevCluster) -> int:
    started = cluster.up()
    state = cluster.state()
    if started:
        print(f"{state.settings.nodes} nodes are idle; logs in {cluster.layout.log}; set this in your shell:")
    else:
        dead = "".join(f"; {node} is dead (revive-node {node})" for node in state.dead)
        print(f"already up{dead}; set this in your shell:")
    for name, value in cluster.environment.items():
        print(f"export {name}={value}")
    return _DONE


def status(cluster: DevCluster) -> int:
    state = cluster.state()
    print(f"{state.status}: {cluster.layout.cluster_name} in {cluster.layout.folder}")
    if state.status == "down":
        return _NOT_UP
    known = daemons.node_states(cluster.layout) if state.alive("slurmctld") else {}
    for daemon in state.settings.daemons:
        runs = f"process {state.processes[daemon].pid}" if state.alive(daemon) else "dead"
        print(f"  {daemon:10} {runs:16} {known.get(daemon, '')}".rstrip())
    for name, value in cluster.environment.items():
        print(f"export {name}={value}")
    return _NOT_UP if state.dead else _DONE


def main() -> NoReturn:
    def terminate(*_: object) -> None:
        sys.exit(_TERMINATED)

    signal.signal(signal.SIGTERM, terminate)  # so that a half-started cluster is cleared away
    try:
        sys.exit(run())
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(_WRONG_USAGE)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(_INTERRUPTED)


if __name__ == "__main__":
    main()
