"""Makes the root of a Debian distribution, tries the README's commands on it, and says what was seen."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import NoReturn, get_args

from ecgan.errors import UserError
from tests.fresh.report import VERSIONS, row
from tests.fresh.root import ROOT, Distribution, root
from tests.fresh.trial import Trial
from tests.fresh.ways import ways_of_this_machine

COMMANDS = ("demo", "test", "messages")


def main() -> NoReturn:
    asked = options()
    try:
        if os.geteuid():
            raise UserError("only root can make a root and enter it")
        sys.exit(try_all(asked))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fresh", description=__doc__)
    parser.add_argument("distribution", choices=get_args(Distribution))
    parser.add_argument(
        "--commands",
        type=commands,
        default=COMMANDS,
        metavar="LIST",
        help="of demo,test,messages, those to run, in this order (default: all)",
    )
    parser.add_argument(
        "--folder",
        type=lambda text: Path(text).absolute(),
        default=ROOT / "build/fresh",
        help="of roots, machines and logs, on a file system that overlayfs can write to (default: build/fresh)",
    )
    parser.add_argument("--mirror", metavar="URL", help="of Debian's packages (default: this machine's)")
    parser.add_argument("--anew", action="store_true", help="make the root anew, of what the distribution has today")
    parser.add_argument(
        "--enter", metavar="COMMAND", help="run this, and nothing else, on the machine that the last demo or test left"
    )
    return parser.parse_args()


def commands(text: str) -> tuple[str, ...]:
    words = text.split(",")
    if unknown := [word for word in words if word not in COMMANDS]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(COMMANDS)}")
    return tuple(command for command in COMMANDS if command in words)


def try_all(asked: argparse.Namespace) -> int:
    ways = ways_of_this_machine(asked.mirror)
    logs = asked.folder / "logs" / asked.distribution
    logs.mkdir(parents=True, exist_ok=True)
    base, made = root(asked.distribution, asked.folder / "roots", ways, logs / "root.log", anew=asked.anew)
    trial = Trial(base, asked.folder / "machines" / asked.distribution, logs, ways)
    if asked.enter is not None:
        if not trial.machine.folder.is_dir():
            raise UserError(f"no demo or test has left a machine in {trial.machine.folder}")
        return trial.machine.run(asked.enter, sys.stdout)
    commit = _git("rev-parse", "--short", "HEAD")
    print(f"{asked.distribution} of {made}; commit {commit}", flush=True)
    if _git("status", "--porcelain"):
        print("what is not committed is not tried")

    outcomes = list(trial.readme([command for command in asked.commands if command != "messages"]))
    versions = {name: trial.machine.ask(command) for name, command in VERSIONS.items()}
    if "messages" in asked.commands:
        outcomes += trial.messages()
    print(*outcomes, sep="\n")
    print(row(versions, f"{commit}, {date.today()}", outcomes))
    return int(any(outcome.fault is not None for outcome in outcomes))


def _git(*command: str) -> str:
    done = subprocess.run(["git", "-C", str(ROOT), *command], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise UserError(f"{ROOT} is no checkout that Git can read, and a checkout is what is tried")
    return done.stdout.strip()


if __name__ == "__main__":
    main()
