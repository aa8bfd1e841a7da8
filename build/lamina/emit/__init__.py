"""layer → artefact: the zip itself, and what stands beside it."""
