"""Training ECGAN: losses and the two halves of a step (docs/specification.md, section 3)."""
