"""The networks of ECGAN. Importing this starts Jittor (see `ecgan.runtime` to choose device and threads first)."""

from ecgan.networks.discriminator import Discriminator
from ecgan.networks.encoder import Encoder
from ecgan.networks.generator import Generator, Pictures
from ecgan.networks.segmap import Segmap
from ecgan.networks.state import load_arrays, to_arrays

__all__ = ["Discriminator", "Encoder", "Generator", "Pictures", "Segmap", "load_arrays", "to_arrays"]
