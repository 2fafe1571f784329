"""Secrets: references that configuration may hold, and a value that prints redacted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, final

from probe.model.failure import Failure, Phase, Reason


@dataclass(frozen=True, slots=True)
class SecretRef:
    """Where a secret is, never what it is.

    Attributes:
        kind: ``file`` (path), ``env`` (variable) or ``credential`` (a name inside
            systemd's ``$CREDENTIALS_DIRECTORY``).
        name: the path, variable or credential name.
    """

    kind: Literal["file", "env", "credential"]
    name: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"


@final
class Secret:
    """A secret value that shows itself only when asked by name.

    ``str``, ``repr`` and ``format`` give a placeholder, so that a log line, an error or a
    page that is handed one by mistake prints nothing of it.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the secret itself; call this next to the socket, nowhere else."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __format__(self, spec: str, /) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(("Secret", self._value))


class SecretError(Exception):
    """A secret that is missing or unreadable; the message names the reference only."""

    def failure(self, phase: Phase = Phase.AUTH) -> Failure:
        """Make the failure of a missing secret: ours, never the target's."""
        return Failure(phase, Reason.SECRET_MISSING, str(self))


ReadSecret = Callable[[SecretRef], Secret]
"""Reads the present value of a secret; raises `SecretError`."""
