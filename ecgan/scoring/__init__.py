"""How good the pictures are: the terms of the contest's score, each computed exactly or not at all.

docs/specification.md, section 1, has the score; docs/scoring.md how each term is computed.
"""
