"""What is tried on a root: the README's commands on one machine; on others, `make demo` where a package is missing."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ecgan.errors import UserError
from tests.fresh.machine import Machine
from tests.fresh.messages import can_be_told, fault_of
from tests.fresh.report import Outcome, counts
from tests.fresh.root import ROOT, install, packages_of, remove
from tests.fresh.ways import Ways

#: Lines of a log that are shown where something failed.
_SHOWN = 30


@dataclass(frozen=True)
class Trial:
    """Machines lie in `machines`; each command's output in `logs`."""

    base: Path
    machines: Path
    logs: Path
    ways: Ways

    @property
    def machine(self) -> Machine:
        """Where the README's commands run; it stays to be looked at."""
        return Machine(self.machines / "machine", self.base, self.ways)

    def readme(self, commands: list[str]) -> Iterator[Outcome]:
        """`make demo` and `make test`, in the order given, on a machine that has never seen this project."""
        machine = self.machine
        machine.clear()
        with self._log("checkout") as log:
            bring_checkout(machine, log)
        for command in commands:
            yield self._timed(f"make {command}", self._make, machine, command)

    def _make(self, log: IO[str], machine: Machine, command: str) -> tuple[str | None, str]:
        status = machine.run(f"cd ecgan && make {command}", log)
        fault = f"it ended with {status}" if status else None
        if command == "demo" and fault is None and machine.ask("ls ecgan/demo/results.html") == "":
            fault = "there is no demo/results.html"
        return fault, counts(_said(log))

    def messages(self) -> Iterator[Outcome]:
        """`make demo` without each package, and `make jittor` once that is installed."""
        for package in can_be_told(packages_of((ROOT / "README.md").read_text())):
            machine = Machine(self.machines / f"without-{package}", self.base, self.ways)
            outcome = self._timed(f"without {package}", self._without, machine, package)
            if outcome.fault is None:
                machine.clear()
            yield outcome

    def _without(self, log: IO[str], machine: Machine, package: str) -> tuple[str | None, str]:
        machine.clear()
        with self._log(f"around-{package}") as around:
            remove(machine, package, around)
            bring_checkout(machine, around)
            status = machine.run("cd ecgan && make demo", log)
            fault = fault_of(package, status, _said(log))
            if fault is None:
                install(machine, [package], around)
                if machine.run("cd ecgan && make jittor", log):
                    fault = "it did not go on once the package was there"
        return fault, ""

    def _timed(self, name: str, act: Callable[..., tuple[str | None, str]], *of: object) -> Outcome:
        """`act` gets the log and `of`, and returns what is wrong, or None, and more about what was seen."""
        began = time.monotonic()
        with self._log(name.replace(" ", "-")) as log:
            print(f"{name}: {log.name}", flush=True)
            fault, words = act(log, *of)
            if fault is not None:
                print(*_said(log).splitlines()[-_SHOWN:], sep="\n")
        outcome = Outcome(name, time.monotonic() - began, fault, words)
        print(outcome, flush=True)
        return outcome

    def _log(self, name: str) -> IO[str]:
        return open(self.logs / f"{name}.log", "w")


def bring_checkout(machine: Machine, log: IO[str]) -> None:
    """What Git has of HEAD, into the user's home. Raises UserError if the machine does not work."""
    archive = ["git", "-C", str(ROOT), "archive", "--prefix=ecgan/", "HEAD"]
    with subprocess.Popen(archive, stdout=subprocess.PIPE, stderr=log) as git:
        failed = machine.run("tar -x", log, stdin=git.stdout)
    if failed or git.returncode:
        raise UserError(f"the checkout can't be brought to {machine.folder}: {log.name}")


def _said(log: IO[str]) -> str:
    return Path(log.name).read_text(errors="replace")
