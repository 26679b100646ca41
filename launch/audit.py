"""Looks through a training set for what training had better leave out, and writes a list of it.

python launch/audit.py --input_path data/train
"""

from __future__ import annotations

import runpy
import shlex
import shutil
import sys
from pathlib import Path

try:
    from launch import early  # isort: skip

    early.begin(__name__)
    from jobs.audit import EXCLUDE, SUMMARY, Audit, AuditSettings, audit, summary, write
    from jobs.commands import program
    from launch.command import DONE, parse, run
except ModuleNotFoundError as missing:
    runpy.run_path(str(Path(__file__).with_name("missing.py")))["exit_if_not_installed"](missing)
    raise


def main() -> int:
    settings = parse(AuditSettings, "Audits a training set: a report, and a list of pairs to leave out.")
    result = audit(settings)
    folder = write(result, settings)
    print("\n".join(summary(result)))
    print(f"\n{folder / SUMMARY} is this, report.json beside it names every fault", end="")
    if len(result.excluded) == result.pairs:
        print(", and there is no pair without one")
        return DONE
    print("; to train without them:")
    print(f"  {shlex.join(training(result, settings, folder / EXCLUDE))}")
    return DONE


def training(result: Audit, settings: AuditSettings, exclude: Path) -> list[str]:
    """The command that trains on what is left, here and with this Python."""
    words = [*_train(), "--input_path", settings.input_path, "--exclude_list", str(exclude)]
    if settings.label_nc != AuditSettings.label_nc:
        words += ["--label_nc", str(settings.label_nc)]
    if settings.contain_dontcare_label:
        words.append("--contain_dontcare_label")
    return words + (["--on_bad_input", "skip"] if result.has_strays else [])


def _train() -> list[str]:
    if script := program("train"):
        found = shutil.which(script.name)
        return [script.name if found and Path(found).resolve() == script else str(script)]
    python = "python" if shutil.which("python") == sys.executable else sys.executable
    return [python, str(Path(sys.argv[0]).with_name("train.py"))]


if __name__ == "__main__":
    run(main)
