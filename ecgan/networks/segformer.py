"""SegFormer (Xie et al. 2021): photo -> class of every pixel, by which mask accuracy is judged.

Every tensor is named as in the files of Hugging Face's transformers, so their checkpoints fit too. Its size,
B0 to B5, is that of the tensors. Maps stay (N, C, H, W) throughout: what others call tokens are pixels here.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from ecgan.config import SegformerShape
from ecgan.networks.layers import normalise_batch, pointwise
from ecgan.runtime import jt, nn

#: ImageNet's mean and standard deviation of each channel in [0, 1], as SegFormer was pretrained with.
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_EPS = 1e-5


class Seen(NamedTuple):
    """`logits`: (N, classes, H / 4, W / 4); `maps`: of the four stages, (N, C, H / 4, W / 4) to
    (N, C, H / 32, W / 32)."""

    logits: jt.Var
    maps: list[jt.Var]


class Segformer(nn.Module):
    def __init__(self, shape: SegformerShape) -> None:
        self.segformer = _Part(encoder=_Encoder(shape))
        self.decode_head = _Decoder(shape)

    def execute(self, photos: jt.Var) -> Seen:
        """`photos`: (N, 3, H, W) in [-1, 1]; H and W are multiples of 32."""
        mean, deviation = (
            jt.array(np.array(values, np.float32).reshape(1, 3, 1, 1)).stop_grad() for values in (_MEAN, _DEVIATION)
        )
        maps = self.segformer.encoder((photos * 0.5 + 0.5 - mean) / deviation)
        return Seen(self.decode_head(maps), maps)


def enlarge(logits: jt.Var, height: int, width: int) -> jt.Var:
    """Bilinearly, as SegFormer's are before the largest is chosen."""
    return nn.interpolate(logits, size=(height, width), mode="bilinear", align_corners=False)


class _Part(nn.Module):
    """A name between others in a checkpoint, with what is below it."""

    def __init__(self, **parts: nn.Module) -> None:
        for name, part in parts.items():
            setattr(self, name, part)


class _Linear(nn.Module):
    """The same for every pixel."""

    def __init__(self, fin: int, fout: int) -> None:
        self.weight, self.bias = jt.init.xavier_gauss((fout, fin)), jt.zeros((fout,))

    def execute(self, x: jt.Var) -> jt.Var:
        return pointwise(x, self.weight) + self.bias.reshape((1, -1, 1, 1))


class _LayerNorm(nn.Module):
    """Over the channels of every pixel."""

    def __init__(self, channels: int) -> None:
        self.weight, self.bias = jt.ones((channels,)), jt.zeros((channels,))

    def execute(self, x: jt.Var) -> jt.Var:
        apart = x - x.mean(1, keepdims=True)
        scale = 1 / jt.sqrt(apart.sqr().mean(1, keepdims=True) + _EPS)
        return apart * scale * self.weight.reshape((1, -1, 1, 1)) + self.bias.reshape((1, -1, 1, 1))


