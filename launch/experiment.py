"""Trains, paints and scores many variants of settings as one, and puts what came of them into one table.

python launch/experiment.py configs/experiments/drawn.yaml
"""

from __future__ import annotations

import dataclasses
import runpy
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

try:
    from launch import early  # isort: skip

    early.begin(__name__)
    from ecgan.errors import UserError, told
    from ecgan.files import write_atomically
    from jobs.experiment import chains as plan
    from jobs.experiment import page, progress, request, table
    from jobs.experiment.chains import Chain
    from jobs.experiment.settings import Experiment, read_experiment
    from jobs.options import in_words, option, resolved
    from jobs.run import record
    from jobs.run.folder import RunDir
    from jobs.run.kind import Kind
    from jobs.yaml_files import to_yaml
    from launch import chains, lanes, on_cluster, snapshot, stage_clusters, taking
    from launch.at_end import AtEnd
    from launch.cluster_options import SubmitOptions
    from launch.command import DONE, parse_both, run
    from launch.own_files import found
    from launch.stage_clusters import Clusters
except ModuleNotFoundError as missing:
    runpy.run_path(str(Path(__file__).with_name("missing.py")))["exit_if_not_installed"](missing)
    raise

#: Where experiments lie by default.
_FOLDER = Path("experiments")


@dataclass(frozen=True)
class ExperimentSettings:
    file: tuple[str, ...] = option((), "the experiment's file, as in configs/experiments/", positional=True, path=True)
    table: bool = option(False, "show what has come of it so far, and do nothing else")
    cluster: str = option("auto", "where to run")
    dry_run: bool = option(False, "print what it is resolved to and what would be done, and do nothing")


def main() -> int:
    about = "Trains, paints and scores many variants of settings as one, and puts what came of them into one table."
    settings, options = parse_both(ExperimentSettings, SubmitOptions, about)
    if len(settings.file) > 1:
        raise UserError(f"{len(settings.file)} files: an experiment has one")
    file = found(Path(settings.file[0]).expanduser(), None)
    experiment = read_experiment(file)
    home = RunDir(resolved(experiment.folder or _FOLDER / file.stem), option="folder")
    if home.path.exists() and not home.path.is_dir():
        raise UserError(f"{file}: folder: {home.path} is a file: choose another")
    record.insist_on_kind(home, Kind.EXPERIMENT)
    try:
        all_chains, faults = plan.resolve(experiment, home.path, found)
    except UserError as error:
        raise UserError(f"{file}: {in_words(error)}") from None
    if settings.table and not faults:
        return show_table(home, all_chains)
    clusters, why = stage_clusters.find(settings, options, experiment.resources, file)
    notify = None if clusters else stage_clusters.notify_of(options, experiment.resources, file)
    due = [chain for chain in all_chains if progress.due(chain)]
    if not faults:
        if clusters:
            clusters.of["step"].insist_on_usable(home.path)
        faults = request.check(due, has_data(experiment, home), elsewhere(clusters) if clusters else None)
    if faults:
        lines = "\n".join(f"  {fault}" for fault in faults)
        raise UserError(f"{file}: {len(faults)} fault(s), nothing was done:\n{lines}")
    describe(experiment, home, all_chains, where(experiment, all_chains, clusters, why))
    if settings.dry_run:
        show_settings(all_chains)
        if clusters and due:
            cluster = clusters.of["step"]
            first = lanes.first_steps(home, all_chains, experiment.at_once, cluster, options, clusters.words)
            on_cluster.dry_run(home, settings, cluster, [first])
        return DONE
    with AtEnd(home) as end, taking.taken(home) as held:
        if experiment.drawn:
            plan.draw(home.path, experiment.drawn)
        write_atomically(home.config, to_yaml(dataclasses.asdict(experiment)))
        plan.save(home.plan, all_chains)
        if not clusters or not due:
            snapshot.take(home, options)
            environment = snapshot.environment(home, options)
            work = chains.Chains(home, all_chains, experiment.at_once, environment, held, notify)
            status = end.of(notify if due else None, work.carry_out)
            show_table(home, all_chains)
            return status
        cluster = clusters.of["step"]
        first = lanes.first_steps(home, all_chains, experiment.at_once, cluster, options, clusters.words)
        submission = lanes.submit(home, all_chains, cluster, options, first)
    on_cluster.tell(home, submission)
    if not options.wait:
        return DONE
    status = on_cluster.wait(home, submission, Kind.EXPERIMENT.doing)
    show_table(home, all_chains)
    return status


