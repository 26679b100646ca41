"""A real Slurm cluster on this one machine, for tests and for trying a setup: every daemon on loopback, in a folder.

From a shell: python -m slurm.devcluster up. From Python: `with DevCluster(folder) as cluster: …`.
"""

from slurm.devcluster.cluster import DevCluster

__all__ = ["DevCluster"]
