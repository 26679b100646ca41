"""What a scene is made of, drawn once per seed: numbers only, no pixels, and nothing about light or season."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ecgan.drawn.noise import stream
from ecgan.palette import class_id

KINDS = ("lake", "coast", "river", "fields", "forest", "falls", "dunes", "village")
_ODDS = (0.18, 0.17, 0.16, 0.12, 0.1, 0.1, 0.06, 0.11)


@dataclass(frozen=True)
class Plan:
    """Lengths in metres unless said; `horizon` and `focal` in picture heights. Classes are ids, None for none.

    `side` (-1 or 1): where the land, or the heavier side of the picture, is. `shore_from`,
    `shore_to`: where a lake begins and ends ahead of the camera. `turn`: how far a coast is from
    running straight across, in radians. `half_width`: of a river. `cliff`, `cliff_at`: its height
    and distance. `valley` 0..1: how much lower the relief is in the middle. `forest` 0..1: share of the
    land under trees; `scatter`: about how many single trees stand in front. `track`: class of a way
    that leads into the picture.
    """

    seed: int
    kind: str
    horizon: float
    focal: float
    eye: float
    side: int
    ground: int
    patch: int
    water: int | None = None
    shore: int = class_id("sand")
    shore_from: float = 0.0
    shore_to: float = 0.0
    turn: float = 0.0
    half_width: float = 0.0
    hills: float = 0.0
    hills_from: float = 300.0
    mountains: float = 0.0
    mountains_from: float = 2000.0
    valley: float = 0.0
    forest: float = 0.3
    scatter: int = 30
    conifers: float = 0.5
    track: int | None = None
    cliff: float = 0.0
    cliff_at: float = 0.0


def plan_scene(seed: int) -> Plan:
    rng = stream(seed, "plan")
    kind = str(rng.choice(KINDS, p=_ODDS))
    plan = Plan(
        seed=seed,
        kind=kind,
        horizon=float(rng.uniform(0.34, 0.52)),
        focal=float(rng.uniform(0.95, 1.3)),
        eye=float(np.exp(rng.uniform(np.log(5), np.log(22)))),
        side=int(rng.choice([-1, 1])),
        ground=class_id("grass"),
        patch=class_id(str(rng.choice(["earth", "land", "field"]))),
        hills=float(rng.choice([0, 1, 1]) * rng.uniform(25, 130)),
        hills_from=float(rng.uniform(200, 600)),
        mountains=float(rng.choice([0, 1, 1]) * rng.uniform(450, 1500)),
        mountains_from=float(rng.uniform(1500, 3200)),
        valley=float(rng.uniform(0, 0.85)),
        forest=float(rng.uniform(0.1, 0.6)),
        scatter=int(rng.integers(4, 60)),
        conifers=float(rng.choice([0.1, 0.5, 0.95])),
    )
    return _REFINE[kind](plan, rng)


def _lake(plan: Plan, rng: np.random.Generator) -> Plan:
    start = plan.eye * float(rng.uniform(2.6, 4.5))
    return replace(
        plan,
        water=class_id(str(rng.choice(["lake", "lake", "water"]))),
        shore=class_id(str(rng.choice(["sand", "rock", "earth", "grass"]))),
        shore_from=start,
        shore_to=start * float(rng.uniform(6, 22)),
        mountains=plan.mountains or float(rng.uniform(400, 900)),
    )


def _coast(plan: Plan, rng: np.random.Generator) -> Plan:
    ground = str(rng.choice(["sand", "grass"]))
    return replace(
        plan,
        water=class_id("sea"),
        ground=class_id(ground),
        patch=class_id("sand" if ground == "grass" else "land"),
        shore=class_id(str(rng.choice(["sand", "sand", "rock"]))),
        shore_from=plan.eye * float(rng.uniform(3, 7)),
        turn=float(rng.uniform(-0.25, 0.7)),
        forest=plan.forest * 0.5 if ground == "grass" else 0.0,
        mountains=plan.mountains * 0.6,
    )


def _river(plan: Plan, rng: np.random.Generator) -> Plan:
    return replace(
        plan,
        water=class_id("river"),
        shore=class_id(str(rng.choice(["sand", "earth", "rock", "grass"]))),
        half_width=plan.eye * float(rng.uniform(0.5, 1.1)),
        mountains=plan.mountains or float(rng.uniform(400, 1100)),
        valley=float(rng.uniform(0.5, 0.95)),
    )


def _fields(plan: Plan, rng: np.random.Generator) -> Plan:
    return replace(
        plan,
        ground=class_id("field"),
        forest=float(rng.uniform(0.05, 0.3)),
        hills=plan.hills or float(rng.uniform(15, 60)),
        track=class_id(str(rng.choice(["road", "path"]))) if rng.random() < 0.6 else None,
        scatter=int(rng.integers(2, 20)),
    )


def _forest(plan: Plan, rng: np.random.Generator) -> Plan:
    return replace(
        plan,
        eye=float(rng.uniform(3, 7)),
        forest=float(rng.uniform(0.75, 0.95)),
        valley=0.2,
        track=class_id(str(rng.choice(["path", "path", "road"]))),
        patch=class_id("earth"),
        scatter=int(rng.integers(60, 130)),
    )


def _falls(plan: Plan, rng: np.random.Generator) -> Plan:
    eye = float(rng.uniform(5, 10))
    return replace(
        plan,
        eye=eye,
        water=class_id("river"),
        shore=class_id("rock"),
        half_width=eye * float(rng.uniform(0.5, 0.9)),
        cliff_at=eye * float(rng.uniform(9, 15)),
        cliff=eye * float(rng.uniform(2.2, 4.2)),
        forest=float(rng.uniform(0.3, 0.7)),
        hills=0.0,
        horizon=float(rng.uniform(0.45, 0.56)),
    )


def _dunes(plan: Plan, rng: np.random.Generator) -> Plan:
    return replace(
        plan,
        ground=class_id(str(rng.choice(["sand", "land", "earth"]))),
        patch=class_id(str(rng.choice(["land", "rock", "sand"]))),
        hills=plan.hills or float(rng.uniform(20, 50)),
        forest=0.0,
        scatter=int(rng.integers(0, 8)),
    )


def _village(plan: Plan, rng: np.random.Generator) -> Plan:
    return replace(
        plan,
        forest=float(rng.uniform(0.1, 0.4)),
        track=class_id("road"),
        patch=class_id(str(rng.choice(["field", "earth"]))),
        scatter=int(rng.integers(10, 40)),
    )


_REFINE = {
    "lake": _lake,
    "coast": _coast,
    "river": _river,
    "fields": _fields,
    "forest": _forest,
    "falls": _falls,
    "dunes": _dunes,
    "village": _village,
}
