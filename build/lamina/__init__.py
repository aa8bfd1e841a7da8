"""lamina: layers and images for AWS Lambda of Python machine-learning stacks, reproducible to the byte."""

#: The one place that states it; the build reads it from here.
__version__ = "0.1.0"
