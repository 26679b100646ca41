"""python -m ecgan.runtime [DEVICE]: compiles Jittor's core for this machine if need be; prints the device in use."""

from __future__ import annotations

import sys

from ecgan import logs
from ecgan.errors import UserError
from ecgan.runtime.devices import device_choice
from ecgan.runtime.starting import start

if __name__ == "__main__":
    logs.show()
    try:
        print(start(device_choice(sys.argv[1] if len(sys.argv) > 1 else "auto")))
    except (UserError, ValueError) as failure:
        sys.exit(f"error: {failure}")
