"""A regional probe that finds the domain, the edge and the layer that fail."""

__version__ = "0.1.0"
