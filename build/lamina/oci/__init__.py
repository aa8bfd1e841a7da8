"""Container images as bytes: read from registries, layouts and archives, and pushed, without any engine."""
