"""Where the time of the CPU's painter goes, operator by operator."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from unittest import mock

from measure import Times

#: Operators, and which of their arguments has the weights if they convolve.
_OPERATORS = {
    "convolve_modulated": 3,
    "convolve": 1,
    "multiply_modulated": None,
    "multiply": None,
    "see": None,
    "tabulate": None,
    "attend": None,
}


def by_operator(paint: Callable[[], object], repeats: int, peak: float) -> list[dict[str, Any]]:
    """Each run to its end before the next begins; `peak` in multiply-adds a second.

    Of convolutions, what the direct way would take of it: Winograd's may be above.
    """
    from ecgan.networks.cpu import painter

    calls: list[dict[str, Any]] = []

    def watched(name: str) -> Callable[..., Any]:
        operator, place = getattr(painter, name), _OPERATORS[name]

        def timed(*inputs: Any, **options: Any) -> Any:
            started = time.perf_counter()
            out = operator(*inputs, **options)
            out.sync()
            row = {"operator": name, "shape": list(out.shape), "s": time.perf_counter() - started}
            if place is not None:
                kernel = inputs[place]
                positions = out.shape[0] * out.shape[1] * out.shape[2]
                row |= {"channels": kernel.channels, "multiply_adds": 9 * positions * kernel.channels * kernel.features}
            calls.append(row)
            return out

        return timed

    with mock.patch.multiple(painter, **{name: watched(name) for name in _OPERATORS}):
        runs = []
        for _ in range(repeats + 1):
            calls.clear()
            paint()
            runs.append(list(calls))
    rows = [row | {"s": Times.of([run[i]["s"] for run in runs[1:]]).median} for i, row in enumerate(runs[0])]
    print(f"{'operator':<22}{'result':<24}{'from':>6}{'ms':>9}{'direct, of peak':>17}")
    for row in rows:
        shape, of_peak = "x".join(map(str, row["shape"])), ""
        if "channels" in row:
            of_peak = f"{row['multiply_adds'] / row['s'] / peak:.2f}"
        print(f"{row['operator']:<22}{shape:<24}{row.get('channels', ''):>6}{1e3 * row['s']:>9.1f}{of_peak:>17}")
    for name in _OPERATORS:
        of_name = [row["s"] for row in rows if row["operator"] == name]
        print(f"{name}: {len(of_name)} times, {sum(of_name):.3f} s")
    print()
    return rows
