"""Tests on a real Slurm cluster on this machine: make test-slurm."""
