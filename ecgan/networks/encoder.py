"""Style encoder E: photo -> mean and log variance of its style code (docs/specification.md, section 2)."""

from __future__ import annotations

from ecgan.config import COLOUR_SQUARES, ModelConfig
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
        colours = 3 * COLOUR_SQUARES**2
        self.colour_means = xavier(nn.Linear(colours, config.z_dim)) if config.colour_means else None

    def execute(self, photo: jt.Var) -> tuple[jt.Var, jt.Var]:
        """photo: (N, 3, H, W) in [-1, 1], any size. Returns mu and logvar, each (N, z_dim)."""
        if tuple(photo.shape[2:]) != (INPUT_SIZE, INPUT_SIZE):
            photo = nn.interpolate(photo, size=(INPUT_SIZE, INPUT_SIZE), mode="bilinear")
        x = instance_norm(self.layer1(photo))
        for layer in (self.layer2, self.layer3, self.layer4, self.layer5, self.layer6):
            x = instance_norm(layer(lrelu(x)))
        x = lrelu(x).reshape((x.shape[0], -1))
        mu, logvar = self.fc_mu(x), self.fc_var(x)
        if self.colour_means is not None:  # behind layer1 a photo that is darker, or redder, is the same as it was
            mu = mu + self.colour_means(_means_of_squares(photo))
        return mu, logvar


def _means_of_squares(photo: jt.Var) -> jt.Var:
    """(N, 3 * squares) of (N, 3, INPUT_SIZE, INPUT_SIZE)."""
    side = INPUT_SIZE // COLOUR_SQUARES
    squares = photo.reshape((photo.shape[0], 3, COLOUR_SQUARES, side, COLOUR_SQUARES, side))
    return squares.mean(5).mean(3).reshape((photo.shape[0], -1))
