"""order → image: base, dependencies and function, each in layers of its own; written as an archive, or handed over."""
