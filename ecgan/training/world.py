"""The ranks of a data-parallel training as one world, proven before the first step.

Tensors travel through Jittor (NCCL between GPUs, MPI otherwise), everything else through mpi4py,
which shares Jittor's MPI. Collective calls come from the main thread, in the same order everywhere.
"""

from __future__ import annotations

import hashlib
import os
import socket
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from ecgan.data.images import BadImage
from ecgan.errors import MachineError, UserError
from ecgan.runtime import jt, nn
from ecgan.runtime.devices import gpu_count


class World:
    """`size` processes, of which this is number `rank`. `hosts`: where each runs."""

    def __init__(self, rank: int, size: int, hosts: Sequence[str], comm: Any) -> None:
        self.rank, self.size, self.hosts, self._comm = rank, size, tuple(hosts), comm

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    @property
    def transport(self) -> str:
        """What carries the gradients, for the log."""
        if self.size == 1:
            return "none, one process"
        # Jittor compiles NCCL's operators where there is NCCL, and takes them where each rank of a host has a GPU of
        # its own, on which `join` insists.
        return "NCCL" if jt.flags.use_cuda and jt.compile_extern.nccl_ops is not None else "MPI"

    def average(self, values: Sequence[jt.Var]) -> list[jt.Var]:
        """The mean of each over all ranks."""
        if self.size == 1:
            return list(values)
        averaged: list[jt.Var] = []
        for value in values:
            mean = value.mpi_all_reduce("mean")
            if averaged:  # Jittor may run what is independent in any order; ranks must not
                mean._input(0)._add_dependency([averaged[-1]])
            averaged.append(mean)
        jt.sync(averaged)  # what is made of them may be fused across this chain, which would then be a circle
        return averaged

    def mean(self, values: Sequence[float]) -> list[float]:
        """Element by element over all ranks; the same bits on each."""
        if self._comm is None:
            return list(values)
        return [float(value) for value in np.mean(self._comm.allgather(list(values)), axis=0)]

    def any(self, flags: Sequence[bool]) -> list[bool]:
        """For each flag whether any rank has raised it."""
        if self._comm is None:
            return list(flags)
        return [any(column) for column in zip(*self._comm.allgather(list(flags)), strict=True)]

    def from_first(self, value: Any) -> Any:
        """What rank 0 has."""
        return value if self._comm is None else self._comm.bcast(value, root=0)

    def gather(self, value: Any) -> list[Any]:
        """What every rank has, by rank."""
        return [value] if self._comm is None else self._comm.allgather(value)

    def insist_on_good(self, bad: BadImage | None) -> None:
        """Raises BadImage on every rank if any has come to a picture that can't be used: so all leave at one point."""
        found = [each for each in self.gather(bad and str(bad)) if each]
        if found:
            raise BadImage(found[0])

    def wait(self) -> None:
        """Until every rank is here."""
        if self._comm is not None:
            self._comm.Barrier()

    def insist_on_equal_weights(self, networks: dict[str, nn.Module]) -> None:
        """Raises UserError unless every tensor is the same on all ranks."""
        if self.size == 1:
            return
        digest = hashlib.sha256()
        for name in sorted(networks):
            for key, var in sorted(networks[name].state_dict().items()):
                digest.update(key.encode() + var.numpy().tobytes())
        digests = self.gather(digest.hexdigest())
        odd = [rank for rank, other in enumerate(digests) if other != digests[0]]
        if odd:
            raise UserError(
                f"the ranks do not start from the same weights: rank {odd[0]} on {self.hosts[odd[0]]} differs from "
                f"rank 0 on {self.hosts[0]}; do both see the same run directory and the same versions?"
            )


def join(expected: int) -> World:
    """This process's place in a world of `expected` ranks, after the runtime has started.

    Raises UserError unless all are there, each has a device of its own, and a sum over all comes out right.
    """
    size = int(jt.world_size) if jt.in_mpi else 1
    if size != expected:
        raise MachineError(
            f"{expected} ranks were asked for, but this process is in a world of {size}: it was not started by "
            "mpirun or by srun with PMIx, or Jittor has no MPI"
        )
    if size == 1:
        return World(0, 1, [socket.gethostname()], None)
    from mpi4py import MPI  # after Jittor, which initialises MPI without asking whether it is

    comm = MPI.COMM_WORLD
    rank = int(jt.rank)
    if (comm.rank, comm.size) != (rank, size):
        raise UserError(f"Jittor and mpi4py disagree: rank {rank} of {size} and rank {comm.rank} of {comm.size}")
    places = comm.allgather((socket.gethostname(), os.getpid(), gpu_count() if jt.flags.use_cuda else 0))
    _insist_on_devices(places)
    world = World(rank, size, [host for host, _, _ in places], comm)
    total = world.average([jt.array(np.array([rank, 1], np.float32))])[0].numpy() * size
    if abs(total[0] - size * (size - 1) / 2) > 0.01 or abs(total[1] - size) > 0.01:
        raise UserError(f"the ranks' sum over {world.transport} is {total.tolist()}, which is wrong: not one world")
    return world


def _insist_on_devices(places: Sequence[tuple[str, int, int]]) -> None:
    """Raises UserError if ranks share a GPU. `places`: host, process and number of GPUs of each rank."""
    ranks = Counter(host for host, _, _ in places)
    for host, _, gpus in places:
        if gpus and ranks[host] > gpus:
            raise UserError(f"{ranks[host]} ranks on {host} would share {gpus} GPU(s); ask for as many GPUs as ranks")
    if len({bool(gpus) for _, _, gpus in places}) > 1:
        raise UserError("some ranks run on GPUs and some on CPUs", hint="choose with <device>")
