"""A page to look at a results folder: every mask, its reference and what was painted, in one file without a server."""
