"""What the target's own interpreter runs to compile: the standard library only, for every CPython of a target."""
