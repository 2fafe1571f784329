"""Which format and which coding a scraper wants (RFC 9110, section 12). Pure."""

from __future__ import annotations

from typing import NamedTuple

from probe.serve.series.text import Format


class Preference(NamedTuple):
    """One element of an Accept or Accept-Encoding header."""

    name: str
    parameters: dict[str, str]
    quality: float


def preferences(header: str) -> list[Preference]:
    """The elements of a header; what cannot be read as a quality counts as 1."""
    found = []
    for element in header.split(","):
        name, *rest = [part.strip() for part in element.split(";")]
        if not name:
            continue
        parameters = {}
        for part in rest:
            key, _, value = part.partition("=")
            parameters[key.strip().lower()] = value.strip().strip('"')
        found.append(Preference(name.lower(), parameters, _quality(parameters.pop("q", "1"))))
    return found


def _quality(text: str) -> float:
    try:
        return min(1.0, max(0.0, float(text)))
    except ValueError:
        return 1.0


def choose_format(accept: str) -> Format:
    """OpenMetrics when the scraper prefers it by name, else the text format.

    Wildcards mean the text format: it is what people and simple tools can read.
    """
    quality = {Format.TEXT: 0.0, Format.OPENMETRICS: 0.0}
    for name, parameters, wanted in preferences(accept):
        version = parameters.get("version")
        if name == "application/openmetrics-text" and version in {None, "1.0.0"}:
            form = Format.OPENMETRICS
        elif (name == "text/plain" and version in {None, "0.0.4"}) or name in {"text/*", "*/*"}:
            form = Format.TEXT
        else:
            continue
        quality[form] = max(quality[form], wanted)
    openmetrics = quality[Format.OPENMETRICS]
    preferred = openmetrics > 0 and openmetrics >= quality[Format.TEXT]
    return Format.OPENMETRICS if preferred else Format.TEXT


def gzip_accepted(accept_encoding: str) -> bool:
    """Whether the answer may be compressed with gzip."""
    qualities = {name: quality for name, _, quality in preferences(accept_encoding)}
    for name in ("gzip", "x-gzip", "*"):
        if name in qualities:
            return qualities[name] > 0
    return False
