"""What runs in processes of their own, so that Jittor is not in the one that asks. Nobody imports this.

python -m ecgan.runtime.child start DEVICE      # starts Jittor and prints {"device": ..., "error": ...}
python -m ecgan.runtime.child compile DEVICE    # compiles Jittor's core, on all cores
python -m ecgan.runtime.child compare DEVICE    # prints how far a convolution is off the CPU's
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

from ecgan import logs
from ecgan.errors import UserError
from ecgan.runtime import precompiled
from ecgan.runtime.devices import DeviceChoice, device_choice
from ecgan.runtime.starting import start


def _start(device: DeviceChoice) -> None:
    try:
        answer: dict[str, str | None] = {"device": start(device), "error": None}
    except UserError as failure:
        answer = {"device": None, "error": str(failure)}
    print(json.dumps(answer))


def _compile(device: DeviceChoice) -> None:
    assert device != "auto", "who compiles has chosen"
    precompiled.compile_headers(device)  # in the environment that the parent has prepared
    start(device, parallel_compiler=True)
    from ecgan.runtime.probe import convolution

    convolution()


def _compare(device: DeviceChoice) -> None:
    start(device)
    from ecgan.runtime.probe import convolution_error

    print(convolution_error())


_TASKS: dict[str, Callable[[DeviceChoice], None]] = {"start": _start, "compile": _compile, "compare": _compare}

if __name__ == "__main__":
    logs.show()
    _TASKS[sys.argv[1]](device_choice(sys.argv[2]))
