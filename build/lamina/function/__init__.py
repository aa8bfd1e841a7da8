"""The slim function beside the layer: packed from the project's own sources, and judged before anything runs it."""
