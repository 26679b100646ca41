"""The C++ of this folder, as Jittor's operators take it: a text, so that a change is compiled anew."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).parent
_OWN = re.compile(r'^#include "(\w+)\.h"\n', re.MULTILINE)


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
