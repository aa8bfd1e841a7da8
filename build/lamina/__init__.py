"""lamina: AWS Lambda layers for Python machine-learning stacks, resolved for the target, reproducible to the byte."""

#: The one place that states it; the build reads it from here.
__version__ = "0.1.0"
