"""Pieces that E, G and D share."""

from __future__ import annotations

from collections.abc import Sequence

from ecgan.networks.convolution import Conv, conv2d
from ecgan.networks.rounding import matmul
from ecgan.runtime import jt, nn

#: Slope of every leaky ReLU of the model.
LRELU_SLOPE = 0.2


def lrelu(x: jt.Var) -> jt.Var:
    return nn.leaky_relu(x, LRELU_SLOPE)


#: Beyond it tanh is 1 in single precision, and its gradient nothing.
_SATURATED = 20.0


def tanh(x: jt.Var) -> jt.Var:
    """As jt.tanh, with a gradient for every x: Jittor's divides by cosh(x)^2, which overflows at 44 and is NaN then."""
    return jt.tanh(x.maximum(-_SATURATED).minimum(_SATURATED))


def instance_norm(x: jt.Var) -> jt.Var:
    """InstanceNorm without affine parameters (eps 1e-5) on (N, C, H, W)."""
    return nn.instance_norm(x)


#: Each row of the small map becomes two of the large one, and back: x is (rows, W), the other (2 * rows, 2 * W).
_DOUBLE = """
    const int64 w = in0_shape3, rows = in0_shape0 * in0_shape1 * in0_shape2;
    #pragma omp parallel for
    for (int64 row = 0; row < rows; row++) {
        const in0_type* x = in0_p + row * w;
        out0_type* y = out0_p + row * 4 * w;
        for (int64 i = 0; i < w; i++) y[2 * i] = y[2 * i + 1] = y[2 * w + 2 * i] = y[2 * w + 2 * i + 1] = x[i];
    }
"""
_DOUBLE_BACKWARD = """
    const int64 w = out0_shape3, rows = out0_shape0 * out0_shape1 * out0_shape2;
    #pragma omp parallel for
    for (int64 row = 0; row < rows; row++) {
        const dout_type* y = dout_p + row * 4 * w;
        out0_type* x = out0_p + row * w;
        for (int64 i = 0; i < w; i++) x[i] = (y[2 * i] + y[2 * i + 1]) + (y[2 * w + 2 * i] + y[2 * w + 2 * i + 1]);
    }
"""


def upsample(x: jt.Var) -> jt.Var:
    """Nearest x2: (N, C, H, W) -> (N, C, 2H, 2W)."""
    n, c, h, w = x.shape
    if jt.flags.use_cuda:
        return x.reindex([n, c, 2 * h, 2 * w], ["i0", "i1", "i2/2", "i3/2"])
    # On the CPU the division for every index takes more time than the copies.
    return jt.code([n, c, 2 * h, 2 * w], x.dtype, [x], cpu_src=_DOUBLE, cpu_grad_src=[_DOUBLE_BACKWARD])


def pointwise(x: jt.Var, weight: jt.Var) -> jt.Var:
    """1x1 convolution, (N, C, H, W) -> (N, F, H, W), as matrix products: oneDNN's first rearranges the maps."""
    n, c, h, w = x.shape
    matrix = weight.reshape((weight.shape[0], c))
    columns = [x.reshape((c, h * w))] if n == 1 else [x[i].reshape((c, h * w)) for i in range(n)]
    maps = [matmul(matrix, each).reshape((1, weight.shape[0], h, w)) for each in columns]
    return maps[0] if n == 1 else jt.concat(maps, dim=0)


#: Nine taps of every output, (N, F * 9, H, W), each moved to where it belongs, and added up; and back.
_ADD_TAPS = """
    const int64 h = in0_shape2, w = in0_shape3, maps = in0_shape0 * out0_shape1;
    #pragma omp parallel for collapse(2)
    for (int64 map = 0; map < maps; map++)
        for (int64 row = 0; row < h; row++) {
            out0_type* y = out0_p + (map * h + row) * w;
            for (int64 i = 0; i < w; i++) y[i] = 0;
            for (int64 tap = 0; tap < 9; tap++) {
                const int64 from = row + tap / 3 - 1, right = tap % 3 - 1;
                if (from < 0 || from >= h) continue;
                const in0_type* x = in0_p + ((map * 9 + tap) * h + from) * w + right;
                for (int64 i = right < 0; i < w - (right > 0); i++) y[i] += x[i];
            }
        }
"""
_ADD_TAPS_BACKWARD = """
    const int64 h = out0_shape2, w = out0_shape3, maps = out0_shape0 * out0_shape1 / 9;
    #pragma omp parallel for collapse(2)
    for (int64 map = 0; map < maps; map++)
        for (int64 tap = 0; tap < 9; tap++)
            for (int64 row = 0; row < h; row++) {
                const int64 to = row - tap / 3 + 1, right = tap % 3 - 1;
                out0_type* x = out0_p + ((map * 9 + tap) * h + row) * w;
                for (int64 i = 0; i < w; i++) x[i] = 0;
                if (to < 0 || to >= h) continue;
                const dout_type* y = dout_p + (map * h + to) * w - right;
                for (int64 i = right > 0; i < w + (right < 0 ? right : 0); i++) x[i] = y[i];
            }
"""


