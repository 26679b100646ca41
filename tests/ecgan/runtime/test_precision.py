"""Which numbers convolutions multiply in: what "auto" means, and who can't have bfloat16 and is told so."""

from __future__ import annotations

import subprocess
import sys

import pytest
from conftest import ROOT

from ecgan.config import Spade
from ecgan.errors import MachineError, UserError
from ecgan.runtime import precision
from ecgan.runtime.devices import Device
from ecgan.runtime.precision import Precision, choose_precision, insist

#: As oneDNN has them (`dnnl_cpu_isa_t`).
AVX2, AVX512, AVX512_BF16, AMX = 0x7, 0x67, 0xE7, 0x3E7


def processor(monkeypatch: pytest.MonkeyPatch, instructions: int) -> None:
    monkeypatch.setattr(precision, "_instructions", lambda: instructions)


@pytest.mark.parametrize(
    "instructions, device, spade, here, expected",
    [
        (AMX, "cpu", "exact-sparse", True, "bfloat16"),
        (AVX512_BF16, "cpu", "exact-sparse", True, "float32"),
        (AVX2, "cpu", "exact-sparse", True, "float32"),
        (AMX, "cpu", "dense", True, "float32"),
        (AMX, "cuda", "exact-sparse", True, "float32"),
        (AMX, "cpu", "exact-sparse", False, "float32"),
    ],
)
def test_auto_is_what_is_faster_and_there(
    instructions: int,
    device: Device,
    spade: Spade,
    here: bool,
    expected: Precision,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    processor(monkeypatch, instructions)
    assert choose_precision("auto", device, spade, here) == expected


@pytest.mark.parametrize("instructions", [0, AVX2, AVX512])
def test_a_processor_without_it_is_told(instructions: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"):
        monkeypatch.delenv(limit, raising=False)
    processor(monkeypatch, instructions)
    with pytest.raises(MachineError, match=r"precision=bfloat16.*avx512_bf16.*precision=float32"):
        choose_precision("bfloat16", "cpu", "exact-sparse")
    assert choose_precision("bfloat16", "cpu", "exact-sparse", here=False) == "bfloat16"  # a node may have it
    assert choose_precision("float32", "cpu", "exact-sparse") == "float32"
    insist("float32")


@pytest.mark.parametrize("instructions", [AVX512_BF16, AMX])
@pytest.mark.parametrize("here", [True, False])
def test_it_is_the_table_forms_on_the_cpu(instructions: int, here: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    processor(monkeypatch, instructions)
    assert choose_precision("bfloat16", "cpu", "exact-sparse", here) == "bfloat16"
    with pytest.raises(UserError, match="device"):
        choose_precision("bfloat16", "cuda", "exact-sparse", here)
    with pytest.raises(UserError, match="spade"):
        choose_precision("bfloat16", "cpu", "dense", here)


@pytest.mark.process
def test_what_keeps_onednn_from_it_is_named() -> None:
    code = 'from ecgan.runtime.precision import choose_precision; choose_precision("bfloat16", "cpu", "exact-sparse")'
    environment = {"PYTHONPATH": str(ROOT), "ONEDNN_MAX_CPU_ISA": "AVX2"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "ONEDNN_MAX_CPU_ISA is AVX2" in done.stderr
