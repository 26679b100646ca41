"""A container that ranks run in on a cluster whose srun has Pyxis: what srun is told of it. docs/containers.md."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from ecgan.errors import UserError


@dataclass(frozen=True)
class Container:
    """`image`: as `srun --container-image` takes it, a file or an address. `mounts`: what of a node is seen in it, each
    SOURCE:TARGET or SOURCE:TARGET:FLAGS, or a folder alone that keeps its name.

    Raises UserError if srun would take a mount for something else.
    """

    image: str
    mounts: list[str] = field(default_factory=list)

    #: The image's own, on the PATH that it sets; ours may not be there.
    python = "python"

    def __post_init__(self) -> None:
        for mount in self.mounts:
            parts = mount.split(":")
            if len(parts) > 3 or "," in mount or not all(part.startswith("/") for part in parts[:2]):
                fact = f"container_mounts of the cluster has {mount!r}: a mount is /SOURCE:/TARGET or /FOLDER"
                raise UserError(f"{fact}, without commas or variables")

    @property
    def words(self) -> list[str]:
        """For srun. What an image sets goes before our environment there, but for the names that are told."""
        words = [f"--container-image={self.image}"]
        if self.mounts:
            each = (mount if ":" in mount else f"{mount}:{mount}" for mount in self.mounts)
            words.append(f"--container-mounts={','.join(each)}")
        if os.environ.get("ECGAN_CACHE"):
            words.append("--container-env=ECGAN_CACHE")
        return words
