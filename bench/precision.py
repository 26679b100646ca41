"""Pictures in bfloat16 beside those in float32: how far apart they are, and what each takes of the processor.

python bench/precision.py CHECKPOINT [--input_path data/test] [--img_path data/train/imgs] [--how_many N] [--threads T]
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
from measure import write

from ecgan.checkpoint import open_checkpoint
from ecgan.colour import ColourTransfer
from ecgan.data.images import read_mask, read_photo
from ecgan.data.testset import find_test_set
from ecgan.runtime import starting
from ecgan.runtime.precision import Precision

FORMS: tuple[Precision, Precision] = ("float32", "bfloat16")
TRANSFERS: tuple[ColourTransfer, ColourTransfer] = ("lab", "none")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--input_path", type=Path, default=Path("data/test"))
    parser.add_argument("--img_path", type=Path, default=Path("data/train/imgs"))
    parser.add_argument("--how_many", type=int)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    asked = parser.parse_args()
    starting.start("cpu", asked.threads)
    from ecgan.synthesis import Synthesiser

    checkpoint = open_checkpoint(asked.checkpoint)
    painters = {form: Synthesiser(checkpoint, precision=form) for form in FORMS}
    size = painters["float32"].size
    seconds: dict[Precision, list[float]] = {form: [] for form in FORMS}
    apart: dict[ColourTransfer, list[np.ndarray]] = {transfer: [] for transfer in TRANSFERS}
    for item in find_test_set(asked.input_path, asked.img_path).items[: asked.how_many]:
        mask, photo = read_mask(item.mask, checkpoint.model), read_photo(item.reference)
        raw = {}
        for form in FORMS:
            for turn in range(2):  # what a mask decides is kept for the second; the first may compile
                started = time.process_time()
                raw[form] = painters[form].generate(mask[None], photo[None], [item.name], [0], 1.0)[0]
                if turn:
                    seconds[form].append(time.process_time() - started)
        for transfer in TRANSFERS:
            one, other = (Synthesiser.finish(raw[form], photo, transfer).astype(int) for form in FORMS)
            apart[transfer].append(np.abs(one - other))
    figures = {form: statistics.median(seconds[form]) for form in FORMS}
    print(f"{len(seconds['float32'])} pictures of {size[0]}x{size[1]}, seconds of processor time each")
    for form in FORMS:
        print(f"{form:<10}{figures[form]:9.3f}")
    print("grey levels apart       mean   within 3   most")
    for transfer in TRANSFERS:
        all_of = np.concatenate([each.reshape(-1) for each in apart[transfer]])
        figures |= {f"{transfer} mean": float(all_of.mean()), f"{transfer} within 3": float((all_of <= 3).mean())}
        print(f"colour transfer {transfer:<5}{all_of.mean():7.4f}{100 * (all_of <= 3).mean():9.3f} %{all_of.max():7}")
    write(figures, asked.json)


if __name__ == "__main__":
    main()
