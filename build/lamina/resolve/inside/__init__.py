"""Programs that run inside the base image; nothing of lamina is there."""
