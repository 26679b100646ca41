"""An experiment's chains on this machine: so many at a time, stage after stage, each stage a command of its own."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from tqdm import tqdm

from ecgan.cores import cores
from ecgan.files import write_atomically
from ecgan.progress import progress_bar
from ecgan.runtime.devices import gpu_count
from jobs.experiment import progress
from jobs.experiment.chains import Chain
from jobs.experiment.progress import Noted
from jobs.run import record
from jobs.run.folder import RunDir
from jobs.run.kind import Kind
from jobs.run.notify import notify
from jobs.run.state import State
from jobs.yaml_files import to_yaml
from launch.command import DONE, INTERRUPTED, SOME_FAILED, STOPPED, Terminated
from launch.stage_clusters import UNTOLD
from slurm.processes import resources
from slurm.processes.command import Command

_TICK = 0.2


@dataclass
class _Running:
    """A chain at work. `slot`: which of those that go on at the same time; `left`: the stages that come behind;
    `asked`: it has been told to end."""

    chain: Chain
    slot: int
    stage: str
    command: Command
    left: list[str]
    asked: bool = False


def at_once(chains: Sequence[Chain], asked: int | None) -> int:
    """How many chains go on at the same time here."""
    shared = any(chain.settings.get("train", {}).get("ranks") not in (None, 1) for chain in chains)
    return min(asked or (1 if shared else max(1, gpu_count())), max(1, len(chains)))


class Chains:
    """`environment` is every command's; `held`: the experiment's lock, which all keep as long as they live; `notify`:
    the command that is told of stages that fail."""

    def __init__(
        self,
        run: RunDir,
        chains: Sequence[Chain],
        asked: int | None,
        environment: Mapping[str, str],
        held: int,
        notify: str | None = None,
    ) -> None:
        self._run, self._environment, self._held, self._notify = run, environment, held, notify
        self._count = at_once(chains, asked)
        shares = resources.environments(self._count, gpu_count()) if self._count > 1 else [{}]
        self._shares: list[dict[str, str]] = shares
        self._waiting = deque(chains)
        for chain in chains:
            chain.cancelled.unlink(missing_ok=True)
        self._running: list[_Running] = []
        self._total = sum(len(chain.settings) for chain in chains)
        self._done = self._total - sum(len(progress.due(chain)) for chain in chains)
        self._failed = 0

    def carry_out(self) -> int:
        """Returns the exit status. Interrupted, it lets every command save what it has."""
        record.begin(self._run, Kind.EXPERIMENT, State.RUNNING, total=self._total, done=self._done)
        try:
            with progress_bar(self._total, "experiment", Kind.EXPERIMENT.unit, initial=self._done) as bar:
                while self._waiting or self._running:
                    self._fill()
                    time.sleep(_TICK)
                    self._look()
                    bar.update(self._done - bar.n)
        except (KeyboardInterrupt, Terminated) as error:
            self._stop()
            record.update(self._run, State.STOPPED, done=self._done, failed=self._failed or None)
            print("stopped; the same command goes on from there", file=sys.stderr)
            return INTERRUPTED if isinstance(error, KeyboardInterrupt) else STOPPED
        except BaseException:
            self._stop()
            record.update(self._run, State.FAILED)
            raise
        complete = self._done == self._total
        record.update(self._run, State.DONE if complete else State.INCOMPLETE, done=self._done)
        return DONE if complete else SOME_FAILED

    def _fill(self) -> None:
        """Gives chains that wait to slots that are free."""
        free = sorted(set(range(self._count)) - {each.slot for each in self._running})
        while free and self._waiting:
            chain = self._waiting.popleft()
            if (stages := list(progress.due(chain))) and not chain.cancelled.exists():
                self._start(chain, free.pop(0), stages)

    def _start(self, chain: Chain, slot: int, stages: list[str]) -> None:
        stage, *left = stages
        log = self._run.logs / log_name(chain, stage)
        why = progress.due(chain)[stage]
        options = prepare(chain, stage, ("--cluster", "local", *UNTOLD))
        if self._count > 1 and stage in ("generate", "score") and chain.settings[stage]["workers"] is None:
            options += ["--workers", str(max(1, cores() // self._count))]
        if stage != "gallery":
            options.append("--no_snapshot")  # it runs from the experiment's already
        progress.begin(chain, stage, log)
        environment = {**self._environment, **self._shares[slot]}
        command = Command(f"launch.{stage}", options, environment, log, [self._held])
        self._running.append(_Running(chain, slot, stage, command, left))
        tell(chain, stage, f"begins ({why})")

    def _look(self) -> None:
        """Notes what has ended, and goes on with what comes behind; ends what is cancelled."""
        for each in self._running:
            if not each.asked and each.chain.cancelled.exists():
                each.asked = True
                each.command.ask_to_stop()
        for each in [each for each in self._running if each.command.status is not None]:
            self._running.remove(each)
            if self._end(each).outcome.is_success and not each.chain.cancelled.exists():
                due = progress.due(each.chain)
                left = [stage for stage in each.left if stage in due]
                self._done += len(each.left) - len(left)  # what came out as it was leaves those behind it done
                if left:
                    self._start(each.chain, each.slot, left)

    def _end(self, each: _Running) -> Noted:
        noted = progress.end(each.chain, each.stage, each.command.wait(), asked=each.asked)
        if noted.outcome.is_success:
            self._done += 1
            tell(each.chain, each.stage, "done")
        else:
            self._failed += 1
            behind = f"; not done: {', '.join(each.left)}" if each.left else ""
            tell(each.chain, each.stage, f"{noted.outcome}: {noted.error} (log in {noted.log}){behind}", sys.stderr)
        record.update(self._run, State.RUNNING, done=self._done, failed=self._failed or None)
        notify_of_failure(self._notify, self._run, each.chain, each.stage, noted)
        return noted

    def _stop(self) -> None:
        """Lets the commands save and end; a second signal ends them at once."""
        if self._running:
            print("\nstopping: every stage saves what it has (again: end at once)", file=sys.stderr, flush=True)
        self._ask()
        for each in self._running:
            while each.command.status is None:
                try:
                    time.sleep(_TICK)
                except (KeyboardInterrupt, Terminated):
                    self._ask()
        for each in self._running:  # all of them have ended, whatever becomes of these notes
            progress.end(each.chain, each.stage, each.command.wait(), asked=True)

    def _ask(self) -> None:
        for each in self._running:
            each.command.ask_to_stop()


def log_name(chain: Chain, stage: str) -> str:
    return f"{chain.variant}.seed-{chain.seed}.{stage}.log"


def prepare(chain: Chain, stage: str, where: Sequence[str]) -> list[str]:
    """Writes the file of a stage's options; returns the options with which its command does the stage. `where`: those
    that say where its work goes."""
    chain.folder.mkdir(parents=True, exist_ok=True)
    file = chain.folder / f"{stage}.yaml"
    write_atomically(file, to_yaml(chain.given(stage)))
    options = ["--config", str(file)]
    if stage != "gallery":
        options += where
    if stage == "train" and progress.begins_anew(chain):
        options.append("--no_resume")
    return options


def tell(chain: Chain, stage: str, words: str, to: TextIO | None = None) -> None:
    """A line, above the bar if there is one."""
    tqdm.write(f"{chain.name}: {stage} {words}", file=to or sys.stdout)
    (to or sys.stdout).flush()


def notify_of_failure(command: str | None, home: RunDir, chain: Chain, stage: str, noted: Noted) -> None:
    """Tells the user of a stage that did not come to the end that it should have. What is done, the end of the
    experiment tells."""
    if noted.outcome.is_told and not noted.outcome.is_success:
        run = chain.run(stage)
        text = f"experiment {home.path.name}: {stage} of {chain.name} {noted.outcome}: {noted.error}"
        notify(command, noted.outcome, run.path if run else chain.folder, text)


def reasons(chain: Chain) -> str:
    """What of a chain is to be done, and why, in a line; empty if nothing is."""
    grouped: dict[str, list[str]] = {}
    for stage, why in progress.due(chain).items():
        grouped.setdefault(why, []).append(stage)
    return "; ".join(f"{', '.join(stages)} ({why})" for why, stages in grouped.items())


def stray(folder: Path, chains: Sequence[Chain]) -> list[Path]:
    """Folders of variants and seeds that are no longer the experiment's."""
    ours = {chain.folder for chain in chains}
    return [path for path in sorted(folder.glob("variants/*/seed-*")) if path not in ours]
