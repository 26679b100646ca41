"""Adam for both sides of the game, with two time scales (SPEC section 3)."""

from __future__ import annotations

from dataclasses import dataclass

from ecgan.runtime import jt, nn
from ecgan.training.step import Batch, LossWeights, Networks, discriminator_losses, generator_losses

#: Tensors of a checkpoint that do not learn, by the end of their names.
_NOT_TRAINED = (".weight_u", ".weight_v", ".running_mean", ".running_var")


@dataclass(frozen=True)
class AdamSettings:
    """`lr` is the base rate: with two time scales G and E learn at half of it and D at twice of it."""

    lr: float = 2e-4
    beta1: float = 0.0
    beta2: float = 0.9
    two_time_scales: bool = True

    @property
    def rates(self) -> tuple[float, float]:
        """Of G and E, and of D."""
        return (self.lr / 2, self.lr * 2) if self.two_time_scales else (self.lr, self.lr)


class Optimisers:
    def __init__(self, networks: Networks, settings: AdamSettings) -> None:
        generator_rate, discriminator_rate = settings.rates
        betas = (settings.beta1, settings.beta2)
        painters = trained_parameters(networks.generator) + trained_parameters(networks.encoder)
        self.generator = jt.optim.Adam(painters, generator_rate, eps=1e-8, betas=betas)
        self.discriminator = jt.optim.Adam(
            trained_parameters(networks.discriminator), discriminator_rate, eps=1e-8, betas=betas
        )

    def step(self, networks: Networks, batch: Batch, weights: LossWeights) -> dict[str, float]:
        """One G step, then one D step with pictures of the updated G. Returns every loss term, weighted."""
        values: dict[str, float] = {}
        for optimiser, losses in ((self.generator, generator_losses), (self.discriminator, discriminator_losses)):
            terms = losses(networks, batch, weights)
            optimiser.step(sum(terms.values()))
            values |= {name: float(term.item()) for name, term in terms.items()}
        return values


def trained_parameters(network: nn.Module) -> list[jt.Var]:
    return [var for name, var in network.state_dict().items() if not name.endswith(_NOT_TRAINED)]
