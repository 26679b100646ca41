"""Operators of Jittor's from the C++ of this folder, given to it as a text: so a change is compiled anew."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from ecgan.runtime import jt
from ecgan.runtime.environment import onednn_headers

_FOLDER = Path(__file__).parent
_OWN = re.compile(r'^#include "(\w+)\.h"\n', re.MULTILINE)
_ONEDNN = "#include <dnnl.h>"


@cache
def source(*names: str) -> str:
    """Headers by name without ending, each after those that it includes, and each once."""
    texts: dict[str, str] = {}

    def take(name: str) -> None:
        if name not in texts:
            text = (_FOLDER / f"{name}.h").read_text()
            for included in _OWN.findall(text):
                take(included)
            texts[name] = _OWN.sub("", text.replace("#pragma once\n", ""))

    for name in names:
        take(name)
    return "".join(texts.values())


def operator(shape: list[int], inputs: list[jt.Var], code: str, *headers: str, **data: float) -> jt.Var:
    """float32 of `shape`, made of `inputs` by `code`, which sees `headers`; `data` are numbers that it can ask for."""
    numbers = {name: float(value) for name, value in data.items()}
    header = "#include <omp.h>\n" + source(*headers)
    made = jt.code(shape, "float32", inputs, cpu_header=header, cpu_src=code, data=numbers)
    if _ONEDNN in header:
        made.compile_options = {f'FLAGS: -I"{onednn_headers()}" ': 1}
    return made


def kept(var: jt.Var) -> jt.Var:
    """Computed now, so that nothing it was computed from is held."""
    var = var.stop_grad()
    var.sync()
    return var


def nothing(*shape: int) -> jt.Var:
    """Stands for an input that is not there."""
    return jt.zeros(shape).stop_grad()
