"""Everything that is to be known of a GPU, in one go: agreement with the CPU, speed, memory, limits; a table last.

python bench/gpu.py [--quick] [--device cuda|cpu] [--out FOLDER] [--parts NAME ...]

Each part runs in a process of its own, and one that fails keeps none of the others from running: its log tells. FOLDER
has table.txt, figures.json and a log for each part. It needs no network; what has been compiled lies in ECGAN_CACHE.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gpu_parts
from gpu_parts import FORMS, PRECISIONS, Setting
from measure import ROOT

from ecgan.runtime.devices import Device

BATCHES = (1, 2, 4, 8)
TRAINING_BATCHES = (1, 2, 4)
#: Seconds after which a part counts as hung; the first of its kind compiles its operators.
_PATIENCE = 3600
_CARD = 24 << 30
#: How far image2 may be off what the CPU paints, in float32.
_AGREES = 2e-3


@dataclass(frozen=True)
class Task:
    """A part to run: `part` names the function of `gpu_parts`."""

    part: str
    setting: Setting

    @property
    def name(self) -> str:
        s = self.setting
        return f"{self.part}, {s.precision}, {s.form}, {s.batch}"


def main() -> int:
    asked = _options()
    if asked.task:
        return _run_here(asked)
    asked.out.mkdir(parents=True, exist_ok=True)
    tasks = [task for task in plan(asked.device, asked.quick) if not asked.parts or task.part in asked.parts]
    figures: dict[str, Any] = {}
    for number, task in enumerate(tasks, 1):
        print(f"[{number}/{len(tasks)}] {task.name}", flush=True)
        figures[task.name] = _run_in_child(task, asked.out)
        (asked.out / "figures.json").write_text(json.dumps(figures, indent=1) + "\n")
    lines = table(figures, asked.device, asked.quick)
    (asked.out / "table.txt").write_text("\n".join(lines) + "\n")
    print("", *lines, sep="\n")
    return int(any("failed" in each for each in figures.values()))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--quick", action="store_true", help="tiny networks, few repeats: whether all of it runs")
    parser.add_argument("--out", type=Path, default=Path("gpu-figures"), help="folder for figures, table and logs")
    parser.add_argument("--parts", nargs="+", metavar="NAME", help="only these: machine, agreement, painting, …")
    parser.add_argument("--task", help=argparse.SUPPRESS)  # what a child is to do, as JSON
    return parser.parse_args()


def plan(device: Device, quick: bool) -> list[Task]:
    """In the order of what one wants to know first, should time run out."""
    batches, of_training = (BATCHES[:1], TRAINING_BATCHES[:1]) if quick else (BATCHES, TRAINING_BATCHES)
    precisions = list(PRECISIONS) if device == "cuda" else ["fp32"]
    plain = Setting(device, quick)
    tasks = [Task("machine", plain), Task("reference", Setting("cpu", quick, "fp32"))]
    tasks += [Task("agreement", Setting(device, quick, precision)) for precision in precisions]
    tasks += [Task("limits", Setting(device, quick, precision)) for precision in precisions]
    tasks += [Task("painting", Setting(device, quick, "fp32", form, batch)) for batch in batches for form in FORMS]
    tasks += [Task("pytorch", Setting(device, quick, "fp32", "dense", batch)) for batch in batches]
    tasks += [Task("training", Setting(device, quick, "fp32", batch=batch)) for batch in of_training]
    for precision in precisions[1:]:
        tasks += [Task("painting", Setting(device, quick, precision, form, batches[-1])) for form in FORMS]
        tasks += [Task("training", Setting(device, quick, precision))]
        if precision in ("default", "amp fp16"):
            tasks += [Task("pytorch", Setting(device, quick, precision, "dense", batches[-1]))]
    return [*tasks, Task("loading", plain)]


def _run_in_child(task: Task, out: Path) -> dict[str, Any]:
    """What the part found, or why it failed, in a line."""
    name = task.name.replace(", ", "-").replace(" ", "-")
    log, result = out / "logs" / f"{name}.log", out / "logs" / f"{name}.json"
    log.parent.mkdir(exist_ok=True)
    result.unlink(missing_ok=True)
    asked = {"part": task.part, "setting": dataclasses.asdict(task.setting), "result": str(result.absolute())}
    environment = os.environ | PRECISIONS[task.setting.precision][0]
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, __file__, "--out", str(out.absolute()), "--task", json.dumps(asked)]
    with open(log, "w") as file:
        try:
            status = subprocess.run(command, env=environment, stdout=file, stderr=file, timeout=_PATIENCE).returncode
        except subprocess.TimeoutExpired:
            return {"failed": f"no end within {_PATIENCE} s"}
    if status or not result.is_file():
        reason = _reason(log.read_text(errors="replace")) or f"status {status}"
        if reason.startswith("ModuleNotFoundError"):
            return {"left_out": reason.removeprefix("ModuleNotFoundError: ")}
        return {"failed": reason[:300]}
    return dict(json.loads(result.read_text()))


def _reason(log: str) -> str:
    """The line of a log that says most: Jittor's word on what it could not do, else the last one."""
    lines = [line for line in re.sub(r"\x1b\[[0-9;]*m", "", log).splitlines() if line.strip()]
    said = [line for line in lines if line.startswith("Reason:")]
    return (said or lines or [""])[-1].strip()


