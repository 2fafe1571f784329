"""Maintenance windows, as they are written."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, WithJsonSchema

from probe.config.shape.base import Several, Shape
from probe.config.shape.texts import Name, NotEmpty, Text, from_text
from probe.config.units import parse_instant

_EXAMPLE = "2026-05-31T22:00:00Z"
Instant = Annotated[
    float,
    from_text(parse_instant, _EXAMPLE),
    WithJsonSchema({"type": "string", "examples": [_EXAMPLE, "2026-05-31T19:00:00-03:00"]}),
]


class WindowShape(Shape):
    """A time for which failures of some checks, providers or targets are planned."""

    start: Instant
    """When it begins: date, time and offset from UTC (RFC 3339)."""
    end: Instant
    """When it is over, at most seven days later; what fails then pages again."""
    reason: Text = Field(min_length=1, examples=["CHG-1042: cdn-b moves its edges"])
    """Why, for those who read page and log."""
    checks: Several[Name] = Field(default=[], examples=["stores"])
    """Only for these checks."""
    providers: Several[Name] = Field(default=[], examples=["cdn-b"])
    """Only for these providers."""
    targets: Several[NotEmpty] = Field(default=[], examples=[["shop.example", "*.outlet.example"]])
    """Only for these targets: names, with or without the port, or patterns with *."""
    regions: Several[Name] = Field(default=[], examples=[["sa-east", "us-east"]])
    """Only for agents in these regions."""
