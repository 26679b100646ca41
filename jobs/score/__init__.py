"""Scoring a results folder: what is measured of every picture, in parts, and what that adds up to."""
