"""Whether Jittor's core is compiled for this machine."""

from __future__ import annotations

from importlib import metadata

from ecgan.runtime.devices import Device
from ecgan.runtime.stamps import is_compiled
from launch.checks.rows import Row


def core(device: Device) -> Row:
    name = "compiled Jittor"
    try:
        if is_compiled(device):
            return Row(name, "ok", f"for {device} on this machine")
    except (metadata.PackageNotFoundError, OSError, RuntimeError) as error:  # no Jittor, or no cache folder
        return Row(name, "note", f"can't tell: {error}", "see the rows above")
    how = "the first run compiles it (a minute or two on 2 cores, once); --warm does it now"
    return Row(name, "note", f"not yet for {device} on this machine", how)
