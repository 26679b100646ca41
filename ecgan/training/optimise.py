"""Adam for both sides of the game, with two time scales (docs/specification.md, section 3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice

import numpy as np

from ecgan.checkpoint.tensors import NOT_TRAINED
from ecgan.errors import UserError
from ecgan.runtime import jt, nn
from ecgan.training.recipe import AdamSettings


class Optimiser:
    """Adam over the trained tensors of some networks, given gradients that may come from many micro-batches."""

    def __init__(self, networks: Mapping[str, nn.Module], settings: AdamSettings) -> None:
        parameters = {
            f"{part}.{name}": var for part, network in networks.items() for name, var in trained(network).items()
        }
        self._names, self.parameters = list(parameters), list(parameters.values())
        self._adam = jt.optim.Adam(self.parameters, 0.0, eps=1e-8, betas=(settings.beta1, settings.beta2))

    @property
    def steps(self) -> int:
        return int(self._adam.n_step)

    def apply(self, gradients: Sequence[jt.Var], rate: float) -> None:
        """One step against `gradients`, which are in the order of `parameters`."""
        self._adam.lr = rate
        self._adam.param_groups[0]["grads"] = list(gradients)
        self._adam.n_step += 1
        self._adam.step()
        self._adam.param_groups[0]["grads"] = []  # or they would be held until the next step

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Both moments of every parameter."""
        moments = self._moments()
        return {f"{name}.{kind}": var.numpy() for kind, vars in moments.items() for name, var in vars.items()}

    def load(self, arrays: Mapping[str, np.ndarray], steps: int, what: str) -> None:
        """Raises UserError that begins with `what` if the moments are not those of these networks."""
        for kind, moments in self._moments().items():
            for name, var in moments.items():
                array = arrays.get(f"{name}.{kind}")
                if array is None or array.shape != tuple(var.shape):
                    raise UserError(f"{what} does not fit the networks: {name}.{kind} is missing or of another shape")
                var.assign(jt.array(array)).stop_grad()
        self._adam.n_step = steps

    def _moments(self) -> dict[str, dict[str, jt.Var]]:
        group = self._adam.param_groups[0]
        return {kind: dict(zip(self._names, group[key], strict=True)) for kind, key in (("m", "m"), ("v", "values"))}


class Together:
    """Optimisers that learn from one loss, each with steps of its own; to its user the same as one."""

    def __init__(self, optimisers: Sequence[Optimiser]) -> None:
        self._optimisers = optimisers
        self.parameters = [var for each in optimisers for var in each.parameters]

    def apply(self, gradients: Sequence[jt.Var], rate: float) -> None:
        """One step of each against `gradients`, which are in the order of `parameters`."""
        rest = iter(gradients)
        for optimiser in self._optimisers:
            optimiser.apply(list(islice(rest, len(optimiser.parameters))), rate)


def trained(network: nn.Module) -> dict[str, jt.Var]:
    return {name: var for name, var in network.state_dict().items() if not name.endswith(NOT_TRAINED)}
