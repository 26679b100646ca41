"""Chains: what is done for one variant and one seed, stage after stage, each with all its settings.

A stage is a command of launch/ with a run of its own. Its settings here are what a user would give it.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from ecgan.checkpoint.shipped import located
from ecgan.data.testset import REFERENCES
from ecgan.drawn import write_test_set, write_training_set
from ecgan.errors import UserError
from ecgan.files import fitted, read_any_json, write_json
from jobs.experiment.settings import Drawn, Experiment, Options, in_words
from jobs.experiment.variants import Variant, variants_of
from jobs.generate.settings import GenerateSettings
from jobs.given import insist_on_path, insist_on_usable
from jobs.options import in_words as told
from jobs.options import parse_size
from jobs.results.gallery.make import GallerySettings
from jobs.run.folder import RunDir, run_beside
from jobs.run.kind import Kind
from jobs.score.settings import ScoreSettings
from jobs.train.settings import TrainSettings
from jobs.yaml_files import read_options

#: What each stage's settings are, by the name of its command, in the order in which a chain has them.
STAGES: dict[str, type] = {
    "train": TrainSettings,
    "generate": GenerateSettings,
    "score": ScoreSettings,
    "gallery": GallerySettings,
}
#: Options of a stage that an experiment decides, whatever it is.
_OWN = {
    "train": ("run_dir", "seed", "resume", "cluster", "dry_run"),
    "generate": ("output_path", "overwrite", "retry_failed", "cluster", "dry_run"),
    "score": ("results", "output_path", "cluster", "dry_run"),
    "gallery": ("results", "against", "score", "output"),
}
_FILES = "config"
#: Gives the path of a file that is named in an option (its second argument): as it is, or the project's own.
Locate = Callable[[Path, str], Path]


@dataclass(frozen=True)
class Chain:
    """`settings`: by stage, in their order, every option with its value. `differs`: what the variant says otherwise."""

    variant: str
    seed: int
    folder: Path
    differs: dict[str, Any]
    settings: dict[str, Options]

    @property
    def name(self) -> str:
        return f"{self.variant}, seed {self.seed}"

    @property
    def home(self) -> Path:
        """The experiment's folder."""
        return self.folder.parents[2]

    @property
    def training(self) -> Path:
        return self.folder / "training"

    @property
    def results(self) -> Path:
        return self.folder / "results"

    @property
    def page(self) -> Path:
        """The gallery's."""
        return self.folder / "results.html"

    @property
    def record(self) -> Path:
        """What became of each stage."""
        return self.folder / "stages.json"

    @property
    def cancelled(self) -> Path:
        """Is there from when the chain is to end until it is begun again."""
        return self.folder / "cancelled"

    def run(self, stage: str) -> RunDir | None:
        """The run of a stage; None of one that has none."""
        folders = {
            "train": self.training,
            "generate": run_beside(self.results, Kind.GENERATION),
            "score": run_beside(self.results, Kind.SCORING),
        }
        return RunDir(folders[stage]) if stage in folders else None

    def given(self, stage: str) -> Options:
        """What of a stage's settings is not its default, for a file of options."""
        defaults = {field.name: field.default for field in dataclasses.fields(STAGES[stage])}
        return {name: value for name, value in self.settings[stage].items() if value != defaults[name]}

    def typed(self, stage: str) -> Any:
        """The settings as the command has them."""
        return fitted(self.settings[stage], STAGES[stage])


def save(path: Path, chains: Sequence[Chain]) -> None:
    values = [dataclasses.asdict(chain) | {"folder": str(chain.folder)} for chain in chains]
    write_json(path, {"chains": values})


def load(path: Path) -> tuple[Chain, ...]:
    """All paths are those of where the experiment is now. Raises UserError if `path` is no plan of this version."""
    try:
        found = fitted(read_any_json(path)["chains"], tuple[Chain, ...])
        return tuple(_moved(chain, path.parent.resolve()) for chain in found)
    except (OSError, ValueError, LookupError, TypeError):
        raise UserError(f"{path} is not an experiment's plan that this version can read") from None


def relocated(value: Any, before: Path, now: Path) -> Any:
    """A path in the folder `before`, which is `now` elsewhere; any other value as it is."""
    inside = isinstance(value, str) and Path(value).is_relative_to(before)
    return str(now / Path(value).relative_to(before)) if inside else value


def _moved(chain: Chain, home: Path) -> Chain:
    settings = {
        stage: {name: relocated(value, chain.home, home) for name, value in each.items()}
        for stage, each in chain.settings.items()
    }
    return dataclasses.replace(chain, folder=home / chain.folder.relative_to(chain.home), settings=settings)


def resolve(experiment: Experiment, folder: Path, locate: Locate) -> tuple[list[Chain], list[str]]:
    """All chains, those of a variant one after the other, and what is wrong with their settings, in lines.

    `folder`: the experiment's. Raises UserError if it can't be said which variants there are.
    """
    base, faults = _base(experiment, locate)
    wrong: dict[str, list[str]] = {}
    chains = []
    for variant in variants_of(experiment):
        for seed in experiment.seeds:
            chain = Chain(variant.name, seed, folder / "variants" / variant.name / f"seed-{seed}", variant.differs, {})
            for stage in base:
                try:
                    chain.settings[stage] = _settings(experiment, base, variant, chain, stage, folder)
                except UserError as error:
                    names = wrong.setdefault(f"{stage}: {told(error)}", [])
                    names += [variant.name] if variant.name not in names else []
            chains.append(chain)
        for stage in variant.overrides.keys() - base.keys():
            wrong.setdefault(f"{stage}: the experiment has no such stage", []).append(variant.name)
    return chains, [*faults, *(f"{', '.join(names)}: {fact}" for fact, names in wrong.items())]


