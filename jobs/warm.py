"""Compiling on the machine where jobs will run, before they do."""

from __future__ import annotations

from dataclasses import dataclass

from ecgan import runtime
from ecgan.config import ModelConfig
from ecgan.warm import warm_painting


@dataclass(frozen=True)
class Warm:
    """Compiles Jittor's core for `device`, and what painting with `model` needs; picklable, called on a node."""

    device: str
    model: ModelConfig | None

    def __call__(self) -> None:
        """Raises UserError naming the log if that fails."""
        runtime.compile_core(self.device)  # type: ignore[arg-type]
        if self.model is not None:
            warm_painting(self.model, self.device)
        print(f"compiled for {self.device}, in {runtime.cache_dir()}", flush=True)
