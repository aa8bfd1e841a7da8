"""Container engines, Docker's and Podman's: found, asked for images, told to run programs in containers."""
