"""The words of the lab's DNS: a question as it reached a resolver, and what may go back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import dns.message
import dns.name
import dns.rdatatype

Answer = dns.message.Message | bytes | None
"""A message, raw bytes that need not be one, or silence."""


@dataclass(frozen=True, slots=True)
class Question:
    """One question.

    Attributes:
        name: asked for, lower case, no trailing dot.
        region: whose view is asked for: the resolver's own, or the client subnet's.
        healthy: makes the answer that the zone would give.
    """

    message: dns.message.Message
    name: str
    kind: dns.rdatatype.RdataType
    region: str
    transport: Literal["udp", "tcp"]
    healthy: Callable[[], dns.message.Message]
