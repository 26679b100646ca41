"""Landscapes drawn by code: repeatable, exact, and laid out on disk as the contest's."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ecgan.config import ModelConfig
from ecgan.data.images import check_picture, read_mask, read_photo, resize_mask
from ecgan.data.testset import check_pictures, find_test_set
from ecgan.drawn import (
    SEASONS,
    TIMES,
    WEATHERS,
    Style,
    Styles,
    compose,
    draw,
    paint,
    pick_style,
    write_test_set,
    write_training_set,
)
from ecgan.drawn.camera import FAR, Camera, first_below, look
from ecgan.drawn.layout import Layout
from ecgan.drawn.materials import LOOKS, Material
from ecgan.drawn.noise import TILE, detail_tile, fractal_tile, ridged_tile, sample, stream
from ecgan.drawn.plan import KINDS, plan_scene
from ecgan.errors import UserError
from ecgan.file_notes import FileNotes
from ecgan.palette import NAMES, class_id

SMALL = (128, 96)
SKY, WATERS = class_id("sky"), [class_id(name) for name in ("water", "sea", "river", "lake")]


def _seed_of(kind: str) -> int:
    return next(seed for seed in itertools.count() if plan_scene(seed).kind == kind)


def _arrays(layout: Layout) -> dict[str, np.ndarray]:
    values = {field.name: getattr(layout, field.name) for field in dataclasses.fields(layout)}
    return {name: value for name, value in values.items() if isinstance(value, np.ndarray)}


# -- one scene ---------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bytes() -> None:
    (photo, labels), (again, labels_again) = draw(3, SMALL), draw(3, SMALL)
    assert photo.tobytes() == again.tobytes()
    assert labels.tobytes() == labels_again.tobytes()


def test_other_seeds_give_other_scenes() -> None:
    scenes = [draw(seed, SMALL) for seed in range(6)]
    assert len({photo.tobytes() for photo, _ in scenes}) == 6
    assert len({labels.tobytes() for _, labels in scenes}) == 6


@pytest.mark.parametrize("kind", KINDS)
def test_photo_and_mask_of_every_kind_of_scene(kind: str) -> None:
    photo, labels = draw(_seed_of(kind), SMALL)
    assert photo.shape == (96, 128, 3)
    assert photo.dtype == np.uint8
    assert labels.shape == (96, 128)
    assert labels.dtype == np.uint8
    assert labels.max() < len(NAMES)
    assert len(np.unique(labels)) >= 3
    assert photo.std() > 10


@pytest.mark.parametrize("size", [(32, 32), (300, 40), (33, 121), (200, 150)])
@pytest.mark.parametrize("kind", ["lake", "falls", "village"])
def test_any_size_from_the_smallest_on(size: tuple[int, int], kind: str) -> None:
    photo, labels = draw(_seed_of(kind), size)
    assert photo.shape == (size[1], size[0], 3)
    assert labels.shape == (size[1], size[0])


def test_too_small_is_refused() -> None:
    with pytest.raises(UserError, match="31x64"):
        draw(0, (31, 64))


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_is_the_same_scene_at_every_size(kind: str) -> None:
    seed = _seed_of(kind)
    small, large = (compose(seed, size).labels for size in ((160, 120), (320, 240)))
    assert (resize_mask(large, (160, 120)) == small).mean() > 0.85


@pytest.mark.parametrize("seed", range(24))
def test_the_sky_is_above_the_ground(seed: int) -> None:
    labels = compose(seed, SMALL).labels
    sky = labels == SKY
    rows = np.arange(96)[:, None] + np.zeros_like(labels)
    assert rows[sky].mean() < rows[~sky].mean() - 20
    assert not sky[-10:].any()


def test_scenes_show_many_classes() -> None:
    seen: set[int] = set()
    for seed in range(60):
        seen.update(np.unique(compose(seed, SMALL).labels).tolist())
    assert len(seen) >= 15


# -- layout and style --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["lake", "village", "falls"])
def test_painting_leaves_the_layout_as_it_was(kind: str) -> None:
    layout = compose(_seed_of(kind), SMALL)
    before = {name: array.copy() for name, array in _arrays(layout).items()}
    photos = {
        paint(layout, Style(time, weather, season)).tobytes()
        for time, weather, season in itertools.product(TIMES, WEATHERS, SEASONS)
    }
    assert len(photos) == 36
    assert {"labels", "depth", "normal"} <= set(before)
    for name, array in _arrays(layout).items():
        assert np.array_equal(array, before[name]), name


def test_a_given_style_changes_the_photo_and_not_the_mask() -> None:
    own, labels = draw(5, SMALL)
    night, labels_at_night = draw(5, SMALL, Style("night", "clear", "winter"))
    assert labels.tobytes() == labels_at_night.tobytes()
    assert own.tobytes() != night.tobytes()


def test_styles_look_like_their_names() -> None:
    layout = compose(_seed_of("fields"), SMALL)
    ground = layout.labels != SKY

    def mean(style: Style) -> np.ndarray:
        return paint(layout, style)[ground].mean(axis=0)

    noon, winter = mean(Style("noon")), mean(Style("noon", season="winter"))
    assert mean(Style("night")).sum() < 0.5 * noon.sum()
    assert winter.sum() > 1.2 * noon.sum()
    dusk, overcast = mean(Style("dusk")), mean(Style("noon", "overcast"))
    assert dusk[0] / dusk[2] > noon[0] / noon[2]
    assert paint(layout, Style("noon", "haze")).std() < paint(layout, Style("noon")).std()
    assert overcast.sum() < noon.sum()


def test_variation_is_part_of_the_style() -> None:
    layout = compose(1, SMALL)
    photos = [paint(layout, Style(variation=number)).tobytes() for number in (0, 0, 1)]
    assert photos[0] == photos[1] != photos[2]


def test_styles_are_drawn_from_all_there_are() -> None:
    styles = [pick_style(seed) for seed in range(300)]
    assert {style.time for style in styles} == set(TIMES)
    assert {style.weather for style in styles} == set(WEATHERS)
    assert {style.season for style in styles} == set(SEASONS)


@pytest.mark.parametrize("kind", KINDS)
def test_layouts_are_consistent(kind: str) -> None:
    layout = compose(_seed_of(kind), SMALL)
    sky, water = layout.labels == SKY, np.isin(layout.labels, WATERS)
    assert np.array_equal(sky, layout.material == Material.SKY)
    assert np.array_equal(water, layout.material == Material.WATER)
    assert np.array_equal(sky, layout.depth == FAR)
    assert np.allclose((layout.normal**2).sum(axis=0), 1, atol=1e-3)
    for name, array in _arrays(layout).items():
        assert array.dtype in (np.uint8, np.float32), name
        assert np.isfinite(array).all(), name


def test_still_water_shows_what_stands_behind_it() -> None:
    layout = compose(_seed_of("lake"), (256, 192))
    water = np.isin(layout.labels, WATERS)
    row, height = np.nonzero(water)[0], layout.camera.height
    above = layout.mirror[water] % height
    assert (above < row + 0.5).mean() > 0.99


def test_every_material_has_a_look() -> None:
    assert set(LOOKS) == set(Material)


# -- what it is made of ------------------------------------------------------------------------------


def test_streams_depend_on_their_key_alone() -> None:
    assert stream(1, "a").random() == stream(1, "a").random()
    assert len({stream(*key).random() for key in [(1, "a"), (1, "b"), (2, "a"), ("1a",)]}) == 4


@pytest.mark.parametrize("tile", [lambda: fractal_tile("test", 1.2, 2), lambda: ridged_tile("test")])
def test_tiles_are_periodic(tile: Callable[[], np.ndarray]) -> None:
    values = tile()
    assert values.shape == (TILE, TILE)
    inside = np.abs(np.diff(values, axis=0)).mean()
    assert np.abs(values[0] - values[-1]).mean() < 2 * inside


def test_fractal_tiles_are_normalised_and_detail_has_slopes() -> None:
    tile = fractal_tile("test", 1.2, 2)
    assert abs(tile.mean()) < 1e-3
    assert abs(tile.std() - 1) < 1e-3
    tone, across, down = np.moveaxis(detail_tile(), 2, 0)
    step = tone[100, 101] - tone[100, 99], tone[101, 100] - tone[99, 100]
    assert np.sign(step[0]) == np.sign(across[100, 100])
    assert np.sign(step[1]) == np.sign(down[100, 100])


def test_samples_are_the_tiles_values_and_wrap() -> None:
    tile = fractal_tile("test", 1.2, 2)
    u = (np.arange(5, dtype=np.float32) / TILE)[None, :]
    v = np.full((1, 1), 7 / TILE, np.float32)
    assert np.allclose(sample(tile, u, v), tile[7:8, :5], atol=1e-4)
    assert np.allclose(sample(tile, u + 3, v - 2), tile[7:8, :5], atol=0.02)


def _camera() -> Camera:
    return Camera(width=40, height=30, focal=30.0, horizon=12.0, eye=10.0, near=8.0)


def test_flat_ground_is_seen_at_the_distance_of_its_row() -> None:
    camera = _camera()
    ground = np.zeros((len(camera.z), camera.width), np.float32)
    view = look(camera.row(ground, camera.z), camera.rows)
    assert view.sky[:12].all()
    assert not view.sky[13:].any()
    rows = camera.rows[14:, 0]
    expected = camera.eye * camera.focal / (rows - camera.horizon)
    assert np.allclose(view.of(camera.z)[14:, 5], expected, rtol=2e-3)


def test_a_hill_hides_what_is_behind_it() -> None:
    camera = _camera()
    ground = np.zeros((len(camera.z), camera.width), np.float32)
    ground[(camera.z[:, 0] > 50) & (camera.z[:, 0] < 60), :20] = 25
    view = look(camera.row(ground, camera.z), camera.rows)
    z = view.of(camera.z)
    assert (z[9:17, :20] < 62).all()
    assert z[13, 30] > 100
    assert view.sky[:3].all()
    assert not view.sky[5, 0]
    assert view.sky[5, 30]


def test_first_below_finds_what_a_search_finds() -> None:
    rng = np.random.default_rng(0)
    grid = rng.random((37, 5), dtype=np.float32)
    start, rows = rng.integers(0, grid.size, 400), rng.random(400, dtype=np.float32) * 0.2
    found = first_below(grid, start, rows)
    for place, row, result in zip(start, rows, found, strict=True):
        column = grid[place // 5 :, place % 5]
        hits = np.nonzero(column <= row)[0]
        if hits.size:
            assert result == place + 5 * hits[0]
        else:
            assert result >= grid.size


# -- on disk -----------------------------------------------------------------------------------------


def _write(folder: Path, pairs: int = 4, masks: int = 6, seed: int = 0) -> tuple[Path, Path]:
    train, test = folder / "train", folder / "test"
    write_training_set(train, pairs, seed, SMALL)
    write_test_set(test, train, masks, seed, SMALL)
    return train, test


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_training_pairs_have_the_same_names_and_the_drawn_content(tmp_path: Path) -> None:
    train, _ = _write(tmp_path)
    photos, masks = sorted((train / "imgs").iterdir()), sorted((train / "labels").iterdir())
    assert [path.stem for path in photos] == [path.stem for path in masks]
    assert {path.suffix for path in photos} == {".jpg"}
    assert {path.suffix for path in masks} == {".png"}
    assert len(photos) == 4
    for photo, mask in zip(photos, masks, strict=True):
        check_picture(photo, SMALL)
        assert read_mask(mask, ModelConfig()).shape == (96, 128)
        assert read_photo(photo).shape == (96, 128, 3)


def test_the_test_set_is_without_faults(tmp_path: Path) -> None:
    train, test = _write(tmp_path)
    found = find_test_set(test, train / "imgs")
    assert found.faults == ()
    assert len(found.items) == 6
    assert not check_pictures(found.items, ModelConfig(), FileNotes()).faults
    references = json.loads((test / "label_to_img.json").read_text(encoding="utf-8"))
    assert sorted(references) == sorted(path.name for path in (test / "val_B_labels_resized").iterdir())
    assert set(references.values()) <= {path.name for path in (train / "imgs").iterdir()}


def test_test_masks_are_of_other_scenes(tmp_path: Path) -> None:
    train, test = _write(tmp_path)
    trained = {path.read_bytes() for path in (train / "labels").iterdir()}
    tested = {path.read_bytes() for path in (test / "val_B_labels_resized").iterdir()}
    assert len(trained) == 4
    assert len(tested) == 6
    assert not trained & tested


def test_writing_again_gives_the_same_files_and_another_seed_others(tmp_path: Path) -> None:
    _write(tmp_path / "one")
    first = _contents(tmp_path / "one")
    _write(tmp_path / "one")
    assert _contents(tmp_path / "one") == first
    _write(tmp_path / "two", seed=1)
    second = _contents(tmp_path / "two")
    assert set(second) == set(first)
    assert all(second[name] != first[name] for name in first if not name.endswith(".json"))


def test_a_larger_set_begins_with_the_smaller_one(tmp_path: Path) -> None:
    write_training_set(tmp_path / "small", 2, 0, SMALL)
    write_training_set(tmp_path / "large", 3, 0, SMALL)
    small, large = _contents(tmp_path / "small"), _contents(tmp_path / "large")
    assert small.items() < large.items()


def test_folders_with_other_pictures_are_refused(tmp_path: Path) -> None:
    train, test = _write(tmp_path)
    with pytest.raises(UserError, match=" 1 "):
        write_training_set(train, 3, 0, SMALL)
    with pytest.raises(UserError, match="val_B_labels_resized.* 2 "):
        write_test_set(test, train, 4, 0, SMALL)


def test_references_need_training_photos(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=re.escape(str(tmp_path / "train"))):
        write_test_set(tmp_path / "test", tmp_path / "train", 2, 0, SMALL)


def test_styles_are_picked_among_those_that_may_be() -> None:
    few = Styles(times=("noon", "dusk"), weathers=("haze",))
    picked = [pick_style(seed, few) for seed in range(60)]
    assert {style.time for style in picked} == {"noon", "dusk"} and {style.weather for style in picked} == {"haze"}
    assert {style.season for style in picked} == set(SEASONS)


def test_a_set_is_drawn_by_a_command(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ecgan.drawn", str(tmp_path / "set"), "2", "--size", "64x48", "--seed", "3"]
    drawn = subprocess.run([*command, "--times", "noon", "--seasons", "summer"], capture_output=True, text=True)
    assert drawn.returncode == 0, drawn.stderr
    write_training_set(tmp_path / "ours", 2, 3, (64, 48), Styles(("noon",), seasons=("summer",)))
    for name in ("imgs/scene_00001.jpg", "labels/scene_00001.png"):
        assert (tmp_path / "set" / name).read_bytes() == (tmp_path / "ours" / name).read_bytes()
    for wrong, words in ((("--times", "noon,tea"), "'tea'"), (("--size", "64"), "'64'")):
        refused = subprocess.run([*command, *wrong], capture_output=True, text=True)
        assert refused.returncode == 2 and words in refused.stderr and "Traceback" not in refused.stderr
    test = [*command[:3], str(tmp_path / "test"), "3", "--references", str(tmp_path / "set"), "--size", "64x48"]
    assert subprocess.run(test).returncode == 0
    assert len(find_test_set(tmp_path / "test", tmp_path / "set/imgs").items) == 3
    assert subprocess.run([*test, "--times", "noon"], capture_output=True).returncode == 2
    (tmp_path / "set/imgs/mine.jpg").touch()
    refused = subprocess.run(command, capture_output=True, text=True)
    assert refused.returncode == 2 and "mine.jpg" in refused.stderr and "Traceback" not in refused.stderr
