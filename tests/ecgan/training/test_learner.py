"""The step and what it changes: accumulation, moving average, spectral norm, saving and going on."""

from __future__ import annotations

import dataclasses
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import draw_mask, draw_photo

from ecgan.checkpoint import tensors
from ecgan.config import FIRST_NOISE_STRENGTH, ModelConfig
from ecgan.data.edges import edge_map
from ecgan.errors import UserError
from ecgan.memory import parameter_counts, state_size
from ecgan.runtime.warming import warm_training
from ecgan.training.recipe import AdamSettings, LossWeights, Recipe
from ecgan.training.schedule import Schedule

MODEL = ModelConfig(128, 64, ngf=4, ndf=4, num_upsampling_layers="normal")
RECIPE = Recipe(LossWeights(lambda_vgg=0.0), ema_decay=0.9)


@pytest.fixture(autouse=True, scope="module")
def _compiled() -> None:
    warm_training(MODEL, RECIPE, 2, "cpu")  # on all cores, where this process would compile on one


def make(recipe: Recipe = RECIPE, model: ModelConfig = MODEL, guide: Any = None) -> Any:
    from ecgan.training.learner import Learner
    from ecgan.training.world import World

    learner = Learner(model, recipe, World(0, 1, ["here"], None), guide=guide)
    learner.initialise(seed=3)
    return learner


def sample(index: int) -> Any:
    from ecgan.training.loader import LoadedSample

    photo = draw_photo(index)
    noise = np.random.default_rng(index).standard_normal((2, MODEL.z_dim)).astype(np.float32)
    return LoadedSample(f"s{index}", draw_mask(index), photo, edge_map(photo), noise)


def weights(learner: Any) -> dict[str, np.ndarray]:
    return {f"{part}.{name}": a for part, tensors in learner.to_arrays().items() for name, a in tensors.items()}


def goes_on_to_the_bit(recipe: Recipe, batches: list[list[Any]], learners: str) -> tuple[dict[str, float], set[str]]:
    """Takes a step with each batch, and again with a new learner after the first: both must end with the same weights.

    `learners`: letters of the networks beside G and E, by which the size of a state is known before. Returns the last
    losses, and what a state has.
    """
    whole, first, resumed = (make(recipe) for _ in range(3))
    for batch in batches:
        losses = whole.step(batch, 1e-3)
    first.step(batches[0], 1e-3)
    arrays = first.to_arrays()
    shapes = {name: {key: array.shape for key, array in each.items()} for name, each in arrays.items()}
    assert all(of_file == tensors.of_file(name, MODEL) for name, of_file in shapes.items())
    learnt = sum(tensors.count(tensors.trained(each)) for each in shapes.values())
    assert 4 * learnt == state_size(MODEL, bool(recipe.ema_decay), learners)
    resumed.load(lambda name: arrays[name], first.counters, "state")
    for batch in batches[1:]:
        resumed.step(batch, 1e-3)
    ours, theirs = weights(whole), weights(resumed)
    assert [name for name in ours if not np.array_equal(ours[name], theirs[name])] == []
    return losses, set(arrays)


def test_first_weights_are_a_function_of_the_seed() -> None:
    first, again = weights(make()), weights(make())
    assert all(np.array_equal(first[name], again[name]) for name in first)
    kernel = first["G.head_0.conv_0.weight_orig"]
    fan = kernel[0].size + kernel[:, 0].size
    assert kernel.std() == pytest.approx(0.02 * (2 / fan) ** 0.5, rel=0.05)
    assert not first["G.conv_img1.bias"].any() and (first["G.head_0.norm_0.param_free_norm.running_var"] == 1).all()
    other = make()
    other.initialise(seed=4)
    assert not np.array_equal(kernel, weights(other)["G.head_0.conv_0.weight_orig"])
    other.initialise(seed=3, init_type="orthogonal", gain=1.0)
    rows = weights(other)["E.fc_mu.weight"]
    rows = rows if rows.shape[0] <= rows.shape[1] else rows.T
    assert np.allclose(rows @ rows.T, np.eye(len(rows)), atol=1e-4)


