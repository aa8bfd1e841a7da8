"""Proof: the emitted artefacts run in the target's interpreter, as in Lambda, and what ran where is written down."""