def _run_here(asked: argparse.Namespace) -> int:
    task = json.loads(asked.task)
    setting = Setting(**task["setting"])
    part = getattr(gpu_parts, task["part"])
    extra = (asked.out / "reference.npz",) if task["part"] in ("reference", "agreement") else ()
    Path(task["result"]).write_text(json.dumps(part(setting, *extra)))
    return 0


def table(figures: dict[str, Any], device: str, quick: bool) -> list[str]:
    """All figures as lines to read; what failed with its reason."""
    good = {name: each for name, each in figures.items() if not {"failed", "left_out"} & set(each)}
    lines = [f"{'quick, ' if quick else ''}{device}: {_of_machine(good)}", ""]
    lines += _of_agreement(good) + _of_limits(good)
    for part, unit in (("painting", "images_per_s"), ("pytorch", "images_per_s"), ("training", "steps_per_s")):
        lines += _of_speed(good, part, unit)
    lines += _of_loading(good)
    for why in ("left_out", "failed"):
        lines += [f"{why.replace('_', ' ')}: {name}: {each[why]}" for name, each in figures.items() if why in each]
    return lines


def _named(figures: dict[str, Any], part: str) -> dict[str, Any]:
    """Of one part, by the rest of the name."""
    return {name.partition(", ")[2]: each for name, each in figures.items() if name.startswith(f"{part}, ")}


def _of_machine(figures: dict[str, Any]) -> str:
    found = next(iter(_named(figures, "machine").values()), {})
    card = ""
    if found.get("device") == "cuda":
        query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
        try:
            card = subprocess.run(query, capture_output=True, text=True, timeout=30).stdout.strip().replace("\n", "; ")
        except (OSError, subprocess.TimeoutExpired) as error:
            card = f"no word from nvidia-smi ({error})"
    return "; ".join([card, *(f"{name} {value}" for name, value in found.items())]).strip("; ")


def _of_agreement(figures: dict[str, Any]) -> list[str]:
    lines = [f"greatest difference from the CPU (of loss terms: relative); agrees: image2 to {_AGREES}"]
    for name, each in _named(figures, "agreement").items():
        groups: dict[str, float] = {}
        for value, difference in each.items():
            group = value.rpartition(" ")[0] if value.startswith("step") else value
            groups[group] = max(groups.get(group, 0.0), difference)
        verdict = "agrees" if all(groups[name] < _AGREES for name in groups if "image2" in name) else "does NOT agree"
        apart = ", ".join(f"{group} {value:.1e}" for group, value in groups.items())
        lines.append(f"  {name}: {verdict} ({apart})")
    return _section(lines)


def _of_limits(figures: dict[str, Any]) -> list[str]:
    lines = ["measured limits"]
    for name, each in _named(figures, "limits").items():
        speed, width = each["multiply_adds_per_s"], each["bytes_per_s"]
        lines.append(f"  {name}: {speed / 1e12:.2f} T multiply-adds/s, {width / 1e9:.0f} GB/s")
    return _section(lines)


def _of_speed(figures: dict[str, Any], part: str, unit: str) -> list[str]:
    lines = [f"{part}: {unit.replace('_per_', '/')}"]
    limits = {name.split(", ")[0]: each for name, each in _named(figures, "limits").items()}
    torch = _named(figures, "pytorch")
    for name, each in _named(figures, part).items():
        precision, _, batch = name.split(", ")
        line = f"  {name:<32}{each[unit]:>10.2f}"
        if "peak_bytes" in each:
            line += f"  {each['peak_bytes'] / 2**30:6.2f} GiB"
            line += "  fits 24 GB" if part == "training" and each["peak_bytes"] < 0.95 * _CARD else ""
        if "multiply_adds" in each and precision in limits:
            speed = each["multiply_adds"] / each["seconds"]["median"]
            width = each["least_bytes"] / each["seconds"]["median"]
            line += f"  {speed / limits[precision]['multiply_adds_per_s']:.2f} of the products' peak"
            line += f", {width / limits[precision]['bytes_per_s']:.2f} of the copy's bytes"
        rival = torch.get(f"{precision}, dense, {batch}")
        if part == "painting" and rival:
            line += f"  {each[unit] / rival['images_per_s']:.2f} of PyTorch dense"
        lines.append(line)
    return _section(lines)


def _section(lines: list[str]) -> list[str]:
    """A heading with what there is to it, or nothing."""
    return [*lines, ""] if len(lines) > 1 else []


def _of_loading(figures: dict[str, Any]) -> list[str]:
    found = _named(figures, "loading").values()
    return [
        f"a step with its samples read from files takes {each['read_over_at_hand']:.2f} of one without"
        for each in found
    ]


if __name__ == "__main__":
    sys.exit(main())
