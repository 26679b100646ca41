"""Generating pictures, in the order in which one passes: settings, request, plan, work, shard, outcomes, merge."""
