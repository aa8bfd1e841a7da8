"""``lamina report``: one value that tells of a layer that was built, and three renderers that only format it."""
