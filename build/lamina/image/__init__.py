"""order → image: base, dependencies, function, as layers of their own; archive, push, hand-over to an engine."""
