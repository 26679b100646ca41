"""An experiment's file: what it comes to, and that everything wrong in it is told at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT

from ecgan.errors import UserError
from jobs.experiment import chains
from jobs.experiment.chains import Chain
from jobs.experiment.settings import read_experiment
from jobs.experiment.variants import variants_of

SMALL = {"size": "64x32", "ngf": 4, "ndf": 4, "num_upsampling_layers": "normal", "lambda_vgg": 0}


def written(folder: Path, **values: Any) -> Path:
    file = folder / "e.yaml"
    file.write_text(yaml.safe_dump(values, sort_keys=False))
    return file


def resolved(folder: Path, **values: Any) -> tuple[list[Chain], list[str]]:
    return chains.resolve(read_experiment(written(folder, **values)), folder / "e", lambda path, _: path)


def test_a_chain_for_each_variant_and_seed(tmp_path: Path) -> None:
    found, faults = resolved(
        tmp_path,
        train=SMALL | {"lr": 0.1},
        generate={"shards": 2},
        score={},
        variants={"a": None, "b": {"train": {"lr": 0.2}, "generate": {"noise": 0}}},
        seeds=[3, 5],
    )
    assert not faults
    assert [(chain.variant, chain.seed) for chain in found] == [("a", 3), ("a", 5), ("b", 3), ("b", 5)]
    assert [chain.settings["train"]["lr"] for chain in found] == [0.1, 0.1, 0.2, 0.2]
    assert [chain.settings["train"]["seed"] for chain in found] == [3, 5, 3, 5]
    last = found[-1]
    assert last.differs == {"train.lr": 0.2, "generate.noise": 0}
    assert last.settings["generate"]["checkpoint"] == last.settings["train"]["run_dir"]
    assert last.settings["score"]["results"] == last.settings["generate"]["output_path"]
    assert len({chain.settings["train"]["run_dir"] for chain in found}) == 4
    assert list(last.settings) == ["train", "generate", "score"]


def test_a_grid_is_every_combination_of_every_variant(tmp_path: Path) -> None:
    grid = {"train": {"lr": [0.1, 0.2], "augment": ["none", "colour,cutout"]}}
    alone = variants_of(read_experiment(written(tmp_path, train=SMALL, grid=grid)))
    assert [each.name for each in alone] == [
        *("lr=0.1,augment=none", "lr=0.1,augment=colour-cutout"),
        *("lr=0.2,augment=none", "lr=0.2,augment=colour-cutout"),
    ]
    named = variants_of(read_experiment(written(tmp_path, train=SMALL, grid=grid, variants={"a": None, "b": None})))
    assert len(named) == 8 and named[-1].name == "b,lr=0.2,augment=colour-cutout"
    assert named[-1].differs == {"train.lr": 0.2, "train.augment": "colour,cutout"}


def test_a_base_may_be_any_of_the_projects_files(tmp_path: Path) -> None:
    for file in sorted((ROOT / "configs").glob("*.yaml")):
        stage = "generate" if file.stem == "generate" else "train"
        more = {"checkpoint": "drawn"} if stage == "generate" else {"lambda_guide": 0, "lambda_guide_feat": 0}
        of_network = {} if file.stem == "segmenter" else more
        found, faults = resolved(tmp_path, **{stage: {"config": str(file), **of_network}})
        assert (
            not faults
            and Path(found[0].folder) in Path(found[0].settings[stage].get("run_dir", found[0].results)).parents
        )


def test_of_several_files_the_later_and_then_the_options_win(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text("lr: 0.1\nbeta1: 0.2\nbatch_size: 2\nrun_dir: elsewhere\n")
    (tmp_path / "two.yaml").write_text("beta1: 0.3\nbatch_size: 4\n")
    files = [str(tmp_path / name) for name in ("one.yaml", "two.yaml")]
    found, faults = resolved(tmp_path, train=SMALL | {"config": files, "batch_size": 8})
    settings = found[0].settings["train"]
    assert not faults and (settings["lr"], settings["beta1"], settings["batch_size"]) == (0.1, 0.3, 8)
    assert settings["run_dir"] == str(found[0].training)


def test_what_is_drawn_is_what_stages_take(tmp_path: Path) -> None:
    found, _ = resolved(
        tmp_path, drawn={"pairs": 2, "masks": 3, "size": "64x32"}, train=SMALL, generate={}, score={}, gallery={}
    )
    [chain] = found
    train, test = Path(chain.settings["train"]["input_path"]), Path(chain.settings["generate"]["input_path"])
    assert train.is_relative_to(tmp_path / "e") and test.parent == train.parent
    for stage in ("generate", "score", "gallery"):
        assert chain.settings[stage]["input_path"] == str(test)
        assert chain.settings[stage]["img_path"] == str(train / "imgs")


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({}, "train"),
        ({"trian": {}}, "trian"),
        ({"train": [1]}, "train"),
        ({"train": {}, "gallery": {}}, "gallery"),
        ({"train": {}, "score": {}}, "score"),
        ({"train": {}, "seeds": []}, "seeds"),
        ({"train": {}, "seeds": [1, 1]}, "seeds"),
        ({"train": {}, "seeds": ["x"]}, "seeds"),
        ({"train": {}, "at_once": 0}, "at_once"),
        ({"train": {}, "variants": {"../a": None}}, "variants"),
        ({"train": {}, "variants": {1: None}}, "variants: expected `str`, got `int` as a name"),
        ({"train": {}, "variants": {"a": {"lr": 1}}}, "variants.a.lr"),
        ({"train": {}, "grid": {"lr": [1]}}, "grid.lr"),
        ({"train": {}, "grid": {"train": {"lr": []}}}, "train.lr"),
        ({"train": {}, "grid": {"train": {"lr": 1}}}, "grid"),
        ({"train": {}, "drawn": {"pairs": 0, "masks": 1}}, "drawn.pairs"),
        ({"train": {}, "drawn": {"pairs": 1}}, "masks"),
        ({"train": {}, "drawn": {"pairs": 1, "masks": 1, "size": "x"}}, "drawn.size"),
        ({"train": {}, "drawn": {"pairs": 1, "masks": 1, "size": "64x31"}}, "drawn.size"),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path: Path, values: dict[str, Any], named: str) -> None:
    file = written(tmp_path, **values)
    with pytest.raises(UserError) as refused:
        read_experiment(file)
    assert named in str(refused.value) and str(file) in str(refused.value)


def test_variants_that_can_not_be_told_apart_are_refused(tmp_path: Path) -> None:
    twice = written(tmp_path, train=SMALL, grid={"train": {"augment": ["a,b", "a-b"]}})
    with pytest.raises(UserError, match="augment=a-b"):
        variants_of(read_experiment(twice))
    said = written(tmp_path, train=SMALL, grid={"train": {"lr": [1]}}, variants={"x": {"train": {"lr": 2}}})
    with pytest.raises(UserError, match="lr.*variant x"):
        variants_of(read_experiment(said))


def test_a_name_too_long_for_a_file_is_refused(tmp_path: Path) -> None:
    grid = {"train": {"lr": [0.1], "beta1": [0.5]}}
    with pytest.raises(UserError, match="200 characters"):
        variants_of(read_experiment(written(tmp_path, train=SMALL, grid=grid, variants={"x" * 190: None})))


def test_all_that_is_wrong_with_settings_is_told_at_once(tmp_path: Path) -> None:
    _, faults = resolved(
        tmp_path,
        train=SMALL | {"config": "no/such.yaml"},
        generate={"checkpoint": "x", "shard": 2},
        variants={
            "a": None,
            "b": {"train": {"lr": -1}},
            "c": {"train": {"run_dir": "x", "seed": 1, "ngf": "many", "nfg": 1}},
            "d": {"score": {"shards": 2}},
            "e": {"train": {"network": "segmenter", "ngf": 64}},
        },
        gallery={"config": [3]},
        seeds=[0, 1],
    )
    text = "\n".join(faults)
    for words in ("no/such.yaml", "b: train: --lr", "ngf", "nfg", "run_dir", "seed", "d: score", "gallery: config: 3"):
        assert words in text, words
    [once] = [fault for fault in faults if "shard: no such option" in fault]  # and not for each seed
    assert once.startswith("a, b, c, d, e: generate: checkpoint")


def test_without_a_training_the_seed_is_the_styles_and_a_checkpoint_is_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine").mkdir()
    found, faults = resolved(tmp_path, generate={"checkpoint": "mine"}, seeds=[4])
    assert not faults and found[0].settings["generate"]["seed"] == 4
    assert found[0].settings["generate"]["checkpoint"] == str(tmp_path / "mine")  # from wherever it is run
    assert "seed" in resolved(tmp_path, generate={"checkpoint": "mine", "seed": 1})[1][0]
    assert "checkpoint" in resolved(tmp_path, train=SMALL, generate={"checkpoint": "mine"})[1][0]


def test_a_plan_is_read_as_it_was_saved(tmp_path: Path) -> None:
    found, _ = resolved(tmp_path, train=SMALL, generate={}, variants={"a": None, "b": {"train": {"lr": 1}}})
    home = tmp_path / "e"
    home.mkdir()
    chains.save(home / "plan.json", found)
    assert list(chains.load(home / "plan.json")) == found
    moved = home.rename(tmp_path / "moved")
    [chain, _] = chains.load(moved / "plan.json")
    assert chain.home == moved and chain.settings["train"]["run_dir"] == str(chain.training)
    folder = json.loads((moved / "plan.json").read_text())["chains"][0] | {"folder": "a"}
    for text in ('{"chains": 3}', json.dumps({"chains": [folder]})):
        (moved / "plan.json").write_text(text)
        with pytest.raises(UserError):
            chains.load(moved / "plan.json")


@pytest.mark.parametrize("file", sorted((ROOT / "configs/experiments").glob("*.yaml")), ids=lambda path: path.name)
def test_the_examples_are_right(file: Path, tmp_path: Path) -> None:
    experiment = read_experiment(file)
    found, faults = chains.resolve(experiment, tmp_path, lambda path, _: ROOT / path)
    assert not faults and len(found) > 1 and experiment.drawn
