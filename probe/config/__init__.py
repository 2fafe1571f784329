"""YAML with line and column to specs, or all problems; secrets.

What needs pydantic and the YAML parser is imported when it is first used: the agent reads its
configuration in a process of its own (``apart``) and never loads them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from probe.config.secrets import SecretReader
from probe.documents.problem import DocumentError, Problem

if TYPE_CHECKING:
    from probe.config.loading import load, load_targets, validate

__all__ = [
    "DocumentError",
    "Problem",
    "SecretReader",
    "load",
    "load_targets",
    "validate",
]


def __getattr__(name: str) -> object:
    if name in ("load", "load_targets", "validate"):
        return getattr(import_module(f"{__name__}.loading"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
