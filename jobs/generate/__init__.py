"""Generating pictures, in the order in which a picture passes: settings, plan, shard, records, merge."""
