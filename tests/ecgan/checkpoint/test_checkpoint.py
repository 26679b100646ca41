"""Finding, opening, saving and converting checkpoints."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT, in_process
from test_original_pickles import write

from ecgan.checkpoint import ModelOverrides, find_newest, native, open_checkpoint, open_pickles, tensors
from ecgan.checkpoint.infer import infer_model
from ecgan.config import ModelConfig
from ecgan.errors import UserError


@pytest.fixture
def as_original(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    """The tiny checkpoint in the original's format, with no opt.txt."""
    checkpoint = open_checkpoint(tiny_checkpoint)
    folder = tmp_path / "original"
    folder.mkdir()
    for network in ("G", "E", "D"):
        write(folder / f"20_net_{network}.pkl", checkpoint.arrays(network))
    return folder


def test_saved_checkpoint_comes_back(tmp_path: Path, tiny_checkpoint: Path) -> None:
    first = open_checkpoint(tiny_checkpoint)
    native.save(tmp_path / "copy", {name: first.arrays(name) for name in "GED"}, first.model, {})
    second = open_checkpoint(tmp_path / "copy")
    assert second.model == first.model and second.painting_hash == first.painting_hash
    assert np.array_equal(second.arrays("G")["fc.weight"], first.arrays("G")["fc.weight"])
    with pytest.raises(UserError, match="exists already"):
        native.save(tmp_path / "copy", {}, first.model, {})


def test_moving_average_is_painted_with(tmp_path: Path, tiny_checkpoint: Path) -> None:
    first = open_checkpoint(tiny_checkpoint)
    networks = {"G": first.arrays("G"), "G_ema": first.arrays("G"), "E": first.arrays("E")}
    native.save(tmp_path / "ema", networks, first.model, {})
    assert first.generator == "G"
    assert open_checkpoint(tmp_path / "ema").generator == "G_ema"


