"""Style encoder E: photo -> mean and log variance of its style code (docs/specification.md, section 2)."""

from __future__ import annotations

from ecgan.config import ModelConfig
from ecgan.networks.layers import SpectralConv, instance_norm, lrelu, xavier
from ecgan.runtime import jt, nn

#: Photos enter the encoder at this width and height, whatever the pictures' size.
INPUT_SIZE = 256


class Encoder(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        widths = [3, *(config.ngf * k for k in (1, 2, 4, 8, 8, 8))]
        self.layer1, self.layer2, self.layer3, self.layer4, self.layer5, self.layer6 = (
            nn.Sequential(SpectralConv(fin, fout, 3, stride=2, padding=1, bias=False, spectral=config.spectral_norm))
            for fin, fout in zip(widths, widths[1:], strict=False)
        )
        features = widths[-1] * (INPUT_SIZE // 2**6) ** 2
        self.fc_mu = xavier(nn.Linear(features, config.z_dim))
        self.fc_var = xavier(nn.Linear(features, config.z_dim))

    def execute(self, photo: jt.Var) -> tuple[jt.Var, jt.Var]:
        """photo: (N, 3, H, W) in [-1, 1], any size. Returns mu and logvar, each (N, z_dim)."""
        x = photo
        if tuple(x.shape[2:]) != (INPUT_SIZE, INPUT_SIZE):
            x = nn.interpolate(x, size=(INPUT_SIZE, INPUT_SIZE), mode="bilinear")
        x = instance_norm(self.layer1(x))
        for layer in (self.layer2, self.layer3, self.layer4, self.layer5, self.layer6):
            x = instance_norm(layer(lrelu(x)))
        x = lrelu(x).reshape((x.shape[0], -1))
        return self.fc_mu(x), self.fc_var(x)
