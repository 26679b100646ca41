"""How many pictures go through the networks at once."""

from __future__ import annotations

from ecgan.checkpoint import tensors
from ecgan.config import ModelConfig
from ecgan.memory import painting_memory, pictures_together, segmenter_state_size


def test_on_the_cpu_pictures_go_one_by_one() -> None:
    assert pictures_together("cpu", 400, 2) == pictures_together("cpu", 1, 2) == 1


def test_on_a_gpu_no_more_than_there_are() -> None:
    assert [pictures_together("cuda", asked, 2) for asked in (1, 2, 400)] == [1, 2, 2]


def test_more_pictures_take_more_memory() -> None:
    of_one, of_two = (painting_memory(ModelConfig(), batch) for batch in (1, 2))
    assert 1 << 30 < of_one < of_two < 2 * of_one


def test_a_state_of_the_segmenter_is_its_tensors_and_two_moments_of_each() -> None:
    model = ModelConfig(label_nc=7)
    both = [tensors.trained(tensors.of_file(name, model) or {}) for name in ("S", "adam_S")]
    assert segmenter_state_size(model) == 4 * sum(map(tensors.count, both)) < segmenter_state_size(ModelConfig())
