"""Turns a checkpoint of the original into one of ours: safetensors and JSON, which can't run code when loaded.

python launch/convert.py latest_net_G.pkl latest_net_E.pkl latest_net_D.pkl OUT
python launch/convert.py --half RUN_OR_CHECKPOINT OUT
"""

from __future__ import annotations

import runpy
from dataclasses import dataclass
from pathlib import Path

try:
    from launch import early  # isort: skip

    early.begin(__name__)
    import numpy as np

    from ecgan.checkpoint import Checkpoint, ModelOverrides, native, open_checkpoint, open_pickles
    from ecgan.checkpoint.shipped import located
    from ecgan.config import Upsampling
    from ecgan.errors import UserError, reason
    from ecgan.files import clear_leftovers
    from jobs.options import option, parse_size
    from launch.command import DONE, parse, run
except ModuleNotFoundError as missing:
    runpy.run_path(str(Path(__file__).with_name("missing.py")))["exit_if_not_installed"](missing)
    raise


@dataclass(frozen=True)
class ConvertSettings:
    paths: tuple[str, ...] = option(
        (), "the .pkl files, or a folder of them; then the folder to write", positional=True, path=True
    )
    which_epoch: str | None = option(None, "which checkpoint, where a folder holds several; by default latest")
    network_size: str | None = option(None, "WIDTHxHEIGHT of a network that has no opt.txt")
    num_upsampling_layers: Upsampling | None = option(None, "upsampling layers of a network that has no opt.txt")
    half: bool = option(
        False, "of any checkpoint what paints alone, the moving average as G, in half precision: to be handed on"
    )


def main() -> int:
    settings = parse(ConvertSettings, "Turns a checkpoint of the original into one of ours.")
    *given, out = (Path(path).expanduser() for path in settings.paths)
    sources = [located(path) for path in given]
    if not sources:
        raise UserError("give the files to convert first and the folder to write last")
    overrides = ModelOverrides(parse_size("--network_size", settings.network_size), settings.num_upsampling_layers)
    if len(sources) == 1 and sources[0].is_dir():
        checkpoint = open_checkpoint(sources[0], settings.which_epoch, overrides)
    else:
        if settings.which_epoch is not None:
            raise UserError("--which_epoch chooses among the checkpoints of a folder, and files are given")
        checkpoint = open_pickles(sources, overrides)
    if not checkpoint.is_original and not settings.half:
        raise UserError(f"{checkpoint.path} is one of ours already")
    arrays = _halved(checkpoint) if settings.half else {each: checkpoint.arrays(each) for each in checkpoint.files}
    about = {"source": [checkpoint.files[each].name for each in arrays], "model": checkpoint.model_source}
    clear_leftovers(out.parent)
    try:
        native.save(out, arrays, checkpoint.model, about)
    except OSError as error:
        raise UserError(f"can't write {out}: {reason(error)}") from None
    print(f"networks {', '.join(arrays)} in {out}: {checkpoint.model_source}")
    return DONE


def _halved(checkpoint: Checkpoint) -> dict[str, dict[str, np.ndarray]]:
    checkpoint.verify()
    networks = {"G": checkpoint.arrays(checkpoint.generator), "E": checkpoint.arrays("E")}
    return {
        each: {name: array.astype(np.float16) for name, array in tensors.items()} for each, tensors in networks.items()
    }


if __name__ == "__main__":
    run(main)
