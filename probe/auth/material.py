"""What building a login or a signature needs from the run: values, secrets, time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from probe.model.secret import SecretRef


class Filler(Protocol):
    """Fills templates; raises when a value is missing or unsafe."""

    def fill(self, text: str) -> str:
        """A text."""

    def fill_url(self, text: str) -> str:
        """A URL."""

    def fill_header(self, text: str) -> str:
        """A header's value."""


@dataclass(frozen=True, slots=True)
class Material:
    """What a run lends to whoever builds credentials.

    Attributes:
        values: fills templates.
        read: a secret's value; raises `probe.model.secret.SecretError`. The run remembers
            what was read, to keep it out of all evidence.
        learn: tells the run of a secret that came about otherwise: value, name.
        wall: wall time, seconds since the epoch.
    """

    values: Filler
    read: Callable[[SecretRef], str]
    learn: Callable[[str, str], None]
    wall: Callable[[], float]

    def text(self, value: str | SecretRef) -> str:
        """A template filled in, or a secret read."""
        return self.read(value) if isinstance(value, SecretRef) else self.values.fill(value)

    def document(self, value: Any) -> Any:
        """A JSON document whose string leaves are templates or secrets."""
        match value:
            case str() | SecretRef():
                return self.text(value)
            case dict():
                return {key: self.document(one) for key, one in value.items()}
            case list() | tuple():
                return [self.document(one) for one in value]
            case _:
                if hasattr(value, "items"):  # a read-only mapping
                    return {key: self.document(one) for key, one in value.items()}
                return value
