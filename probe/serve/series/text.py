"""Pieces of the text formats: escaped labels, numbers, headers. Pure.

Both formats (Prometheus text 0.0.4, OpenMetrics 1.0) share the syntax of a sample; they differ
in the headers of families. prometheus-client is the reference: a test holds every byte equal.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from functools import lru_cache

from prometheus_client.utils import floatToGoString

from probe.serve.series.family import Family, Kind

Labels = tuple[tuple[str, str], ...]
"""Names and values of labels, sorted by name, values without lone surrogates."""


class Format(Enum):
    """An exposition format and its content type."""

    TEXT = "text/plain; version=0.0.4; charset=utf-8"
    OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


def clean(value: str) -> str:
    """The text, what UTF-8 cannot hold as an escape: one odd name must not end every scrape."""
    if value.isascii():
        return value
    return value.encode("utf-8", "backslashreplace").decode()


def escape(value: str) -> str:
    """A label value with backslash, newline and double quote escaped."""
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def label_text(labels: Iterable[tuple[str, str]]) -> str:
    """``{a="x",b="y"}``, or nothing for no labels."""
    inner = ",".join([f'{name}="{escape(value)}"' for name, value in labels])
    return f"{{{inner}}}" if inner else ""


def number(value: float) -> str:
    """A sample's value as both formats write it."""
    if -1e6 < value < 1e6:
        return repr(float(value))  # where Go and Python agree: nearly all values of a probe
    return str(floatToGoString(value))  # type: ignore[no-untyped-call]  # theirs has no types


@lru_cache(maxsize=4096)
def frequent_number(value: float) -> bytes:
    """The end of a sample's line, shared between the series that hold the same value."""
    return f"{number(value)}\n".encode()


def header(family: Family, form: Format) -> bytes:
    """The HELP and TYPE lines of a family."""
    if form is Format.OPENMETRICS:
        name, kind, text = family.base, str(family.kind), escape(family.help)
    else:
        name = family.name
        kind = "gauge" if family.kind is Kind.INFO else str(family.kind)
        text = family.help.replace("\\", r"\\").replace("\n", r"\n")
    return f"# HELP {name} {text}\n# TYPE {name} {kind}\n".encode()
