"""Training ECGAN: losses and the two halves of a step (SPEC section 3)."""