class _Embedding(nn.Module):
    """Overlapping patches as pixels of a smaller map."""

    def __init__(self, fin: int, fout: int, kernel: int, stride: int) -> None:
        self.proj = nn.Conv(fin, fout, kernel, stride, kernel // 2)
        self.layer_norm = _LayerNorm(fout)

    def execute(self, x: jt.Var) -> jt.Var:
        return self.layer_norm(self.proj(x))


class _Attention(nn.Module):
    """Of every pixel to all pixels of a map that is smaller by `reduction`."""

    def __init__(self, channels: int, heads: int, reduction: int) -> None:
        self.heads = heads
        within = _Part(**{name: _Linear(channels, channels) for name in ("query", "key", "value")})
        if reduction > 1:
            within.sr = nn.Conv(channels, channels, reduction, reduction)
            within.layer_norm = _LayerNorm(channels)
        self.self = within  # as the checkpoint names it
        self.output = _Part(dense=_Linear(channels, channels))

    def execute(self, x: jt.Var) -> jt.Var:
        within = self.self
        of = within.layer_norm(within.sr(x)) if hasattr(within, "sr") else x
        query, key, value = within.query(x), within.key(of), within.value(of)
        channels, height, width = x.shape[1:]
        found = [
            self._attend(*(each[n].reshape((channels, -1)) for each in (query, key, value))) for n in range(x.shape[0])
        ]
        maps = [each.reshape((1, channels, height, width)) for each in found]
        return self.output.dense(maps[0] if len(maps) == 1 else jt.concat(maps, dim=0))

    def _attend(self, query: jt.Var, key: jt.Var, value: jt.Var) -> jt.Var:
        """(C, pixels), (C, reduced), (C, reduced) -> (C, pixels), head by head as plain matrix products."""
        each = query.shape[0] // self.heads
        parts = []
        for start in range(0, query.shape[0], each):
            q, k, v = (x[start : start + each] for x in (query, key, value))
            weights = nn.softmax(jt.matmul(q.transpose(), k) * each**-0.5, dim=1)
            parts.append(nn.matmul_transpose(v, weights))
        return parts[0] if len(parts) == 1 else jt.concat(parts, dim=0)


class _Mix(nn.Module):
    """Mix-FFN: what lies around a pixel enters by a 3x3 convolution of each channel by itself."""

    def __init__(self, channels: int) -> None:
        wide = 4 * channels
        self.dense1, self.dense2 = _Linear(channels, wide), _Linear(wide, channels)
        self.dwconv = _Part(dwconv=nn.Conv(wide, wide, 3, padding=1, groups=wide))

    def execute(self, x: jt.Var) -> jt.Var:
        return self.dense2(nn.gelu(self.dwconv.dwconv(self.dense1(x))))


class _Block(nn.Module):
    def __init__(self, channels: int, heads: int, reduction: int) -> None:
        self.layer_norm_1, self.layer_norm_2 = _LayerNorm(channels), _LayerNorm(channels)
        self.attention, self.mlp = _Attention(channels, heads, reduction), _Mix(channels)

    def execute(self, x: jt.Var) -> jt.Var:
        x = x + self.attention(self.layer_norm_1(x))
        return x + self.mlp(self.layer_norm_2(x))


class _Encoder(nn.Module):
    """Mix Transformer: four stages of maps at 1/4, 1/8, 1/16 and 1/32."""

    def __init__(self, shape: SegformerShape) -> None:
        fins = (3, *shape.widths)
        self.patch_embeddings = nn.ModuleList(
            [_Embedding(fin, fout, *((3, 2) if i else (7, 4))) for i, (fin, fout) in enumerate(pairwise(fins))]
        )
        stages = zip(shape.widths, shape.depths, shape.heads, shape.reductions, strict=True)
        self.block = nn.ModuleList(
            [
                nn.ModuleList([_Block(width, heads, reduction) for _ in range(depth)])
                for width, depth, heads, reduction in stages
            ]
        )
        self.layer_norm = nn.ModuleList([_LayerNorm(width) for width in shape.widths])

    def execute(self, x: jt.Var) -> list[jt.Var]:
        maps = []
        for embedding, blocks, norm in zip(self.patch_embeddings, self.block, self.layer_norm, strict=True):
            x = embedding(x)
            for block in blocks:
                x = block(x)
            x = norm(x)
            maps.append(x)
        return maps


class _Decoder(nn.Module):
    """All stages at the size of the first, mixed pixel by pixel."""

    def __init__(self, shape: SegformerShape) -> None:
        self.linear_c = nn.ModuleList([_Part(proj=_Linear(width, shape.decoder)) for width in shape.widths])
        self.linear_fuse = nn.Conv(len(shape.widths) * shape.decoder, shape.decoder, 1, bias=False)
        self.batch_norm = nn.BatchNorm(shape.decoder)
        self.classifier = nn.Conv(shape.decoder, shape.classes, 1)

    def execute(self, maps: list[jt.Var]) -> jt.Var:
        height, width = maps[0].shape[2:]
        mapped = [enlarge(part.proj(x), height, width) for part, x in zip(self.linear_c, maps, strict=True)]
        fused = pointwise(jt.concat(mapped[::-1], dim=1), self.linear_fuse.weight)
        logits = pointwise(nn.relu(self._normalise(fused)), self.classifier.weight)
        return logits + self.classifier.bias.reshape((1, -1, 1, 1))

    def _normalise(self, x: jt.Var) -> jt.Var:
        norm = self.batch_norm
        if not norm.is_training():
            return norm(x)
        weight, bias = (each.reshape((1, -1, 1, 1)) for each in (norm.weight, norm.bias))
        return normalise_batch([norm], x) * weight + bias
