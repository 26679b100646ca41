"""Matrix products and convolutions: those of Jittor, but for their last bits, which do not depend on the threads."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

#: Shapes that oneDNN by itself adds up otherwise, on a CPU with AVX-512 or AVX2, in so many threads.
PRODUCTS = [((32, 1152), 25, 8), ((64, 1152), 1000, 3), ((64, 1152), 1000, 16), ((300, 70), 1100, 2)]
CONVOLUTIONS = [((256, 8, 16), (128, 3), 1, 3), ((512, 8, 8), (512, 3), 2, 16), ((5, 9, 7), (3, 3), 1, 2)]


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("left, columns, threads", PRODUCTS)
def test_a_product_has_the_bits_of_one_thread(
    left: tuple[int, int], columns: int, threads: int, use_threads: Callable[[int], None]
) -> None:
    from ecgan.networks.rounding import matmul
    from ecgan.runtime import jt

    a, b = normal(*left), normal(left[1], columns)
    with jt.no_grad():
        use_threads(1)
        of_one = matmul(jt.array(a), jt.array(b)).numpy()
        use_threads(threads)
        assert np.array_equal(matmul(jt.array(a), jt.array(b)).numpy(), of_one)
    assert np.abs(of_one - a.astype(np.float64) @ b).max() < 1e-3


@pytest.mark.parametrize("photo, filters, stride, threads", CONVOLUTIONS)
def test_a_convolution_has_the_bits_of_one_thread(
    photo: tuple[int, int, int],
    filters: tuple[int, int],
    stride: int,
    threads: int,
    use_threads: Callable[[int], None],
) -> None:
    from ecgan.networks.rounding import conv2d
    from ecgan.runtime import jt, nn

    count, size = filters
    x, weight, bias = normal(1, *photo), normal(count, photo[0], size, size), normal(count)

    def compute(convolve: Callable[..., object]) -> np.ndarray:
        return convolve(jt.array(x), jt.array(weight), jt.array(bias), stride, 1).numpy()  # type: ignore[attr-defined]

    with jt.no_grad():
        use_threads(1)
        of_one, of_jittor = compute(conv2d), compute(nn.conv2d)
        use_threads(threads)
        assert np.array_equal(compute(conv2d), of_one)
    assert np.array_equal(of_one, of_jittor)


def test_what_learns_is_left_to_jittor() -> None:
    """It has gradients."""
    from ecgan.networks.rounding import conv2d, matmul
    from ecgan.runtime import jt

    x, weight = jt.array(normal(1, 2, 4, 4)), jt.array(normal(3, 2, 3, 3))
    a, b = jt.array(normal(2, 3)), jt.array(normal(3, 4))
    loss = conv2d(x, weight, padding=1).sqr().sum() + matmul(a, b).sqr().sum()
    assert all(np.abs(gradient.numpy()).max() > 0 for gradient in jt.grad(loss, [x, weight, a, b]))
