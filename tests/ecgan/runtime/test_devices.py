"""What is chosen to compute on."""

from __future__ import annotations

import pytest

from ecgan.errors import MachineError
from ecgan.runtime import devices


def test_cuda_is_insisted_on_in_vain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "gpu_count", lambda: 0)
    with pytest.raises(MachineError, match="GPU") as caught:
        devices.choose_device("cuda")
    assert (caught.value.field, caught.value.value) == ("device", "cuda")
    assert devices.choose_device("auto") == "cpu"


def test_word_that_is_no_device() -> None:
    assert devices.device_choice("cuda") == "cuda"
    with pytest.raises(ValueError, match="'gpu' .*auto, cuda, cpu"):
        devices.device_choice("gpu")
