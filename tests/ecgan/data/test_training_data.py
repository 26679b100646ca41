"""What a training step is fed with: pairs, their order, flips, edge maps."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import draw_photo, write_pairs
from PIL import Image

from ecgan.config import ModelConfig
from ecgan.data.edges import edge_map
from ecgan.data.exclusion import list_of, read_exclude_list
from ecgan.data.images import BadImage
from ecgan.data.trainset import check_pairs, find_training_set
from ecgan.file_notes import FileNotes
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
    assert "nowhere" in find_training_set(tmp_path / "nowhere").faults[0].reason


def test_the_list_leaves_pairs_out(tmp_path: Path) -> None:
    folder, listed = write_pairs(tmp_path / "set", 4), tmp_path / "dirty.txt"
    listed.write_text("# grey\np1.jpg\n\n  p3 \nunknown.jpg\n")
    found = find_training_set(folder, read_exclude_list(listed))
    assert [pair.name for pair in found.pairs] == ["p0", "p2"]
    assert found.excluded.names == {"p1", "p3"} and found.excluded.unknown == ("unknown.jpg",)


@pytest.mark.parametrize("name", ["p1.jpg", "#1", " p", "p ", "a\nb", '"p"', "a\\b"])
def test_pairs_of_any_name_can_be_left_out(tmp_path: Path, name: str) -> None:
    folder, listed = write_pairs(tmp_path / "set", 2), tmp_path / "list.txt"
    for kind, ending in (("imgs", ".jpg"), ("labels", ".png")):
        (folder / kind / f"p0{ending}").rename(folder / kind / f"{name}{ending}")
    listed.write_text(list_of([], {f"{name}.jpg": ["odd"]}))
    found = find_training_set(folder, read_exclude_list(listed))
    assert [pair.name for pair in found.pairs] == ["p1"] and found.excluded.names == {name}


@pytest.mark.parametrize(
    ("kind", "endings"), [("imgs", (".jpg", ".JPEG")), ("imgs", (".png", ".PNG")), ("labels", (".png", ".PNG"))]
)
def test_one_name_with_two_endings_is_a_fault_that_names_both(
    tmp_path: Path, kind: str, endings: tuple[str, str]
) -> None:
    folder = write_pairs(tmp_path, 2)
    content = next((folder / kind).glob("p1.*")).read_bytes()
    next((folder / kind).glob("p1.*")).unlink()
    for ending in endings:
        (folder / kind / f"p1{ending}").write_bytes(content)
    found = find_training_set(folder)
    assert [pair.name for pair in found.pairs] == ["p0"]
    [fault] = found.faults
    assert fault.name == "p1" and all(str(folder / kind / f"p1{ending}") in fault.reason for ending in endings)


def test_what_systems_leave_is_no_photo_and_no_mask(tmp_path: Path) -> None:
    folder = write_pairs(tmp_path, 1)
    for kind, ending in (("imgs", "jpg"), ("labels", "png")):
        for name in (f"._p0.{ending}", f".p1.{ending}", ".DS_Store", "Thumbs.db", "desktop.ini"):
            (folder / kind / name).touch()
    found = find_training_set(folder)
    assert len(found.pairs) == 1 and not found.faults


def test_a_name_that_is_not_utf_8_is_a_fault(tmp_path: Path) -> None:
    folder = write_pairs(tmp_path, 2)
    for path in (folder / "imgs/p1.jpg", folder / "labels/p1.png"):
        path.rename(path.with_name(os.fsdecode(b"p\xff" + path.suffix.encode())))
    found = find_training_set(folder)
    assert [pair.name for pair in found.pairs] == ["p0"]
    assert len(found.faults) == 2 and all(
        "rename it" in fault.reason and fault.reason.encode() for fault in found.faults
    )


def to_fifo(path: Path) -> None:
    os.mkfifo(path)


def to_circle(path: Path) -> None:
    path.symlink_to(path.name)


def to_nowhere(path: Path) -> None:
    path.symlink_to("gone")


@pytest.mark.parametrize("spoil", [to_fifo, to_circle, to_nowhere, Path.mkdir])
@pytest.mark.parametrize("file", ["imgs/p1.jpg", "labels/p1.png"])
def test_a_file_that_can_not_be_opened_is_a_fault_of_its_pair(
    tmp_path: Path, spoil: Callable[[Path], None], file: str
) -> None:
    folder = write_pairs(tmp_path, 2)
    (folder / file).unlink()
    spoil(folder / file)
    found = find_training_set(folder)
    assert not found.faults
    [fault] = check_pairs(found.pairs, MODEL, FileNotes())
    assert fault.name == "p1" and file in fault.reason


def test_every_unusable_picture_is_named(tmp_path: Path) -> None:
    folder = write_pairs(tmp_path, 3)
    (folder / "imgs/p0.jpg").write_bytes((folder / "imgs/p0.jpg").read_bytes()[:200])
    Image.fromarray(np.full((64, 128), 40, np.uint8)).save(folder / "labels/p2.png")
    faults = check_pairs(find_training_set(folder).pairs, MODEL, FileNotes())
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
    assert straight.key == flipped.key == (0, 1, 0)
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
