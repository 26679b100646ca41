"""An experiment as a tree: a line for each chain, and below it one for each stage. From files alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jobs.experiment import progress
from jobs.experiment.chains import Chain, load
from jobs.experiment.progress import StageState
from jobs.run.folder import RunDir
from jobs.run.status import Status
from jobs.run.words import pace


def standing(status: Status) -> list[tuple[Chain, list[StageState]]]:
    """Of the experiment with this status, every chain. Raises UserError if its plan can't be read."""
    chains = load(RunDir(Path(status.path)).plan)
    return [(chain, progress.states(chain, alive=not status.is_over)) for chain in chains]


def lines(found: list[tuple[Chain, list[StageState]]]) -> list[str]:
    """For a person."""
    told = []
    for chain, stages in found:
        done = sum(each.state.is_success for each in stages)
        told.append(f"  {chain.name}: {done} of {len(stages)} stages done")
        told += [f"    {each.stage:<10}{each.state:<12}{_words(each)}".rstrip() for each in stages]
    return told


def to_json(found: list[tuple[Chain, list[StageState]]]) -> list[dict[str, Any]]:
    """For json.dumps."""
    return [
        {
            "variant": chain.variant,
            "seed": chain.seed,
            "path": str(chain.folder),
            "stages": [
                {
                    "stage": each.stage,
                    "state": each.state,
                    "why": each.why,
                    "run": each.status.to_json() if each.status else None,
                }
                for each in stages
            ],
        }
        for chain, stages in found
    ]


def _words(each: StageState) -> str:
    counts = pace(each.status) if each.status else ""
    return "; ".join(filter(None, [counts, each.why]))
