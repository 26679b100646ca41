"""Every formula of the score against cases computed by hand or by another library."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import scipy.linalg
from conftest import draw_photo

from ecgan.scoring import agreement, frechet, reading, style
from ecgan.scoring.total import total, without


def test_style_is_what_opencv_says() -> None:
    picture, reference = draw_photo(1, (64, 48)), draw_photo(2, (80, 60))
    found = style.compare(picture, reference)
    assert list(found) == ["rgb", "hsv", "hue"]
    of_rgb = [cv2.calcHist([image], [0, 1, 2], None, [16] * 3, [0, 256] * 3) for image in (picture, reference)]
    hsv = [cv2.cvtColor(image, cv2.COLOR_RGB2HSV) for image in (picture, reference)]
    of_hsv = [cv2.calcHist([image], [0, 1, 2], None, [8, 3, 3], [0, 180, 0, 256, 0, 256]) for image in hsv]
    of_hue = [cv2.calcHist([image], [0], None, [180], [0, 180]) for image in hsv]
    for variant, histograms in zip(style.VARIANTS, (of_rgb, of_hsv, of_hue), strict=True):
        flat = [histogram.ravel() for histogram in histograms]
        assert found[variant].value == cv2.compareHist(*flat, cv2.HISTCMP_CORREL)
        assert found[variant].value == pytest.approx(np.corrcoef(*flat)[0, 1])
        assert -1 <= found[variant].value < 0.99
    assert all(each.value == pytest.approx(1.0) for each in style.compare(picture, picture).values())


def test_style_by_hand() -> None:
    """Half black and half white against a quarter and three quarters: counts of two of 4,096 bins."""
    halves = np.zeros((4, 4, 3), np.uint8)
    quarter = halves.copy()
    halves[:2], quarter[:3] = 255, 255
    a, b = np.zeros(4096), np.zeros(4096)
    a[0], a[-1], b[0], b[-1] = 8, 8, 4, 12
    assert style.compare(halves, quarter)["rgb"].value == pytest.approx(np.corrcoef(a, b)[0, 1])


def test_style_that_is_undefined_counts_as_nothing() -> None:
    photo = draw_photo(1, (64, 48))
    grey, constant = np.repeat(photo[..., :1], 3, axis=2), np.full((48, 64, 3), 90, np.uint8)
    of_grey, of_constant = style.compare(grey, photo), style.compare(photo, constant)
    assert of_grey["hue"] == (None, "the picture is grey and has no hue") and of_grey["rgb"].value is not None
    assert set(of_constant.values()) == {(None, "the reference is of a single colour")}
    mean = {variant: reading.mean([of_grey[variant].value, of_constant[variant].value]) for variant in style.VARIANTS}
    assert mean["hue"] == 0.0 and mean["rgb"] == of_grey["rgb"].value / 2


def test_distance_of_known_gaussians() -> None:
    """With covariances that commute the root is that of the eigenvalues; in one dimension it is (s - t)^2."""
    one = frechet.Gaussian(np.array([1.0]), np.array([[4.0]]), 10)
    other = frechet.Gaussian(np.array([3.0]), np.array([[9.0]]), 10)
    assert frechet.distance(one, other) == pytest.approx(4 + 1)
    assert frechet.distance(one, one) == 0.0
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((5, 5)))[0]
    a, b = np.array([1.0, 4, 9, 0, 2]), np.array([4.0, 1, 9, 5, 0])
    gaussians = [frechet.Gaussian(np.zeros(5), turn @ np.diag(values) @ turn.T, 9) for values in (a, b)]
    assert frechet.distance(*gaussians) == pytest.approx(((np.sqrt(a) - np.sqrt(b)) ** 2).sum())


def test_distance_is_scipys() -> None:
    """The formula as it is written, with SciPy's root of the product, on Gaussians of full rank that share nothing."""
    chance = np.random.default_rng(2)
    mixes, means = chance.standard_normal((2, 12, 12)), chance.standard_normal((2, 12))
    a, b = mixes @ mixes.transpose(0, 2, 1)
    wanted = ((means[0] - means[1]) ** 2).sum() + np.trace(a + b - 2 * scipy.linalg.sqrtm(a @ b).real)
    gaussians = [frechet.Gaussian(mean, covariance, 99) for mean, covariance in zip(means, (a, b), strict=True)]
    assert frechet.distance(*gaussians) == pytest.approx(wanted, rel=1e-9)


def test_moments_in_parts_are_those_of_the_whole() -> None:
    vectors = np.random.default_rng(1).standard_normal((50, 6)) * 3 + 7
    parts = [frechet.Moments(6) for _ in range(2)]
    parts[0].add(vectors[:20])
    parts[1].add(vectors[20:45])
    parts[1].add(vectors[45:])
    parts[0].merge(parts[1])
    found = parts[0].gaussian()
    assert found.count == 50 and np.allclose(found.mean, vectors.mean(axis=0))
    assert np.allclose(found.covariance, np.cov(vectors, rowvar=False))
    with pytest.raises(ValueError, match="1 feature vector"):
        parts[0].add(np.array([[np.nan] * 6]))
    with pytest.raises(ValueError, match="two vectors"):
        frechet.Moments(6).gaussian()


def test_agreement_by_hand() -> None:
    asked, found = np.array([[0, 0, 1], [1, 1, 3]], np.uint8), np.array([[0, 1, 1], [1, 3, 3]], np.uint8)
    counts = agreement.Agreement(4)
    assert counts.accuracy is None and counts.mean_iou is None
    counts.add(asked, found)
    assert counts.accuracy == pytest.approx(4 / 6)
    same = agreement.Agreement(4)
    same.add(np.zeros((1, 2), np.uint8), np.zeros((1, 2), np.uint8))
    same.add(np.full((1, 2), 255, np.uint8), np.zeros((1, 2), np.uint8))  # no class: does not count
    assert same.accuracy == 1.0
    counts.merge(same)
    assert counts.accuracy == pytest.approx(6 / 8)
    assert counts.by_class() == [pytest.approx(3 / 4), pytest.approx(2 / 3), None, 1.0]
    assert counts.iou_by_class() == [pytest.approx(3 / 4), pytest.approx(2 / 4), None, pytest.approx(1 / 2)]
    assert counts.mean_iou == pytest.approx((3 / 4 + 1 / 2 + 1 / 2) / 3)


def test_total_of_the_contest() -> None:
    """The published board: mask accuracy, aesthetic, FID, style and what came of them."""
    for mask, beauty, fid, correlation, score in (
        (0.9059, 0.5081, 40.31, 0.5154, 0.5684),
        (0.9055, 0.5058, 39.41, 0.6145, 0.5852),
    ):
        terms = {"mask_accuracy": mask, "aesthetic": beauty, "style": correlation, "fid": fid}
        assert total(**terms) == pytest.approx(score, abs=1e-3)
        for term, value in terms.items():
            line = without({name: known for name, known in terms.items() if name != term})
            assert line is not None and line.term == term
            assert line.at_zero + line.slope * value == pytest.approx(total(**terms))
    assert without({"style": 0.5}) is None and without(terms) is None
    assert total(1.0, 1.0, 1.0, 150.0) == pytest.approx(0.5)
