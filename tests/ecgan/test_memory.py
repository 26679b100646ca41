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


def test_it_is_enough_for_peaks_that_were_measured() -> None:
    """At 512x384, in MiB, with masks of noise; by ngf, classes, and whether there are noise maps."""
    peaks = {
        (8, 29, False): 437,
        (64, 29, False): 1611,
        (64, 29, True): 1774,
        (16, 150, False): 874,
        (16, 150, True): 1164,
    }
    for (ngf, classes, noise_maps), peak in peaks.items():
        estimate = painting_memory(ModelConfig(ngf=ngf, label_nc=classes, noise_maps=noise_maps), 1) / (1 << 20)
        assert peak < estimate < 2 * peak, (ngf, classes, noise_maps)


def test_a_state_of_the_segmenter_is_its_tensors_and_two_moments_of_each() -> None:
    model = ModelConfig(label_nc=7)
    both = [tensors.trained(tensors.of_file(name, model) or {}) for name in ("S", "adam_S")]
    assert segmenter_state_size(model) == 4 * sum(map(tensors.count, both)) < segmenter_state_size(ModelConfig())
