"""The dense generator in PyTorch, for comparison: the specification's layers, a whole convolution each.

Written after the same specification as `ecgan.networks.generator`, from which it takes weights by their names.
Evaluation only; nothing is shared, folded or looked up.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812, PyTorch's users know it so

from ecgan.config import ModelConfig

_SLOPE, _EPS = 0.2, 1e-5


class TorchGenerator:
    """G on `device` with `arrays`, the tensors of our G by name; weights and maps in `dtype` and `memory_format`."""

    def __init__(
        self,
        config: ModelConfig,
        arrays: Mapping[str, np.ndarray],
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
        memory_format: torch.memory_format = torch.contiguous_format,
    ) -> None:
        self.config, self._device, self._dtype, self._format = config, device, dtype, memory_format
        self._tensors = {name: self._tensor(np.array(array, np.float32)) for name, array in arrays.items()}

    def _tensor(self, array: np.ndarray) -> torch.Tensor:
        tensor = torch.from_numpy(array).to(self._device, self._dtype)
        return tensor.to(memory_format=self._format) if tensor.ndim == 4 else tensor

    @torch.inference_mode()
    def __call__(self, codes: np.ndarray, labels: np.ndarray) -> torch.Tensor:
        """codes: (N, z_dim) float32; labels: (N, H, W) class ids. Returns image2, (N, 3, H, W)."""
        return self.paint(torch.from_numpy(codes), torch.from_numpy(labels.astype(np.int64)))

    def paint(self, codes: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        """The same of tensors, `ids` int64: what can be traced."""
        config = self.config
        one_hot = F.one_hot(ids.to(self._device), config.semantic_nc).permute(0, 3, 1, 2).to(self._dtype)
        one_hot = one_hot.contiguous(memory_format=self._format)
        z = codes.to(self._device, self._dtype)
        x = F.linear(z, self._tensors["fc.weight"], self._tensors["fc.bias"])
        x = x.reshape(len(codes), 16 * config.ngf, *config.latent_size).contiguous(memory_format=self._format)
        x = self._block("head_0", x, one_hot)
        x = self._block("G_middle_0", _double(x), one_hot)
        x = self._block("G_middle_1", x if config.num_upsampling_layers == "normal" else _double(x), one_hot)
        for name in ("up_0", "up_1", "up_2", "up_3"):
            x = self._block(name, _double(x), one_hot)
        if config.num_upsampling_layers == "most":
            x = self._block("up_4", _double(x), one_hot)
        image, edge = self._heads(x)
        f = self._conv("conv_comb1", _lrelu(torch.cat([x, image, edge, one_hot], dim=1)))
        f = f * (1 + torch.sigmoid(f.mean(dim=(2, 3), keepdim=True)))
        f = self._conv("conv_comb2", _lrelu(f))
        return torch.tanh(self._conv("conv_comb", _lrelu(f)))

    def _heads(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        edge = image = x
        for number in (1, 2, 3, 4):
            edge, image = (
                self._conv(f"conv_{kind}{number}", _lrelu(of)) for kind, of in (("edge", edge), ("img", image))
            )
            if number == 4:
                edge, image = torch.tanh(edge), torch.tanh(image)
            image = image * (1 + torch.sigmoid(edge))
        return image, edge

    def _block(self, name: str, x: torch.Tensor, one_hot: torch.Tensor) -> torch.Tensor:
        shortcut = x
        if f"{name}.conv_s.weight_orig" in self._tensors:
            shortcut = self._conv(f"{name}.conv_s", self._spade(f"{name}.norm_s", x, one_hot))
        x = self._conv(f"{name}.conv_0", _lrelu(self._spade(f"{name}.norm_0", x, one_hot)))
        x = self._conv(f"{name}.conv_1", _lrelu(self._spade(f"{name}.norm_1", x, one_hot)))
        return shortcut + x

    def _spade(self, name: str, x: torch.Tensor, one_hot: torch.Tensor) -> torch.Tensor:
        tensors = self._tensors
        mean, variance = (tensors[f"{name}.param_free_norm.running_{each}"] for each in ("mean", "var"))
        normalised = F.batch_norm(x, mean, variance, eps=_EPS)
        mask = F.interpolate(one_hot, size=x.shape[2:], mode="nearest")
        shared = F.relu(self._conv(f"{name}.mlp_shared.0", mask))
        return normalised * (1 + self._conv(f"{name}.mlp_gamma", shared)) + self._conv(f"{name}.mlp_beta", shared)

    def _conv(self, name: str, x: torch.Tensor) -> torch.Tensor:
        tensors = self._tensors
        weight = tensors.get(f"{name}.weight")
        weight = tensors[f"{name}.weight_orig"] if weight is None else weight
        return F.conv2d(x, weight, tensors.get(f"{name}.bias"), padding=weight.shape[-1] // 2)


def _lrelu(x: torch.Tensor) -> torch.Tensor:
    return F.leaky_relu(x, _SLOPE)


def _double(x: torch.Tensor) -> torch.Tensor:
    return F.interpolate(x, scale_factor=2, mode="nearest")
