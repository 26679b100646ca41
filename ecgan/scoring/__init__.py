"""How good the pictures are: the terms of the contest's score, each computed exactly or not at all (SPEC section 1)."""
