"""In what numbers convolutions are multiplied, and which of them this machine's processor has.

bfloat16 has float32's range and 8 of its 24 bits. Matrix units (AMX) multiply it several times as fast; by a
processor's instructions alone (AVX-512) it is slower than Winograd's way in float32 (docs/decisions/bfloat16.md).
"""

from __future__ import annotations

import ctypes
import os
from typing import Literal

from ecgan.config import Spade
from ecgan.errors import MachineError, UserError
from ecgan.runtime.devices import Device
from ecgan.runtime.toolchain import find_onednn

Precision = Literal["float32", "bfloat16"]
#: What is asked for: "auto" is bfloat16 where that is faster.
PrecisionChoice = Literal["float32", "bfloat16", "auto"]

#: Bits of `dnnl_cpu_isa_t`, which are sets: what has bfloat16, and what has matrix units for it.
_BFLOAT16, _MATRIX_UNITS = 0xE7, 0x3E7
_LIMITS = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")


def choose_precision(asked: PrecisionChoice, device: Device, spade: Spade, here: bool = True) -> Precision:
    """What is asked for, "auto" made one of both. `here`: this machine is to compute; else it is not known which
    processor will, "auto" is float32, and whoever computes has to `insist`.

    Raises UserError where bfloat16 can't be had.
    """
    has_form = device == "cpu" and spade == "exact-sparse"
    if asked == "auto":
        return "bfloat16" if here and has_form and _has(_MATRIX_UNITS) else "float32"
    if asked == "bfloat16":
        if device != "cpu":
            raise UserError("it is the CPU's alone", field="precision", value=asked, hint="<device=cpu> has it")
        if not has_form:
            raise UserError("the dense form has none", field="precision", value=asked, hint="leave out <spade=dense>")
        if here:
            insist(asked)
    return asked


def insist(precision: Precision) -> None:
    """Raises MachineError if this machine's processor does not have it."""
    if precision == "float32" or _has(_BFLOAT16):
        return
    fact = "this machine's processor does not multiply it (it needs avx512_bf16 or amx_bf16)"
    limit = next((name for name in _LIMITS if name in os.environ), None)
    if limit is not None:
        fact = f"oneDNN does not multiply it here, perhaps since {limit} is {os.environ[limit]} in the environment"
    raise MachineError(fact, field="precision", value=precision, hint="<precision=float32> does without")


def _has(features: int) -> bool:
    return _instructions() & features == features


def _instructions() -> int:
    """What oneDNN finds, and may use, of the processor's instructions: a `dnnl_cpu_isa_t`; 0 without oneDNN."""
    found = find_onednn()
    if found is None:
        return 0
    try:
        return int(ctypes.CDLL(str(found[1])).dnnl_get_effective_cpu_isa())
    except OSError:
        return 0
