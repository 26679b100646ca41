"""Many trainings as one: variants of settings, each trained, painted with and scored, and a table of what came of it.

In the order in which it goes: settings, variants, chains, request, progress, tree, table, page.
"""
