"""What a training's option decides, said where the option is declared."""

from __future__ import annotations

import dataclasses
from enum import Enum
from typing import TYPE_CHECKING, Any

from jobs import options
from jobs.bounds import Bounds

if TYPE_CHECKING:
    from jobs.train.networks import Network


class Role(Enum):
    """What becomes of a training that goes on with another value of an option."""

    FIXED = "decides tensors or samples: it can't go on so"
    STEERING = "changes the training from there: it goes on, and says so"
    BEGINNING = "decides how the weights begin: it goes on, and the option is ignored, which it says"
    RUNNING = "where and how it runs, how long, what is kept and shown: it goes on"


FIXED, STEERING, BEGINNING, RUNNING = Role


def option(
    default: Any,
    role: Role,
    help: str,
    bounds: Bounds | None = None,
    *,
    path: bool = False,
    of: Network | None = None,
) -> Any:
    """A field of the settings. `of`: the one network (`jobs.train.networks`) that it belongs to; None: to all."""
    return options.option(default, help, bounds, path=path, role=role, of=of)


def of_role(settings: type, *roles: Role) -> tuple[str, ...]:
    """Names of the options that have one of `roles`, in the order of their declaration."""
    return tuple(field.name for field in dataclasses.fields(settings) if field.metadata["role"] in roles)
