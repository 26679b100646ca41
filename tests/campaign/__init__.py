"""A campaign of force, run by hand: python -m tests.campaign --seed 1 --kills 200 --where here|slurm

Runs are killed, their disks filled, their files damaged, their input spoiled; then the same command goes on, and what
it makes must be what an undisturbed run makes. docs/robustness.md says what was seen.
"""
