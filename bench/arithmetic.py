"""How many multiply-adds one picture takes in G, layer by layer, densely and with distinct surroundings alone."""

from __future__ import annotations

from dataclasses import dataclass

from ecgan.networks import Generator, Segmap
from ecgan.networks.layers import SpectralConv
from ecgan.networks.spade import HIDDEN_CHANNELS, SPADE
from ecgan.runtime import jt, nn


@dataclass
class Layer:
    """`dense` and `sparse`: multiply-adds; the same for what is no SPADE. `kind`: SPADE or convolution."""

    name: str
    kind: str
    dense: int
    sparse: int


def layers(generator: Generator, segmap: Segmap) -> list[Layer]:
    """Of one picture; the mask decides what the sparse form saves."""
    found: list[Layer] = []
    modules = [(name, module) for name, module in generator.named_modules() if name and ".mlp_" not in name]

    def watch(name: str, module: nn.Module) -> None:
        execute = module.execute

        def watched(*inputs: object, **options: object) -> jt.Var:
            out = execute(*inputs, **options)
            found.append(_count(name, module, tuple(out.shape[2:]), segmap))
            return out

        module.execute = watched

    watched = [(name, module) for name, module in modules if isinstance(module, (SPADE, SpectralConv, nn.Conv))]
    for name, module in watched:
        watch(name, module)
    with jt.no_grad():
        generator(jt.zeros((1, generator.config.z_dim)), segmap).image2.sync()
    for _, module in watched:
        del module.execute
    size = generator.config.height, generator.config.width
    for name in ("conv_edge1", "conv_img1", "conv_comb1", "conv_comb"):  # may run otherwise than as a layer
        if all(layer.name != name for layer in found):
            found.append(_count(name, getattr(generator, name), size, segmap))
    return found


def _count(name: str, module: nn.Module, size: tuple[int, int], segmap: Segmap) -> Layer:
    positions = size[0] * size[1]
    if not isinstance(module, SPADE):
        weight = module.weight_orig if isinstance(module, SpectralConv) else module.weight
        dense = positions * weight.numel()
        return Layer(name, "convolution", dense, dense - _of_mask(weight, segmap, size) * (name == "conv_comb1"))
    hidden = 9 * segmap.channels * HIDDEN_CHANNELS
    gamma_and_beta = 2 * module.mlp_gamma.weight.numel()
    dense = positions * (hidden + gamma_and_beta)
    surroundings = segmap.surroundings(*size)
    if surroundings is None:
        return Layer(name, "SPADE", dense, dense)
    inner, outer = surroundings.distinct.one_hot.shape[1], surroundings.distinct.outer.shape[0]
    return Layer(name, "SPADE", dense, inner * hidden + outer * gamma_and_beta)


def _of_mask(weight: jt.Var, segmap: Segmap, size: tuple[int, int]) -> int:
    """What a table spares conv_comb1, which sees the one-hot mask beside what was painted."""
    surroundings = segmap.surroundings(*size)
    each = segmap.channels * 9 * weight.shape[0]
    return 0 if surroundings is None else (size[0] * size[1] - surroundings.distinct.one_hot.shape[1]) * each
