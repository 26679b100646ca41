"""Scoring a results folder: what is measured of every picture, in parts, and what that adds up to.

In the order in which it goes: settings, request, plan, work, shard, measurements, finish.
"""