@pytest.mark.slow
def test_micro_batches_add_up_to_the_batch() -> None:
    """Of equal samples BatchNorm sees the same statistics in a micro-batch as in the batch, so nothing may differ."""
    from ecgan.training.batch import Batch
    from ecgan.training.step import generator_losses

    twins = [sample(0), dataclasses.replace(sample(0), name="twin")]
    whole, parts = make(), make(dataclasses.replace(RECIPE, micro_batch=1))
    batch = Batch.of(twins, MODEL.semantic_nc)
    halves = [Batch.of([twin], MODEL.semantic_nc, parts=2) for twin in twins]
    at_once = whole.gradients(whole._painters, generator_losses, [batch])
    summed = parts.gradients(parts._painters, generator_losses, halves)
    for name, value in at_once.terms.items():
        assert summed.terms[name] == pytest.approx(value, rel=1e-4), name
    distances = [
        (np.linalg.norm(a.numpy() - b.numpy()), np.linalg.norm(a.numpy()))
        for a, b in zip(at_once.values, summed.values, strict=True)
    ]
    largest = max(norm for _, norm in distances)
    assert all(distance <= 0.01 * norm + 1e-5 * largest for distance, norm in distances)


@pytest.mark.slow
def test_the_average_follows_slowly() -> None:
    learner = make()
    before = weights(learner)
    for number in range(3):
        learner.step([sample(number), sample(number + 1)], 1e-3)
    after = weights(learner)
    name = "conv_img1.weight"
    moved = np.abs(after[f"G.{name}"] - before[f"G.{name}"]).sum()
    followed = np.abs(after[f"G_ema.{name}"] - before[f"G_ema.{name}"]).sum()
    assert 0 < followed < moved
    assert "G_ema.head_0.norm_0.param_free_norm.running_mean" in after
    assert learner.counters == {"adam_GE": 3, "adam_D": 3}


@pytest.mark.slow
def test_d_may_take_more_steps_than_g() -> None:
    learner = make(dataclasses.replace(RECIPE, d_steps_per_g=2))
    losses = [set(learner.step([sample(0), sample(1)], 1e-4)) for _ in range(3)]
    assert losses[0] == losses[2] == {"KLD", "GAN", "GAN_Feat", "D_Fake", "D_real"}
    assert losses[1] == {"D_Fake", "D_real"}
    assert learner.counters == {"adam_GE": 2, "adam_D": 3}


@pytest.mark.slow
def test_the_fakes_of_the_g_step_may_serve_the_d_step(monkeypatch: pytest.MonkeyPatch) -> None:
    from ecgan.networks import Generator

    painted = []
    paint = Generator.execute
    monkeypatch.setattr(Generator, "execute", lambda self, *what: painted.append(1) or paint(self, *what))
    anew, reused = make(), make(dataclasses.replace(RECIPE, reuse_fakes=True, d_steps_per_g=2))
    losses = [learner.step([sample(0), sample(1)], 1e-4) for learner in (anew, reused)]
    assert len(painted) == 3
    of_g = ("KLD", "GAN", "GAN_Feat")
    assert [losses[0][name] for name in of_g] == [losses[1][name] for name in of_g]
    for name in ("D_real", "D_Fake"):
        assert losses[0][name] == pytest.approx(losses[1][name], rel=0.01)
    reused.step([sample(0), sample(1)], 1e-4)  # a D step without a G step paints its own
    assert len(painted) == 4


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["ls", "original", "w"])
def test_every_gan_mode_trains(mode: Any) -> None:
    learner = make(Recipe(LossWeights(gan_mode=mode, lambda_vgg=0.0)))
    before = weights(learner)
    for _ in range(2):
        assert all(np.isfinite(value) for value in learner.step([sample(0), sample(1)], 1e-4).values())
    after = weights(learner)
    for name in ("G.up_0.conv_0.weight_orig", "E.fc_mu.weight", "D.sequential.discriminator_1.models.model0.0.weight"):
        assert np.isfinite(after[name]).all() and not np.array_equal(before[name], after[name])


