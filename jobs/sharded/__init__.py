"""Work in shards, whatever is made of it: one shape, which `launch/flow.py` carries out here or on a cluster.

    settings -> check -> Request -> examine -> Work -> lay out -> a ShardJob for each allocation -> Finish

A kind of such work says what is its own, in five places: settings, which are `ShardedSettings` with more; a function
that checks them and returns a `Request`; a `Work` that knows the plan, describes it and lays it out; a `Share`, which
makes what one shard of the plan asks for; a `Finish`, which makes of all shards what the user wanted.
"""
