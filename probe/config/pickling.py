"""Lets specs cross a process boundary: read-only mappings have no pickle of their own."""

from __future__ import annotations

import copyreg
from types import MappingProxyType
from typing import Any


def read_only(items: dict[Any, Any]) -> MappingProxyType[Any, Any]:
    """What a pickled read-only mapping is made anew with."""
    return MappingProxyType(items)


def enable() -> None:
    """Teach ``pickle`` to write read-only mappings, in this process."""
    copyreg.pickle(MappingProxyType, lambda view: (read_only, (dict(view),)))