def conv3x3_to_few(x: jt.Var, weight: jt.Var, bias: jt.Var) -> jt.Var:
    """3x3 convolution to a few channels, (N, C, H, W) -> (N, F, H, W).

    On the CPU one matrix product gives every pixel's share in its nine neighbours: oneDNN computes 16
    channels where there are 3, and rearranges all of x for it.
    """
    if jt.flags.use_cuda:
        return nn.conv2d(x, weight, bias, padding=1)
    few, channels = weight.shape[:2]
    taps = pointwise(x, weight.reshape((few, channels, 9)).transpose((0, 2, 1)).reshape((few * 9, channels)))
    shape = [x.shape[0], few, *x.shape[2:]]
    added = jt.code(shape, x.dtype, [taps], cpu_src=_ADD_TAPS, cpu_grad_src=[_ADD_TAPS_BACKWARD])
    return added + bias.reshape((1, few, 1, 1))


def normalise_batch(norms: Sequence[nn.BatchNorm], x: jt.Var) -> jt.Var:
    """Synchronised BatchNorm of x (N, C, H, W), whose statistics move the running ones of all `norms`."""
    dims = [0, 2, 3]
    mean, mean_square = jt.mean(x, dims=dims), jt.mean(x * x, dims=dims)
    if jt.in_mpi:  # one message for both
        both, channels = jt.concat([mean, mean_square], dim=0).mpi_all_reduce("mean"), x.shape[1]
        mean, mean_square = both[:channels], both[channels:]
    variance = (mean_square - mean * mean).maximum(0.0)
    rate = 1 / jt.sqrt(variance + norms[0].eps)
    for norm in norms:
        norm.running_mean.update(norm.running_mean + (mean - norm.running_mean) * norm.momentum)
        norm.running_var.update(norm.running_var + (variance - norm.running_var) * norm.momentum)
    return x * rate.broadcast(x, dims) - (mean * rate).broadcast(x, dims)


class SpectralConv(nn.Module):
    """A convolution whose tensors carry the names of spectral normalisation, which is on or off.

    The original wraps these layers in a spectral normalisation whose result it throws away, so
    the weight that runs there is `weight_orig`; `weight_u` and `weight_v` are carried along unused.
    With `spectral` the weight is divided by its largest singular value, as Miyato et al. (2018)
    estimate it: one power iteration whenever the layer runs in training.
    """

    def __init__(
        self,
        fin: int,
        fout: int,
        kernel: int,
        stride: int = 1,
        padding: int = 0,
        bias: bool = True,
        spectral: bool = False,
    ) -> None:
        self.stride, self.padding, self.spectral = stride, padding, spectral
        self.weight_orig = jt.init.xavier_gauss((fout, fin, kernel, kernel), gain=0.02)
        self.bias = jt.zeros((fout,)) if bias else None
        self.weight_u = jt.randn((fout,)).stop_grad()
        self.weight_v = jt.randn((fin * kernel * kernel,)).stop_grad()

    def execute(self, x: jt.Var, with_bias: bool = True) -> jt.Var:
        """`with_bias`: no if whoever uses the result adds it."""
        weight = self._normalised() if self.spectral else self.weight_orig
        bias = self.bias if with_bias else None
        if tuple(weight.shape[2:]) == (1, 1) and bias is None and self.stride == 1:
            return pointwise(x, weight)
        return conv2d(x, weight, bias, self.stride, self.padding, training=self.is_training())

    def iterate(self) -> None:
        """One power iteration towards the singular vectors of the present weight."""
        with jt.no_grad():
            matrix = self._matrix()
            v = _unit((matrix * self.weight_u.unsqueeze(1)).sum(0))
            u = _unit((matrix * v.unsqueeze(0)).sum(1))
        self.weight_u.update(u)
        self.weight_v.update(v)

    def _normalised(self) -> jt.Var:
        if self.is_training():
            self.iterate()
        u, v = self.weight_u.detach(), self.weight_v.detach()
        return self.weight_orig / (self._matrix() * u.unsqueeze(1) * v.unsqueeze(0)).sum()

    def _matrix(self) -> jt.Var:
        return self.weight_orig.reshape((self.weight_orig.shape[0], -1))


def _unit(vector: jt.Var) -> jt.Var:
    return vector / (vector.sqr().sum().sqrt() + 1e-12)


def conv3x3(fin: int, fout: int) -> Conv:
    return xavier(Conv(fin, fout, 3, padding=1))


def xavier(layer: nn.Module) -> nn.Module:
    """Initialises a convolution or linear layer as the model does: Xavier normal, gain 0.02, zero bias."""
    layer.weight = jt.init.xavier_gauss(tuple(layer.weight.shape), gain=0.02)
    if layer.bias is not None:
        layer.bias = jt.zeros(tuple(layer.bias.shape))
    return layer
