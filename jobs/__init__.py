"""What one allocation runs: the plan of a run, its folder, its jobs, and the merging of what they made."""