@pytest.mark.slow
def test_spectral_normalisation_is_real_when_asked_for() -> None:
    model = dataclasses.replace(MODEL, spectral_norm=True)
    learner = make(model=model)
    layer = learner.networks.generator.up_0.conv_0
    before = layer.weight_u.numpy()
    for _ in range(12):
        learner.step([sample(0), sample(1)], 1e-5)
    assert not np.array_equal(before, layer.weight_u.numpy())
    layer.eval()
    for each in (layer, learner.average.up_0.conv_0):  # whose mean vectors would be shorter than 1
        normalised = each._normalised().numpy()
        singular = np.linalg.svd(normalised.reshape(len(normalised), -1), compute_uv=False)
        assert singular[0] == pytest.approx(1.0, abs=0.05)
        assert np.linalg.norm(each.weight_u.numpy()) == pytest.approx(1.0, abs=1e-4)
    raw = layer.weight_orig.numpy()
    assert np.linalg.svd(raw.reshape(len(raw), -1), compute_uv=False)[0] != pytest.approx(1.0, abs=0.3)


@pytest.mark.slow
def test_how_much_noise_g_adds_is_learned_and_a_state_has_it() -> None:
    model, name = dataclasses.replace(MODEL, noise_maps=True), "up_2.noise_strength"
    samples = [dataclasses.replace(sample(index), key=(3, 0, index)) for index in range(2)]
    first, resumed = make(model=model), make(model=model)
    begun = first.to_arrays()["G"]
    first.step(samples, 1e-3)
    saved = first.to_arrays()
    assert (begun[name] == FIRST_NOISE_STRENGTH).all() and (saved["G"][name] != begun[name]).all()
    assert (begun["noise_strength"] == FIRST_NOISE_STRENGTH).all()
    seen = np.unique([each.labels for each in samples])  # of other classes nothing is learned
    assert (saved["G"]["noise_strength"] != FIRST_NOISE_STRENGTH).any(axis=0).nonzero()[0].tolist() == seen.tolist()
    assert {key: array.shape for key, array in saved["G_ema"].items()} == tensors.of_file("G", model)
    resumed.load(lambda network: saved[network], first.counters, "it")
    assert first.step(samples, 1e-3) == resumed.step(samples, 1e-3)
    ours, theirs = weights(first), weights(resumed)
    assert [each for each in ours if not np.array_equal(ours[each], theirs[each])] == []


@pytest.mark.slow
def test_a_saved_training_goes_on_to_the_bit(tmp_path: Path) -> None:
    from ecgan.training import state

    batches = [[sample(number), sample(number + 5)] for number in range(4)]
    straight = make()
    for batch in batches:
        straight.step(batch, 1e-3)

    first = make()
    for batch in batches[:2]:
        first.step(batch, 1e-3)
    state.save(tmp_path, first, 2, {"seconds": 1.5})
    second = make()
    found = state.newest(tmp_path, print)
    assert found is not None and found.progress["step"] == 2 and found.progress["seconds"] == 1.5
    found.load_into(second)
    for batch in batches[2:]:
        second.step(batch, 1e-3)
    wanted, got = weights(straight), weights(second)
    assert wanted.keys() == got.keys()
    assert [name for name in wanted if not np.array_equal(wanted[name], got[name])] == []


def test_damaged_states_are_noticed_and_the_one_before_is_taken(tmp_path: Path) -> None:
    from ecgan.training import state

    learner = make()
    for step in (1, 2, 3):
        state.save(tmp_path, learner, step, {})
    assert not list(tmp_path.glob(".*"))
    (tmp_path / "step-00000003/D.safetensors").write_bytes(b"half")
    (tmp_path / "step-00000002/checkpoint.json").write_text("{")
    said: list[str] = []
    found = state.newest(tmp_path, said.append)
    assert found is not None and found.progress["step"] == 1
    assert "step-00000003" in said[0] and "D.safetensors" in said[0]
    assert (tmp_path / "damaged-step-00000003").is_dir()
    (tmp_path / "step-00000001/G.safetensors").unlink()
    for _ in range(2):  # again and again, until somebody says that all shall begin anew
        with pytest.raises(UserError, match=re.escape(str(tmp_path))):
            state.newest(tmp_path, said.append)
    shutil.rmtree(tmp_path / "step-00000001")
    with pytest.raises(UserError, match=re.escape(str(tmp_path))):  # two have been put aside
        state.newest(tmp_path, said.append)
    assert state.newest(tmp_path / "new", said.append) is None


