"""Generator G: style code and semantic mask -> picture (docs/specification.md, section 2)."""

from __future__ import annotations

from typing import NamedTuple

from ecgan.config import FIRST_NOISE_STRENGTH, ModelConfig
from ecgan.networks.convolution import conv2d
from ecgan.networks.layers import LRELU_SLOPE, conv3x3, conv3x3_to_few, lrelu, pointwise, tanh, xavier
from ecgan.networks.noise_maps import NoiseMaps, needed
from ecgan.networks.segmap import Segmap
from ecgan.networks.spade import SPADEBlock
from ecgan.runtime import jt, nn


class Pictures(NamedTuple):
    """What G paints, each (N, 3, H, W). `image2` in (-1, 1) is the picture that is kept."""

    image: jt.Var
    image2: jt.Var
    edge: jt.Var

    def detached(self) -> Pictures:
        """The same, through which no gradient goes."""
        return Pictures(*(picture.detach() for picture in self))


class Generator(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        ngf, classes = config.ngf, config.semantic_nc
        block = (classes, config.spectral_norm)
        noisy = (*block, config.noise_maps)
        self.config = config
        h0, w0 = config.latent_size
        self.fc = xavier(nn.Linear(config.z_dim, 16 * ngf * h0 * w0))

        self.head_0 = SPADEBlock(16 * ngf, 16 * ngf, *block)
        self.G_middle_0 = SPADEBlock(16 * ngf, 16 * ngf, *block)
        self.G_middle_1 = SPADEBlock(16 * ngf, 16 * ngf, *block)
        self.up_0 = SPADEBlock(16 * ngf, 8 * ngf, *noisy)
        self.up_1 = SPADEBlock(8 * ngf, 4 * ngf, *noisy)
        self.up_2 = SPADEBlock(4 * ngf, 2 * ngf, *noisy)
        self.up_3 = SPADEBlock(2 * ngf, ngf, *noisy)
        nf = ngf
        if config.num_upsampling_layers == "most":
            nf = ngf // 2
            self.up_4 = SPADEBlock(ngf, nf, *noisy)

        self.conv_img1, self.conv_edge1 = conv3x3(nf, 32), conv3x3(nf, 32)
        self.conv_img2, self.conv_edge2 = conv3x3(32, 16), conv3x3(32, 16)
        self.conv_img3, self.conv_edge3 = conv3x3(16, 8), conv3x3(16, 8)
        self.conv_img4, self.conv_edge4 = conv3x3(8, 3), conv3x3(8, 3)
        mixed = nf + 3 + 3 + classes
        self.conv_comb1 = conv3x3(mixed, config.label_nc)
        self.conv_comb2 = conv3x3(config.label_nc, mixed)
        self.conv_comb = conv3x3(mixed, 3)
        self.noise_strength = jt.full((mixed, classes), FIRST_NOISE_STRENGTH) if config.noise_maps else None
        self.fc1 = xavier(nn.Linear(config.label_nc, config.label_nc))  # in the checkpoints, unused

    def execute(self, z: jt.Var, segmap: Segmap, noise_maps: NoiseMaps | None = None) -> Pictures:
        """z: (N, z_dim) style codes; segmap: the masks at the network's size; noise_maps: for a model that has them."""
        return self.with_features(z, segmap, noise_maps)[0]

    def with_features(self, z: jt.Var, segmap: Segmap, noise_maps: NoiseMaps | None = None) -> tuple[Pictures, jt.Var]:
        """The same, and what `up_0` makes: (N, 8 * ngf, H, W), H and W being `features_size` of the model."""
        features = self._features(z, segmap, noise_maps)
        return self._paint(self._enlarge(features, segmap, noise_maps), segmap, noise_maps), features

    def _features(self, z: jt.Var, segmap: Segmap, noise_maps: NoiseMaps | None) -> jt.Var:
        """What `up_0` makes."""
        h0, w0 = self.config.latent_size
        x = self.fc(z)
        x = x.reshape((z.shape[0], 16 * self.config.ngf, h0, w0))
        x = self.head_0(x, segmap)
        x = self.G_middle_0(x, segmap, doubled=True)
        x = self.G_middle_1(x, segmap, doubled=self.config.num_upsampling_layers != "normal")
        return self.up_0(x, segmap, noise_maps, doubled=True)

    def _enlarge(self, x: jt.Var, segmap: Segmap, noise_maps: NoiseMaps | None) -> jt.Var:
        """(N, ngf, H, W), or ngf / 2 channels with `most`."""
        for block in (self.up_1, self.up_2, self.up_3):
            x = block(x, segmap, noise_maps, doubled=True)
        if self.config.num_upsampling_layers == "most":
            x = self.up_4(x, segmap, noise_maps, doubled=True)
        return x

    def _paint(self, x: jt.Var, segmap: Segmap, noise_maps: NoiseMaps | None) -> Pictures:
        image, edge = self._heads(x)
        return Pictures(image, self._preserve_semantics(x, image, edge, segmap, noise_maps), edge)

    def _heads(self, x: jt.Var) -> tuple[jt.Var, jt.Var]:
        """Image and edge map; the edge branch gates the image branch at every step."""
        first = [self.conv_edge1, self.conv_img1]  # on the same input, so that they are one convolution
        weight, bias = (jt.concat([getattr(conv, part) for conv in first], dim=0) for part in ("weight", "bias"))
        both = conv2d(lrelu(x), weight, bias, padding=1, training=self.is_training())
        e1 = both[:, :32]
        e2 = self.conv_edge2(lrelu(e1))
        e3 = self.conv_edge3(lrelu(e2))
        edge = tanh(self.conv_edge4(lrelu(e3)))

        i1 = gate(both[:, 32:], e1)
        i2 = gate(self.conv_img2(lrelu(i1)), e2)
        i3 = gate(self.conv_img3(lrelu(i2)), e3)
        image = gate(tanh(self.conv_img4(lrelu(i3))), edge)
        return image, edge

    def _preserve_semantics(
        self, x: jt.Var, image: jt.Var, edge: jt.Var, segmap: Segmap, noise_maps: NoiseMaps | None
    ) -> jt.Var:
        f = self._mix(lrelu(jt.concat([x, image, edge], dim=1)), segmap)
        attention = jt.mean(f, dims=[2, 3], keepdims=True)
        f = f * (1 + jt.sigmoid(attention))
        if self.noise_strength is None:
            f = self.conv_comb2(lrelu(f), LRELU_SLOPE)
        else:
            size = f.shape[2], f.shape[3]
            of_class = pointwise(segmap.at(*size), self.noise_strength.unsqueeze(2).unsqueeze(3))
            f = lrelu(self.conv_comb2(lrelu(f)) + of_class * needed(noise_maps).at(*size))
        return tanh(conv3x3_to_few(f, self.conv_comb.weight, self.conv_comb.bias))

    def _mix(self, seen: jt.Var, segmap: Segmap) -> jt.Var:
        """conv_comb1 on what was painted and the one-hot mask, whose part may come from a table."""
        height, width = seen.shape[2:]
        found = segmap.surroundings(height, width) if segmap.exact_sparse else None
        if found is None:
            return self.conv_comb1(jt.concat([seen, segmap.at(height, width)], dim=1))
        painted, weight = seen.shape[1], self.conv_comb1.weight
        of_mask = found.table(self.conv_comb1, lambda distinct: distinct.seen_by(weight[:, painted:]))
        of_painted = weight[:, :painted], self.conv_comb1.bias
        return conv2d(seen, *of_painted, padding=1, training=self.is_training()) + found.look_up(of_mask)


def gate(x: jt.Var, attention: jt.Var) -> jt.Var:
    """Attention-guided transfer: x * sigmoid(attention) + x, factored so that it rounds in one way only."""
    return x * (1 + jt.sigmoid(attention))
