"""Asking programs something that may hang, be broken or be none at all."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from ecgan.errors import reason

#: Seconds after which a program that was asked counts as hung.
PATIENCE = 10


def ask(command: Sequence[str], given: str = "", with_errors: bool = False) -> tuple[bool, str]:
    """Whether `command` succeeded, and its output (`with_errors`: and standard error) or why it did not.

    `given`: what it reads.
    """
    program = Path(command[0]).name
    try:
        answer = subprocess.run(
            command, input=given, capture_output=True, text=True, errors="replace", timeout=PATIENCE
        )
    except subprocess.TimeoutExpired:
        return False, f"{program} did not answer within {PATIENCE} s"
    except OSError as error:
        return False, f"{program} can't be started ({reason(error)})"
    if answer.returncode:
        lines = (answer.stderr.strip() or answer.stdout.strip()).splitlines()
        return False, f"{program} failed: {lines[-1][:200] if lines else f'status {answer.returncode}'}"
    return True, (answer.stdout + (answer.stderr if with_errors else "")).strip()


def first_line(text: str) -> str:
    return text.partition("\n")[0].strip()
