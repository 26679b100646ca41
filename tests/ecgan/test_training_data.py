"""What a training step is fed with: pairs, their order, flips, edge maps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import draw_photo, write_pairs
from PIL import Image

from ecgan.config import ModelConfig
from ecgan.data.edges import edge_map
from ecgan.data.images import BadImage
from ecgan.data.trainset import check_pairs, find_training_set, read_exclude_list
from ecgan.errors import UserError
from ecgan.training.loader import Loader, load_sample
from ecgan.training.sampler import Sample, Sampler
from ecgan.training.schedule import Schedule

MODEL = ModelConfig(128, 64, ngf=4, ndf=4, num_upsampling_layers="normal")


@pytest.mark.parametrize("labels", ["labels", "lables"])
def test_pairs_are_found_by_name(tmp_path: Path, labels: str) -> None:
    found = find_training_set(write_pairs(tmp_path, 3, labels))
    assert [pair.name for pair in found.pairs] == ["p0", "p1", "p2"] and not found.faults
    assert found.pairs[1].mask == tmp_path / labels / "p1.png"


def test_what_has_no_partner_is_named(tmp_path: Path) -> None:
    folder = write_pairs(tmp_path, 3)
    (folder / "labels/p1.png").unlink()
    (folder / "imgs/p2.jpg").unlink()
    Image.fromarray(draw_photo(9)).save(folder / "imgs/p0.png")
    found = find_training_set(folder)
    assert not found.pairs
    assert [(fault.name, Path(fault.reason.split(": ")[0]).name) for fault in found.faults] == [
        ("p0", "p0.png"),
        ("p1", "p1.jpg"),
        ("p2", "p2.png"),
    ]
    assert "no such folder" in find_training_set(tmp_path / "nowhere").faults[0].reason


def test_the_list_leaves_pairs_out(tmp_path: Path) -> None:
    folder, listed = write_pairs(tmp_path / "set", 4), tmp_path / "dirty.txt"
    listed.write_text("# grey\np1.jpg\n\n  p3 \nunknown.jpg\n")
    exclude = read_exclude_list(listed)
    found = find_training_set(folder, exclude)
    assert [pair.name for pair in found.pairs] == ["p0", "p2"] and found.excluded == 2
    with pytest.raises(UserError, match="nothing.txt"):
        read_exclude_list(tmp_path / "nothing.txt")


def test_every_unusable_picture_is_named(tmp_path: Path) -> None:
    folder = write_pairs(tmp_path, 3)
    (folder / "imgs/p0.jpg").write_bytes((folder / "imgs/p0.jpg").read_bytes()[:200])
    Image.fromarray(np.full((64, 128), 40, np.uint8)).save(folder / "labels/p2.png")
    faults = check_pairs(find_training_set(folder).pairs, MODEL)
    assert [fault.name for fault in faults] == ["p0", "p2"]
    assert "p0.jpg" in faults[0].reason and "class 40" in faults[1].reason


def test_edge_maps_are_the_originals(original: Path) -> None:
    for index in (0, 1):
        photo = np.asarray(Image.open(original / f"ref_{index}.png").convert("RGB"))
        assert np.array_equal(edge_map(photo), np.asarray(Image.open(original / f"edge_{index}.png").convert("L")))


def test_a_flip_takes_photo_mask_and_edge_along(tmp_path: Path) -> None:
    pair = find_training_set(write_pairs(tmp_path, 1)).pairs[0]
    straight, flipped = (load_sample(pair, Sample(0, 1, flip), MODEL, seed=0) for flip in (False, True))
    for name in ("labels", "photo", "edge"):
        assert np.array_equal(getattr(flipped, name), getattr(straight, name)[:, ::-1]), name
    assert not np.array_equal(*straight.noise)  # G and D each have their own
    assert np.array_equal(flipped.noise, straight.noise)  # of seed, epoch and sample alone
    assert not np.array_equal(flipped.edge, edge_map(np.ascontiguousarray(flipped.photo)))  # signed sums don't commute


def test_an_epoch_is_a_permutation_without_the_rest() -> None:
    sampler = Sampler(count=11, batch_size=3, seed=5)
    assert sampler.steps_per_epoch == 3
    epochs = [[s.index for step in range(3 * e, 3 * e + 3) for s in sampler.samples(step)] for e in range(2)]
    for order in epochs:
        assert len(set(order)) == 9 and max(order) < 11
    assert epochs[0] != epochs[1]
    assert sampler.samples(4) == Sampler(11, 3, 5).samples(4)  # whatever was asked before
    assert sampler.samples(4) != Sampler(11, 3, 6).samples(4)
    flips = [s.flipped for step in range(300) for s in sampler.samples(step)]
    assert 0.4 < np.mean(flips) < 0.6
    assert [s.index for s in Sampler(11, 3, shuffled=False, flips=False).samples(1)] == [3, 4, 5]


def test_ranks_share_a_batch(tmp_path: Path) -> None:
    pairs = find_training_set(write_pairs(tmp_path, 5)).pairs
    sampler = Sampler(5, 4, seed=1)
    whole = [[sample.name for sample in batch] for batch in Loader(pairs, MODEL, sampler).batches(0, 6)]
    shares = [Loader(pairs, MODEL, sampler, rank, 2).batches(0, 6) for rank in (0, 1)]
    assert whole == [[s.name for s in first + second] for first, second in zip(*shares, strict=True)]
    assert whole[3:] == [[s.name for s in batch] for batch in Loader(pairs, MODEL, sampler).batches(3, 6)]
    assert Loader(pairs, MODEL, sampler, 1, 2).names(4) == whole[4]


def test_a_file_that_goes_bad_is_named(tmp_path: Path) -> None:
    pairs = find_training_set(write_pairs(tmp_path, 2)).pairs
    pairs[1].photo.write_bytes(b"gone")
    with pytest.raises(BadImage, match=r"p1\.jpg"):
        list(Loader(pairs, MODEL, Sampler(2, 2)).batches(0, 1))


def test_the_rate_falls_after_niter_epochs() -> None:
    schedule = Schedule(lr=2e-4, niter=50, niter_decay=150)
    assert schedule.epochs == 200
    assert [schedule.rate(epoch) for epoch in (1, 50, 51)] == [2e-4] * 3
    assert schedule.rate(52) == pytest.approx(2e-4 * 149 / 150)
    assert schedule.rate(200) == pytest.approx(2e-4 / 150)
    assert Schedule(1e-3, 3, 0).rate(3) == 1e-3
