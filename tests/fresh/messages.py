"""What `make demo` says where something is missing: its name and Debian's package, without a traceback."""

from __future__ import annotations

import re
from collections.abc import Sequence

#: Of a package that the README names, how the message may call it: the same, or the one of this Python's version.
WORDS = {
    "python3-dev": r"python3(\.\d+)?-dev",
    "python3-venv": r"python3(\.\d+)?-venv",
    "g++": r"apt install g\+\+",
}


def can_be_told(packages: Sequence[str]) -> list[str]:
    """Those without which `make demo` has something to say: where make is missing, nothing of ours runs."""
    return [package for package in packages if package != "make"]


def fault_of(package: str, status: int, said: str) -> str | None:
    """What is wrong with the end of `make demo` where `package` is missing, or None."""
    if status == 0:
        return "it ended with 0"
    if "Traceback" in said:
        return "it showed a traceback"
    if re.search(WORDS[package], said) is None:
        return "it did not name the package"
    return None
