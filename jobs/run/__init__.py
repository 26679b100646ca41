"""The record of a run, whatever it does: its folder, lock, status, attempts, submission and progress."""
