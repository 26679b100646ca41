"""Generating pictures, in the order in which a picture passes: settings, request, plan, work, shard, records, merge."""
