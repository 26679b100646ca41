"""Where jobs run: on a Slurm cluster, or on this machine. Knows jobs as callables, not what they do."""
