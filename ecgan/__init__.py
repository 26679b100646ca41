"""ECGAN in Jittor: networks, checkpoints, data and everything else that knows pictures.

Importing this package starts nothing: Jittor is started by `ecgan.runtime`, on first use of
`ecgan.networks` or `ecgan.synthesis` at the latest.
"""

__version__ = "0.1.0"
