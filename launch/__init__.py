"""Command lines: parse, plan, submit, watch. Nothing here imports Jittor: a login node must not compile."""
