"""The kinds of runs: what each is called, what it counts, and where it lies beside a results folder.

A new kind is a line here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True)
class About:
    """`doing`: what a bar says; by default the kind's name. `unit`: what it makes so many of. `command`: of launch/,
    which makes such runs.

    `plan`: a key that its plan has and that of no other kind, by which a run is known that does not say what it is.
    `suffix`: of its folder's name, where that lies by default beside the results folder that it is of; None: below
    runs/.
    """

    doing: str = ""
    unit: str = "picture"
    command: str | None = None
    plan: str | None = None
    suffix: str | None = None


_NOTHING = About()


class Kind(str, Enum):
    """Equal to its name in files. See `About` for the attributes. One that this version does not know, as a later one's
    record may have it, is called by its name."""

    TRAINING = "training", About(unit="step", command="train", plan="pairs")
    GENERATION = "generation", About("generating", command="generate", plan="painting", suffix=".run")
    SCORING = "scoring", About(command="score", plan="judges", suffix=".score")
    #: Runs of these kinds, for many variants of their settings.
    EXPERIMENT = "experiment", About(unit="stage", command="experiment", plan="chains")
    #: Compiling on a node, for the doctor.
    WARMING = "warming", _NOTHING

    doing: str
    unit: str
    command: str | None
    plan: str | None
    suffix: str | None

    def __new__(cls, name: str, about: About = _NOTHING) -> Kind:
        kind = str.__new__(cls, name)
        kind._value_ = name
        vars(kind).update(vars(about) | {"doing": about.doing or name})
        return kind

    def __str__(self) -> str:  # the same in all versions of Python
        return str.__str__(self)

    def __reduce_ex__(self, protocol: object) -> tuple[type[Kind], tuple[str]]:
        """Copied by value: some releases of Python 3.11 do it by the name, which a later version's has not here."""
        return Kind, (self.value,)

    @classmethod
    def _missing_(cls, value: object) -> Kind | None:
        if not isinstance(value, str):
            return None
        kind = str.__new__(cls, value)
        kind._name_, kind._value_ = value.upper(), value
        vars(kind).update(vars(_NOTHING) | {"doing": value})
        return kind
