"""Container engines, Docker's and Podman's: found, asked for an image, told to run programs in containers."""