def _own(experiment: Experiment, stage: str) -> set[str]:
    """Options of a stage that the experiment decides, this one."""
    trains = experiment.train is not None
    more = {"generate": ["checkpoint"] if trains else ["seed"]}
    return {*_OWN[stage], *more.get(stage, [])}


def _base(experiment: Experiment, locate: Locate) -> tuple[dict[str, Options], list[str]]:
    """The options that all variants begin with, by stage; files of options read."""
    found: dict[str, Options] = {}
    faults: list[str] = []
    for stage, cls in STAGES.items():
        options = getattr(experiment, stage)
        if options is None:
            continue
        values = found[stage] = {}
        names = {field.name for field in dataclasses.fields(cls)}
        for name in _files(options, stage, faults):
            try:
                insist_on_path(name, _FILES)
                read = read_options(locate(Path(name).expanduser(), _FILES), _FILES, names)
            except UserError as error:
                faults.append(f"{stage}: {told(error)}")
                continue
            # What decides where and how a single run goes on is not the experiment's.
            values |= {name: value for name, value in read.items() if name not in _own(experiment, stage)}
        values |= {name: value for name, value in options.items() if name != _FILES}
    return found, faults


def _files(options: Options, stage: str, faults: list[str]) -> list[str]:
    """The files of options that a stage begins with; what is none is one of the `faults`."""
    files = options.get(_FILES, [])
    files = files if isinstance(files, list) else [files]
    faults += [f"{stage}: {_FILES}: {name!r} is not the name of a file" for name in files if not isinstance(name, str)]
    return [name for name in files if isinstance(name, str)]


def _settings(
    experiment: Experiment, base: dict[str, Options], variant: Variant, chain: Chain, stage: str, folder: Path
) -> Options:
    """Every option of a stage. Raises UserError with all that are none, or of another type, else with what is wrong
    among the others."""
    given = base[stage] | variant.overrides.get(stage, {})
    cls = STAGES[stage]
    hints = typing.get_type_hints(cls)
    faults = [f"{name}: no such option" for name in given if name not in hints]
    because = {"seed": " (seeds has them)", "checkpoint": " (it is the training's)"}
    for name in _own(experiment, stage) & given.keys():
        faults.append(f"{name} is the experiment's to say{because.get(name, '')}")
    for name in given.keys() & hints.keys():
        try:
            msgspec.convert(given[name], hints[name])
        except msgspec.ValidationError as error:
            faults.append(f"{name}: {in_words(error)}")
    if faults:
        raise UserError("; ".join(sorted(faults)))
    values = _defaults(experiment, chain, stage, folder) | given | _decided(experiment, chain, stage)
    whole = dataclasses.asdict(msgspec.convert(values, cls))  # what has its default is not among its variables
    insist_on_usable(cls, whole)
    return {name: _absolute(cls, name, value) for name, value in whole.items()}


def _defaults(experiment: Experiment, chain: Chain, stage: str, folder: Path) -> Options:
    """What a stage takes over from those before it, or from what is drawn, unless the file says otherwise."""
    if stage in ("train", "generate"):
        if experiment.drawn is None:
            return {}
        train, test = drawn_sets(folder, experiment.drawn)
        return (
            {"input_path": str(train)}
            if stage == "train"
            else {"input_path": str(test), "img_path": str(train / "imgs")}
        )
    painted = chain.settings.get("generate", {})
    values = {name: painted[name] for name in ("input_path", "img_path") if name in painted}
    trained = chain.settings.get("train", {})
    return values | {name: trained[name] for name in ("label_nc", "contain_dontcare_label") if name in trained}


def _decided(experiment: Experiment, chain: Chain, stage: str) -> Options:
    """What the experiment says of a stage, whatever the file has."""
    if stage == "train":
        return {"run_dir": str(chain.training), "seed": chain.seed}
    if stage == "generate":
        values: Options = {"output_path": str(chain.results), "overwrite": True}
        if experiment.train is None:
            return values | {"seed": chain.seed}
        if chain.settings.get("train", {}).get("network", "ecgan") != "ecgan":
            raise UserError("the network that is trained is none to paint with: leave generate out")
        return values | {"checkpoint": str(chain.training)}
    if stage == "gallery":
        return {"results": str(chain.results), "output": str(chain.page)}
    return {"results": str(chain.results)}


def drawn_sets(folder: Path, drawn: Drawn) -> tuple[Path, Path]:
    """Where an experiment's drawn training set and test set lie: other landscapes, other folders."""
    whole = folder / "data" / f"{drawn.size}-seed{drawn.seed}-{drawn.pairs}-{drawn.masks}"
    return whole / "train", whole / "test"


def is_drawn(folder: Path, drawn: Drawn) -> bool:
    return (drawn_sets(folder, drawn)[1] / REFERENCES).is_file()  # which is written last


def draw(folder: Path, drawn: Drawn) -> None:
    """Draws what is not there yet. Raises UserError or OSError."""
    if is_drawn(folder, drawn):
        return
    train, test = drawn_sets(folder, drawn)
    size = parse_size("drawn.size", drawn.size)
    assert size is not None
    write_training_set(train, drawn.pairs, drawn.seed, size)
    write_test_set(test, train, drawn.masks, drawn.seed, size)


def _absolute(cls: type, name: str, value: Any) -> Any:
    """Names of what is there don't depend on the folder in which a stage is started."""
    [field] = (field for field in dataclasses.fields(cls) if field.name == name)
    if not field.metadata["path"] or not isinstance(value, str):
        return value
    path = located(Path(value)).expanduser()
    return str(path.absolute()) if path.exists() else value
