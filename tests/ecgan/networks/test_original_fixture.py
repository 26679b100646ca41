"""Agreement with what the original's own code computed (docs/specification.md, section 7)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from outputs import outputs
from PIL import Image

from ecgan.checkpoint import open_checkpoint


@pytest.fixture(scope="module")
def computed(original: Path) -> dict[str, np.ndarray]:
    photos = np.stack([np.asarray(Image.open(original / f"ref_{i}.png").convert("RGB")) for i in (0, 1)])
    labels = np.stack([np.asarray(Image.open(original / f"mask_{i}.png")) for i in (0, 1)])
    return outputs(open_checkpoint(original), labels, photos)


@pytest.mark.parametrize(
    "name, tolerance",
    [
        ("mu", 1e-4),
        ("logvar", 1e-4),
        ("image2", 1e-3),
        ("edge_map", 1e-3),
        ("image", 2e-3),
        ("D0_fake_logits", 2e-3),
        ("D0_real_logits", 2e-3),
        ("D1_fake_logits", 2e-3),
        ("D1_real_logits", 2e-3),
    ],
)
def test_agrees_with_the_original(original: Path, computed: dict[str, np.ndarray], name: str, tolerance: float) -> None:
    expected = np.load(original / "expected_eval.npz")[name]
    assert computed[name].shape == expected.shape
    assert np.abs(computed[name] - expected).max() < tolerance


def test_model_is_read_from_tensors_and_options(original: Path) -> None:
    checkpoint = open_checkpoint(original)
    model = checkpoint.model
    assert (model.ngf, model.ndf, model.label_nc, model.z_dim) == (8, 8, 29, 256)
    assert (model.width, model.height, model.num_upsampling_layers) == (256, 192, "more")
    assert not model.contain_dontcare_label and (model.num_D, model.n_layers_D) == (2, 4)
    assert "opt.txt" in checkpoint.model_source
