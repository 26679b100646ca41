"""Errors name settings: as Python does for a notebook, as options for a command line."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import pytest

from ecgan.errors import MachineError, UserError
from jobs.options import in_words

ECGAN = Path(__file__).parents[2] / "ecgan"
#: What other programs than ours are asked by.
_OF_OTHERS = {"--version", "--includes", "--no", "--showme", "--cc_path", "--python"}  # --no-deps


@pytest.mark.parametrize(
    ("error", "in_python", "on_command_line"),
    [
        (UserError("no mask"), "no mask", "no mask"),
        (
            UserError("no such file", field="vgg_weights", value=Path("a <b>")),
            "vgg_weights=a <b>: no such file",
            "--vgg_weights a <b>: no such file",
        ),
        (
            UserError("it is of 64x64", field="network_size"),
            "network_size: it is of 64x64",
            "--network_size: it is of 64x64",
        ),
        (
            UserError("no state is whole", hint="<resume=False> starts anew"),
            "no state is whole; resume=False starts anew",
            "no state is whole; --no-resume starts anew",
        ),
        (
            UserError("too few", hint="say <overwrite=True>, or choose with <device>: <device=cpu|cuda>"),
            "too few; say overwrite=True, or choose with device: device=cpu|cuda",
            "too few; say --overwrite, or choose with --device: --device cpu|cuda",
        ),
        (MachineError("no MPI"), "no MPI", "no MPI; `python launch/doctor.py` may tell more"),
    ],
)
def test_settings_have_their_names(error: UserError, in_python: str, on_command_line: str) -> None:
    assert str(error) == in_python
    assert in_words(error) == on_command_line
    assert in_words(pickle.loads(pickle.dumps(error))) == on_command_line


def test_ecgan_knows_no_options() -> None:
    found = [
        f"{path.name}: {option}"
        for path in ECGAN.rglob("*.py")
        if path.name != "__main__.py"  # what is run by itself has options of its own
        for option in re.findall(r"(?<!\S)[\"(']?(--[a-z_]+)", path.read_text())
        if option not in _OF_OTHERS
    ]
    assert not found
