"""Container images as bytes: read from registries, archives and engines, written and pushed, without an engine."""
