"""YAML with line and column to specs, or all problems; secrets."""

from probe.config.loading import load, load_targets
from probe.config.problem import ConfigError, Problem
from probe.config.schema import json_schema
from probe.config.secrets import SecretReader

__all__ = ["ConfigError", "Problem", "SecretReader", "json_schema", "load", "load_targets"]
