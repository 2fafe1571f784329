"""Maintenance windows: names that exist, times in order, a length that cannot hide an outage."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from probe.config.resolve.file import ConfigFile
from probe.config.shape.maintenance import WindowShape
from probe.config.units import format_duration, format_instant
from probe.documents.problem import unknown
from probe.model.maintenance import LONGEST, Window


def maintenance(
    file: ConfigFile,
    shapes: Collection[WindowShape],
    checks: Collection[str],
    providers: Collection[str],
) -> tuple[Window, ...]:
    """The windows, as written.

    Args:
        file: takes the problems.
        shapes: the entries.
        checks: names of the checks that there are.
        providers: names of the providers that there are.
    """
    return tuple(_window(file, shape, checks, providers) for shape in shapes)


def _window(
    file: ConfigFile, shape: WindowShape, checks: Collection[str], providers: Collection[str]
) -> Window:
    if not (shape.checks or shape.providers or shape.targets):
        message = 'the window covers nothing; write checks:, providers: or targets: ("*" for all)'
        file.problem(shape.node, message)
    _known(file, shape, "checks", shape.checks, checks)
    _known(file, shape, "providers", shape.providers, providers)
    latest = format_instant(shape.start + LONGEST)
    if shape.end <= shape.start:
        message = (
            f"the window ends before it begins; write an end after {format_instant(shape.start)}"
        )
        file.problem(shape.at("end"), message)
    elif shape.end - shape.start > LONGEST:
        file.problem(
            shape.at("end"),
            f"the window lasts {format_duration(shape.end - shape.start)}, the longest may last "
            f"{format_duration(LONGEST)}; write an end up to {latest}, and a further window later",
        )
    return file.built(Window, shape)


def _known(
    file: ConfigFile,
    shape: WindowShape,
    key: Literal["checks", "providers"],
    names: Collection[str],
    known: Collection[str],
) -> None:
    for index, name in enumerate(names):
        if name not in known:
            file.problem(shape.at(key, index), unknown(key.removesuffix("s"), name, known))