@pytest.mark.parametrize("file", ["checkpoint.json", "G.safetensors", "adam_D.safetensors"])
def test_a_state_that_lacks_a_file_is_passed_over(tmp_path: Path, file: str) -> None:
    from ecgan.training import state

    learner = make()
    for step in (1, 2):
        state.save(tmp_path, learner, step, {})
    (tmp_path / "step-00000002" / file).unlink()
    said: list[str] = []
    found = state.newest(tmp_path, said.append)
    assert found is not None and found.progress["step"] == 1 and file in said[0]


def test_a_state_whose_tensors_are_not_its_models_is_passed_over(tmp_path: Path) -> None:
    from ecgan.training import state

    learner = make()
    state.save(tmp_path, learner, 1, {})
    path = state.save(tmp_path, learner, 2, {}).path / "checkpoint.json"
    path.write_text(path.read_text().replace('"ngf": 4', '"ngf": 5'))
    with pytest.raises(UserError, match="G.safetensors"):
        state.look_at(path.parent)
    found = state.newest(tmp_path, print)
    assert found is not None and found.progress["step"] == 1


def test_what_a_kill_leaves_of_a_state_is_cleared_away(tmp_path: Path) -> None:
    from ecgan.training import state

    half = tmp_path / ".step-00000002.0123abcd.part"
    half.mkdir()
    (half / "G.safetensors").write_bytes(bytes(1000))
    assert state.unfinished_size(tmp_path) == 1000 and state.newest(tmp_path, print) is None
    state.clear_unfinished(tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_last_states_and_the_best_are_kept(tmp_path: Path) -> None:
    from ecgan.training import state

    learner = make()
    for step in range(1, 6):
        state.save(tmp_path, learner, step, {})
        state.prune(tmp_path, keep=2, also=[1])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000001", "step-00000004", "step-00000005"]


@pytest.mark.parametrize(
    "model",
    [
        ModelConfig(256, 192, ngf=16, ndf=300),
        ModelConfig(128, 128, 5, True, 6, 7, num_upsampling_layers="most", num_D=1),
    ],
)
def test_the_size_of_a_state_is_known_beforehand(tmp_path: Path, model: ModelConfig) -> None:
    from ecgan.training.optimise import trained

    learner = make(RECIPE, model)
    built = {
        name: sum(int(np.prod(var.shape)) for var in trained(network).values())
        for name, network in learner.parts.items()
    }
    assert built == parameter_counts(model)
    assert state_size(model, moving_average=True) == 4 * (3 * sum(built.values()) + built["G"])


def test_a_state_of_another_model_does_not_fit(tmp_path: Path) -> None:
    from ecgan.training import state

    saved = state.save(tmp_path, make(), 1, {})
    with pytest.raises(UserError, match="step-00000001"):
        saved.load_into(make(model=dataclasses.replace(MODEL, ngf=5)))


def test_adam_takes_two_time_scales() -> None:
    assert AdamSettings().rates(2e-4) == (1e-4, 4e-4)
    assert AdamSettings(two_time_scales=False).rates(2e-4) == (2e-4, 2e-4)
    assert Schedule().rate(1) == 2e-4


@pytest.mark.slow
@pytest.mark.parametrize("spade", ["exact-sparse", "dense"])
def test_samples_are_painted_as_steps_are_taken(monkeypatch: pytest.MonkeyPatch, spade: Any) -> None:
    from ecgan.networks import Segmap

    asked = []
    surroundings = Segmap.surroundings
    monkeypatch.setattr(Segmap, "surroundings", lambda self, *size: asked.append(size) or surroundings(self, *size))
    learner = make(dataclasses.replace(RECIPE, spade=spade))
    pictures = learner.paint([sample(0)])
    assert bool(asked) is (spade == "exact-sparse") and len(pictures[0]) == len(learner.headings)
