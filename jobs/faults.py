"""What is wrong with the user's data, all of it in one message before anything is done."""

from __future__ import annotations

from collections.abc import Sequence

from ecgan.data.faults import Fault

_SHOWN = 40


def report(faults: Sequence[Fault], of: str, done: str, go_on: str = "") -> str:
    """For a UserError: "3 fault(s) in `of`, nothing was `done`:", the faults, and what can be done about them.

    `go_on`: what --on_bad_input skip is good for, as "to make the other 4 pictures"; empty if nothing would be left.
    """
    lines = [
        f"{len(faults)} fault(s) in {of}, nothing was {done}:",
        *(f"  {fault.reason}" for fault in faults[:_SHOWN]),
    ]
    if len(faults) > _SHOWN:
        lines.append(f"  … and {len(faults) - _SHOWN} more")
    if go_on:
        lines.append(f"Mend them, or --on_bad_input skip {go_on}.")
    return "\n".join(lines)
