"""Free TCP ports on loopback, held until the daemons that are to have them have started."""

from __future__ import annotations

import contextlib
import random
import socket
from collections.abc import Iterator, Sequence

from ecgan.errors import UserError

#: Below the range from which the kernel takes ports for outgoing connections.
_FIRST, _LAST = 15000, 31000


@contextlib.contextmanager
def reserved(names: Sequence[str]) -> Iterator[dict[str, int]]:
    """A port for each name, nobody else's until the context ends.

    The port is bound without SO_REUSEADDR, so nobody may share it and nobody else's reservation
    succeeds; only then is the option set, with which a daemon that sets it, too (as Slurm's do),
    may listen there beside us, since we don't.
    """
    with contextlib.ExitStack() as held:
        ports: dict[str, int] = {}
        candidates = iter(random.sample(range(_FIRST, _LAST), _LAST - _FIRST))
        for name in names:
            for port in candidates:
                place = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
                try:
                    place.bind(("127.0.0.1", port))
                except OSError:
                    continue
                place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                ports[name] = port
                break
            else:
                raise UserError(f"no free TCP port on 127.0.0.1 between {_FIRST} and {_LAST}")
        yield ports