def test_damaged_checkpoint_is_named(tmp_path: Path, tiny_checkpoint: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(tiny_checkpoint, folder)
    content = bytearray((folder / "E.safetensors").read_bytes())
    content[-5] ^= 1
    (folder / "E.safetensors").write_bytes(content)
    with pytest.raises(UserError, match=r"E\.safetensors"):
        open_checkpoint(folder).arrays("E")
    (folder / "E.safetensors").unlink()
    with pytest.raises(UserError, match=r"E\.safetensors"):
        open_checkpoint(folder)
    text = (folder / "checkpoint.json").read_text()
    for damaged in (text.replace("label_nc", "label]nc"), text.replace('"width": 128', '"width": 129')):
        (folder / "checkpoint.json").write_text(damaged)
        with pytest.raises(UserError, match="checkpoint.json is damaged"):
            open_checkpoint(folder)
    (folder / "checkpoint.json").write_text("{}")
    with pytest.raises(UserError, match=r"checkpoint\.json"):
        open_checkpoint(folder)


def test_size_of_an_original_without_options_must_fit(as_original: Path) -> None:
    with pytest.raises(UserError, match="8 positions.*default.*network_size=WxH"):
        open_checkpoint(as_original, "20")
    overrides = ModelOverrides((128, 64), "normal")
    model = open_checkpoint(as_original, "20", overrides).model
    assert (model.width, model.height, model.num_upsampling_layers) == (128, 64, "normal")
    assert open_checkpoint(as_original / "20_net_E.pkl", overrides=overrides).model == model
    with pytest.raises(UserError, match=" 20"):
        open_checkpoint(as_original)


def test_shapes_tell_dont_care_class_and_upsampling() -> None:
    shapes = {
        "G": {
            "head_0.conv_0.weight_orig": (512, 512, 3, 3),
            "head_0.norm_0.mlp_shared.0.weight": (128, 30, 3, 3),
            "conv_comb1.weight": (29, 68, 3, 3),
            "up_4.conv_0.weight_orig": (16, 32, 3, 3),
            "fc.weight": (512 * 4 * 3, 256),
        },
        "E": {"fc_mu.weight": (256, 4096)},
    }
    model, source = infer_model(Path("x"), shapes, {}, ModelOverrides())
    assert model == ModelConfig(ngf=32, contain_dontcare_label=True, num_upsampling_layers="most")
    assert "512x384" in source


@pytest.mark.process
def test_converting_keeps_every_tensor(as_original: Path, tmp_path: Path, tiny_checkpoint: Path) -> None:
    pickles = sorted(map(str, as_original.glob("*.pkl")))
    command = [sys.executable, str(ROOT / "launch" / "convert.py"), *pickles, str(tmp_path / "out")]
    command += ["--network-size", "128x64", "--num_upsampling_layers", "normal"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "128x64" in done.stdout
    first, second = open_checkpoint(tiny_checkpoint), open_checkpoint(tmp_path / "out")
    for network in ("G", "E", "D"):
        before, after = first.arrays(network), second.arrays(network)
        assert before.keys() == after.keys()
        assert all(np.array_equal(before[name], after[name]) for name in before)
    again = subprocess.run(command, capture_output=True, text=True)
    assert again.returncode == 2 and str(tmp_path / "out") in again.stderr


def test_newest_checkpoint_is_found_through_links(tmp_path: Path, tiny_checkpoint: Path, as_original: Path) -> None:
    assert find_newest([tmp_path / "nothing"]) is None
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "link").symlink_to(as_original)
    shutil.copytree(tiny_checkpoint, tmp_path / "runs" / "ours")
    os.utime(tmp_path / "runs" / "ours" / "checkpoint.json", (1, 1))
    assert find_newest([tmp_path / "runs"]) == tmp_path / "runs" / "link"
    os.utime(tmp_path / "runs" / "ours" / "checkpoint.json")
    assert find_newest([tmp_path / "runs"]) == tmp_path / "runs" / "ours"
    native.save(tmp_path / "runs/segmenter/states/step-00000001", {"S": {}}, ModelConfig(), {})  # can't paint
    assert find_newest([tmp_path / "runs"]) == tmp_path / "runs" / "ours"
    assert find_newest([tmp_path / "runs/segmenter"]) is None


def test_epoch_that_has_no_effect_is_refused(tiny_checkpoint: Path, as_original: Path) -> None:
    with pytest.raises(UserError, match="which_epoch=20"):
        open_checkpoint(tiny_checkpoint, "20")
    with pytest.raises(UserError, match=r"20_net_G\.pkl"):
        open_checkpoint(as_original / "20_net_G.pkl", "30")


@pytest.mark.parametrize("part", [{"model": [1]}, {"model": {"width": "512"}}, {"sha256": [1]}, {"format": 2}])
def test_description_that_is_wrong_is_no_traceback(tmp_path: Path, tiny_checkpoint: Path, part: dict[str, Any]) -> None:
    shutil.copytree(tiny_checkpoint, tmp_path / "copy")
    path = tmp_path / "copy" / "checkpoint.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | part))
    with pytest.raises(UserError):
        open_checkpoint(tmp_path / "copy")


def test_tensors_that_changed_since_they_were_opened_are_refused(as_original: Path) -> None:
    checkpoint = open_checkpoint(as_original, "20", ModelOverrides((128, 64), "normal"))
    write(as_original / "20_net_E.pkl", checkpoint.arrays("E") | {"fc_mu.bias": np.zeros(256, np.float32)})
    with pytest.raises(UserError, match=r"20_net_E\.pkl"):
        checkpoint.arrays("E")


def test_tensors_that_do_not_fit_are_named(tiny_checkpoint: Path) -> None:
    from ecgan.networks import Encoder, load_arrays

    checkpoint = open_checkpoint(tiny_checkpoint)
    arrays = checkpoint.arrays("E")
    arrays["fc_mu.bias"] = arrays["fc_mu.bias"][:-1]
    arrays["extra"] = arrays.pop("fc_var.bias")
    with pytest.raises(UserError, match=r"(?s)fc_var\.bias.*extra.*fc_mu\.bias"):
        load_arrays(Encoder(checkpoint.model), arrays, "E")


def test_description_is_readable(tiny_checkpoint: Path) -> None:
    description = json.loads((tiny_checkpoint / "checkpoint.json").read_text())
    assert description["model"]["ngf"] == 4 and set(description["sha256"]) == {f"{n}.safetensors" for n in "GED"}


@pytest.mark.parametrize(
    "model",
    [
        ModelConfig(128, 64, ngf=4, ndf=4, num_upsampling_layers="normal"),
        ModelConfig(128, 128, 5, True, 6, 300, num_upsampling_layers="most", num_D=1, n_layers_D=3, noise_maps=True),
        ModelConfig(128, 64, ngf=4, ndf=4, num_upsampling_layers="normal", colour_means=True),
    ],
)
def test_tensors_are_known_without_building_the_networks(model: ModelConfig) -> None:
    from ecgan.networks import Discriminator, Encoder, Generator

    for name, network in {"G": Generator, "E": Encoder, "D": Discriminator}.items():
        built = {key: tuple(var.shape) for key, var in network(model).state_dict().items()}
        assert tensors.of_file(name, model) == built


@pytest.mark.parametrize(
    ("told", "named"),
    [
        ({"z_dim": 255}, "G.safetensors.*fc.weight has shape"),
        ({"width": 256}, "G.safetensors.*fc.weight has shape"),
        ({"ngf": 10**12}, "ngf is 1000000000000"),
        ({"width": 10**12 * 32}, "width is"),
        ({"num_D": 10**12}, "num_D is"),
    ],
)
def test_a_model_that_is_not_its_tensors_is_refused_when_it_is_opened(
    tmp_path: Path, tiny_checkpoint: Path, told: dict[str, Any], named: str
) -> None:
    shutil.copytree(tiny_checkpoint, tmp_path / "copy")
    path = tmp_path / "copy" / "checkpoint.json"
    description = json.loads(path.read_text())
    description["model"] |= told
    path.write_text(json.dumps(description))
    with pytest.raises(UserError, match=named):
        open_checkpoint(tmp_path / "copy")


def test_tensors_that_are_not_the_models_are_refused_when_they_are_opened(
    tmp_path: Path, tiny_checkpoint: Path, as_original: Path
) -> None:
    checkpoint = open_checkpoint(tiny_checkpoint)
    wrong = checkpoint.arrays("E") | {"layer4.0.weight_u": np.zeros(3, np.float32)}
    native.save(tmp_path / "ours", {"G": checkpoint.arrays("G"), "E": wrong}, checkpoint.model, {})
    with pytest.raises(UserError, match=r"E\.safetensors.*layer4\.0\.weight_u"):
        open_checkpoint(tmp_path / "ours")
    write(as_original / "20_net_E.pkl", wrong)
    with pytest.raises(UserError, match=r"20_net_E\.pkl.*layer4\.0\.weight_u"):
        open_checkpoint(as_original, "20", ModelOverrides((128, 64), "normal"))
    (tmp_path / "ours/G.safetensors").write_bytes((tmp_path / "ours/G.safetensors").read_bytes()[:-1])
    with pytest.raises(UserError, match=r"G\.safetensors is damaged"):  # cut off: seen in its header
        open_checkpoint(tmp_path / "ours")


@pytest.mark.parametrize(
    "text",
    [
        f"crop_size: {'9' * 401}",
        "crop_size: 512\naspect_ratio: 1e-320",
        "crop_size: 512\naspect_ratio: nan",
        "crop_size: 512\naspect_ratio: 0",
        "crop_size: 1000000000000",
        "crop_size: -512",
        "crop_size: wide",
        "no_instance: False",
    ],
)
def test_what_can_not_be_in_an_opt_txt_is_told_with_its_folder(as_original: Path, text: str) -> None:
    (as_original / "opt.txt").write_text(text)
    with pytest.raises(UserError, match=str(as_original)):
        open_checkpoint(as_original, "20")


def test_an_opt_txt_that_can_not_be_read_is_told(as_original: Path) -> None:
    with open(as_original / "opt.txt", "wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(UserError, match=r"opt\.txt"):
        open_checkpoint(as_original, "20")


def test_files_to_convert_are_named_as_they_were_given(as_original: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"missing_net_G\.pkl"):
        open_pickles([tmp_path / "missing_net_G.pkl"])
    with pytest.raises(UserError, match=r"20_net_G\.pkl.*network E"):
        open_pickles([as_original / "20_net_G.pkl"])


def test_half_of_the_bytes_paint_the_same_but_for_rounding(tiny_checkpoint: Path, tmp_path: Path) -> None:
    """What is handed on: the generator to paint with as G, and E; read as float32 again."""
    small = tmp_path / "small"
    job = in_process([sys.executable, ROOT / "launch/convert.py", "--half", tiny_checkpoint, small], tmp_path)
    assert job.returncode == 0, job.stderr
    whole, half = open_checkpoint(tiny_checkpoint), open_checkpoint(small)
    half.verify()
    assert set(half.files) == {"G", "E"} and half.model == whole.model
    for name in ("G", "E"):
        assert half.files[name].stat().st_size < 0.52 * whole.files[name].stat().st_size
    for theirs, ours in ((whole.arrays(whole.generator), half.arrays("G")), (whole.arrays("E"), half.arrays("E"))):
        assert all(array.dtype == np.float32 for array in ours.values())
        assert all(np.allclose(ours[name], array, rtol=1e-3, atol=1e-6) for name, array in theirs.items())
