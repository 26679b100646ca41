"""What the benchmarks count; their timings are no test."""

from __future__ import annotations

import numpy as np
from conftest import draw_mask

from ecgan.config import ModelConfig

TINY = ModelConfig(128, 64, ngf=4, ndf=4, num_upsampling_layers="normal")


def test_every_layer_is_counted_once() -> None:
    from arithmetic import layers

    from ecgan.networks import Generator, Segmap
    from ecgan.networks.layers import SpectralConv
    from ecgan.networks.spade import SPADE
    from ecgan.runtime import nn

    generator = Generator(TINY)
    generator.eval()
    mask = draw_mask(1, (128, 64))[None]
    counted = layers(generator, Segmap(mask, TINY.semantic_nc, True))
    there = [
        name
        for name, module in generator.named_modules()
        if isinstance(module, (SPADE, SpectralConv, nn.Conv)) and ".mlp_" not in name
    ]
    assert sorted(layer.name for layer in counted) == sorted(there)
    by_name = {layer.name: layer for layer in counted}
    pixels = 128 * 64
    assert by_name["conv_comb"].dense == by_name["conv_comb"].sparse == pixels * 9 * (4 + 6 + 29) * 3
    assert by_name["up_3.conv_0"].dense == pixels * 9 * 8 * 4
    assert by_name["up_3.norm_1"].dense == pixels * 9 * (29 * 128 + 128 * 2 * 4)
    assert by_name["up_3.norm_1"].sparse < by_name["up_3.norm_1"].dense / 2
    noise = np.random.default_rng(0).integers(0, 29, (1, 64, 128), np.uint8)
    assert all(layer.dense == layer.sparse for layer in layers(generator, Segmap(noise, TINY.semantic_nc, True)))
