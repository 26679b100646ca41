"""What can compute here, and what is chosen to."""

from __future__ import annotations

import ctypes
import logging
import typing
from typing import Literal

from ecgan.errors import MachineError
from ecgan.runtime import cuda

#: What computes.
Device = Literal["cuda", "cpu"]
#: What is asked for: "auto" is "cuda" where that works, else "cpu".
DeviceChoice = Literal["auto", "cuda", "cpu"]

#: Attributes of cuDeviceGetAttribute: the two numbers of a GPU's compute capability.
_MAJOR, _MINOR = 75, 76

_log = logging.getLogger(__name__)


def device_choice(word: str) -> DeviceChoice:
    """`word` as a choice; raises ValueError if it is none."""
    if word not in typing.get_args(DeviceChoice):
        raise ValueError(f"{word!r} is none of {', '.join(typing.get_args(DeviceChoice))}")
    return typing.cast(DeviceChoice, word)


def choose_device(asked: DeviceChoice) -> Device:
    """What "auto" means on this machine; raises MachineError if "cuda" is asked for in vain.

    Files and the driver are asked, nothing is run: what is complete may still not work.
    """
    if asked == "cpu":
        return "cpu"
    gpus, found = gpu_count(), cuda.find()
    if gpus and found is not None and not found.missing:
        return "cuda"
    missing = "no GPU answers through the NVIDIA driver"
    if gpus:
        missing = "no nvcc was found" if found is None else found.lack
    if asked == "cuda":
        raise MachineError(missing, field="device", value="cuda", hint="<device=cpu> does without")
    if gpus:
        _log.warning("%d GPU(s) found, but %s: using the CPU", gpus, missing)
    return "cpu"


def gpu_count() -> int:
    """GPUs that the NVIDIA driver offers to this process; 0 without a driver."""
    return len(gpu_archs())


def gpu_archs() -> list[int]:
    """The compute capability of each GPU that the NVIDIA driver offers to this process, times ten."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return []
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return []
    return [10 * _attribute(driver, gpu, _MAJOR) + _attribute(driver, gpu, _MINOR) for gpu in range(count.value)]


def _attribute(driver: ctypes.CDLL, gpu: int, attribute: int) -> int:
    device, value = ctypes.c_int(0), ctypes.c_int(0)
    driver.cuDeviceGet(ctypes.byref(device), gpu)
    driver.cuDeviceGetAttribute(ctypes.byref(value), attribute, device)
    return value.value
