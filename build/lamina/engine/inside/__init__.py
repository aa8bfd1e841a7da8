"""Programs that the target's interpreter runs: CPython 3.9 or newer, the standard library only, nothing of lamina."""