def elsewhere(clusters: Clusters) -> request.Elsewhere:
    train = clusters.of["train"]
    devices = {stage: on_cluster.device("auto", cluster) for stage, cluster in clusters.of.items()}
    return request.Elsewhere(devices, train.nodes * train.ranks_per_node)


def where(experiment: Experiment, all_chains: Sequence[Chain], clusters: Clusters | None, why: str) -> str:
    if clusters:
        at_once = min(experiment.at_once or len(all_chains), len(all_chains))
        return f"{clusters.of['step'].scheduler.title}: {at_once} chain(s) at a time; {why}"
    return f"this machine: {chains.at_once(all_chains, experiment.at_once)} chain(s) at a time; {why}"


def has_data(experiment: Experiment, home: RunDir) -> bool:
    """Whether the data is there that the chains begin with."""
    return experiment.drawn is None or plan.is_drawn(home.path, experiment.drawn)


def describe(experiment: Experiment, home: RunDir, all_chains: Sequence[Chain], place: str) -> None:
    """What it is, what is to be done, and why."""
    variants = {chain.variant: chain.differs for chain in all_chains}
    stages = ", ".join(all_chains[0].settings)
    rows = [("variants", f"{len(variants)} x {len(experiment.seeds)} seed(s): {len(all_chains)} chains of {stages}")]
    rows += [("", f"{name}: {_differs(differs)}") for name, differs in variants.items()]
    if experiment.drawn and not has_data(experiment, home):
        rows.append(
            ("to draw", f"{experiment.drawn.pairs} pairs, {experiment.drawn.masks} masks, {experiment.drawn.size}")
        )
    total, left = (
        sum(len(chain.settings) for chain in all_chains),
        sum(len(progress.due(chain)) for chain in all_chains),
    )
    rows.append(("stages", f"{total}: {total - left} done already, {left} to do"))
    rows += [("", f"{chain.name}: {why}") for chain in all_chains if (why := chains.reasons(chain))]
    rows.append(("where", place))
    rows += [("no longer", f"{path}: of no variant or seed of it") for path in chains.stray(home.path, all_chains)]
    rows.append(("run", str(home.path)))
    for title, text in rows:
        print(f"{title:<12}{text}", flush=True)


def _differs(differs: dict[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in differs.items()) or "as the base"


def show_settings(all_chains: Sequence[Chain]) -> None:
    """Every option that is not its default, of every stage."""
    for chain in all_chains:
        print(f"\n{chain.name}:")
        values = {stage: chain.given(stage) for stage in chain.settings}
        print("\n".join(f"  {line}" for line in to_yaml(values).splitlines()))


def show_table(home: RunDir, all_chains: Sequence[Chain]) -> int:
    """Prints it, and writes the files of it if the experiment has been begun."""
    whole = table.table(home, all_chains)
    print("\n".join(table.lines(whole)), flush=True)
    if home.plan.is_file():
        try:
            table.save(home, whole)
            text = page.page(whole, all_chains).encode(errors="backslashreplace")  # names of files need not be UTF-8
            write_atomically(home.table.with_suffix(".html"), text)
            print(f"\n{home.table.with_suffix('.html')}, and the numbers as .csv and .json")
        except OSError as error:
            print(f"note: the files of the table are not written: {told(error, home.path)}", file=sys.stderr)
    return DONE


if __name__ == "__main__":
    run(main)
