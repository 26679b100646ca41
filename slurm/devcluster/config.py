"""The texts of slurm.conf, gres.conf and slurmdbd.conf, from plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ecgan.errors import UserError
from slurm.devcluster.layout import Layout

_MOST_NODES = 64
#: Device files that exist everywhere and do nothing, one for each stand-in GPU of a node.
_STAND_INS = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random")
#: CPUs of each node, whatever the machine has: Slurm counts them and no more.
_CPUS = 4
#: Of slurmdbd, in MariaDB.
DATABASE = "slurm"


@dataclass(frozen=True)
class Settings:
    """What a cluster is to have.

    accounting: slurmdbd on a private MariaDB; without it sacct does not work.
    gpus: stand-ins on each node.
    user_signal: preempted jobs get the signal they asked for (sbatch --signal) instead of SIGTERM.
    """

    nodes: int = 4
    accounting: bool = True
    gpus: int = 1
    user_signal: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.nodes <= _MOST_NODES:
            raise UserError(f"--nodes {self.nodes}: 1 to {_MOST_NODES} are possible")
        if not 0 <= self.gpus <= len(_STAND_INS):
            raise UserError(f"--gpus {self.gpus}: 0 to {len(_STAND_INS)} are possible")

    @property
    def names(self) -> list[str]:
        return [f"n{index}" for index in range(1, self.nodes + 1)]

    @property
    def daemons(self) -> list[str]:
        """Every daemon in the order in which they start; a node's slurmd is called by the node's name."""
        database = ["mariadbd", "slurmdbd"] if self.accounting else []
        return ["munged", *database, "slurmctld", *self.names]

    @property
    def ports_needed(self) -> list[str]:
        return [name for name in self.daemons if name not in ("munged", "mariadbd")]


def slurm_conf(layout: Layout, settings: Settings, ports: Mapping[str, int], memory: int) -> str:
    """`memory`: MiB that each node claims to have. Nodes are lines of their own, since their ports are."""
    # cred_expire is also how long a requeued job waits before it may start again (120 s by default).
    lines = [
        "# Written by slurm.devcluster: every node is this machine.",
        f"ClusterName={layout.cluster_name}",
        "SlurmctldHost=localhost(127.0.0.1)",
        f"SlurmctldPort={ports['slurmctld']}",
        "SlurmUser=root",
        "AuthType=auth/munge",
        f"AuthInfo=socket={layout.munge_socket},cred_expire=20",
        "CommunicationParameters=NoInAddrAny,NoCtldInAddrAny",
        "MailProg=/bin/true",
        f"StateSaveLocation={layout.controller_state}",
        f"SlurmctldPidFile={layout.var}/slurmctld.pid",
        f"SlurmdPidFile={layout.var}/slurmd.%n.pid",
        f"SlurmdSpoolDir={layout.spool('%n')}",
        "# Of each node's own, or their PMIx directories collide.",
        f"TmpFS={layout.scratch('%n')}",
        f"SlurmdLogFile={layout.step_log('%n')}",
        "",
        "ProctrackType=proctrack/linuxproc",
        "TaskPlugin=task/none",
        f"TaskProlog={layout.task_prolog}",
        "MpiDefault=pmix",
        "# Nodes may claim more than the machine has.",
        "SlurmdParameters=config_overrides",
        "SelectType=select/cons_tres",
        "SelectTypeParameters=CR_CPU",
        "SchedulerParameters=bf_interval=5,sched_interval=10",
        "",
        "JobRequeue=1",
        "PreemptType=preempt/partition_prio",
        "PreemptMode=REQUEUE",
        "KillWait=15",
        "SlurmdTimeout=30",
        "ReturnToService=2",
        "# Patience, since all nodes share the machine's cores.",
        "MessageTimeout=30",
        "BatchStartTimeout=60",
    ]
    if settings.user_signal:
        lines.append("SlurmctldParameters=preempt_send_user_signal")
    lines.append("")
    if settings.accounting:
        lines += [
            "AccountingStorageType=accounting_storage/slurmdbd",
            "AccountingStorageHost=127.0.0.1",
            f"AccountingStoragePort={ports['slurmdbd']}",
            f"AccountingStoragePass={layout.munge_socket}",
            "JobAcctGatherType=jobacct_gather/linux",
        ]
        if settings.gpus:
            lines.append("AccountingStorageTRES=gres/gpu")
    else:
        lines.append("AccountingStorageType=accounting_storage/none")
    gres = ""
    if settings.gpus:
        lines += ["", "GresTypes=gpu"]
        gres = f" Gres=gpu:{settings.gpus}"
    lines.append("")
    lines += [
        f"NodeName={name} NodeHostname=localhost NodeAddr=127.0.0.1 Port={ports[name]} "
        f"CPUs={_CPUS} RealMemory={memory}{gres}"
        for name in settings.names
    ]
    lines += [
        "",
        "PartitionName=gpu Nodes=ALL Default=YES PriorityTier=1 PreemptMode=OFF DefaultTime=60 MaxTime=INFINITE",
        "PartitionName=short Nodes=ALL PriorityTier=1 PreemptMode=OFF MaxTime=2",
        "# A job in high ends one in preempt: SIGTERM, GraceTime seconds, then it is requeued.",
        "PartitionName=preempt Nodes=ALL PriorityTier=1 PreemptMode=REQUEUE GraceTime=15 DefaultTime=60",
        "PartitionName=high Nodes=ALL PriorityTier=10 PreemptMode=OFF DefaultTime=60",
    ]
    return "\n".join(lines) + "\n"


def task_prolog(layout: Layout) -> str:
    """Open MPI names what it puts into shared memory and /tmp after host, job and rank on the node, which are the same
    for ranks on nodes that are one machine; and nodes here have no address but loopback's."""
    return (
        "#!/bin/sh\n"
        "echo export OMPI_MCA_btl=self,tcp\n"
        "echo export OMPI_MCA_btl_tcp_if_include=lo\n"
        f'echo "export OMPI_MCA_orte_tmpdir_base={layout.scratch("$SLURMD_NODENAME")}"\n'
    )


def gres_conf(settings: Settings) -> str:
    nodes = ",".join(settings.names)
    return "".join(f"NodeName={nodes} Name=gpu File={path}\n" for path in _STAND_INS[: settings.gpus])


def slurmdbd_conf(layout: Layout, ports: Mapping[str, int]) -> str:
    """The database is found through MYSQL_UNIX_PORT in slurmdbd's environment: no line here can name a socket."""
    lines = [
        "DbdHost=localhost",
        "DbdAddr=127.0.0.1",
        f"DbdPort={ports['slurmdbd']}",
        "SlurmUser=root",
        "AuthType=auth/munge",
        f"AuthInfo=socket={layout.munge_socket}",
        "CommunicationParameters=NoInAddrAny",
        f"PidFile={layout.var}/slurmdbd.pid",
        "StorageType=accounting_storage/mysql",
        "StorageHost=localhost",
        "StorageUser=root",
        f"StorageLoc={DATABASE}",
    ]
    return "\n".join(lines) + "\n"
