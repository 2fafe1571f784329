"""Configurations for real agents."""

from tests.support.agents import plain

__all__ = ["plain"]
