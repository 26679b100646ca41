"""Compiling on the machine where jobs will run, before they do."""

from __future__ import annotations

from dataclasses import dataclass

from ecgan.config import ModelConfig
from ecgan.runtime.cache import cache_dir
from ecgan.runtime.compiling import compile_core
from ecgan.runtime.devices import Device
from ecgan.runtime.warming import warm_painting


@dataclass(frozen=True)
class Warm:
    """Compiles Jittor's core for `device`, and what painting with `model` needs; picklable, called on a node."""

    device: Device
    model: ModelConfig | None

    def __call__(self) -> None:
        """Raises UserError naming the log if that fails."""
        compile_core(self.device)
        if self.model is not None:
            warm_painting(self.model, self.device)
        print(f"compiled for {self.device}, in {cache_dir()}", flush=True)
