"""YAML with line and column to specs, or all problems; secrets."""

from probe.config.loading import load, load_targets
from probe.config.problem import ConfigError, Problem

__all__ = ["ConfigError", "Problem", "load", "load_targets"]
