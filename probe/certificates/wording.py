"""How findings put names and instants, short enough for one log line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime

from probe.model.result import CertificateFacts

_LONGEST = 120
_NAMES = 4


def clip(text: str) -> str:
    """A text of foreign origin: printable, and no longer than a line bears."""
    shown = "".join(c if c.isprintable() else "�" for c in text[: _LONGEST + 1])
    return shown if len(text) <= _LONGEST else f"{shown[:_LONGEST]}…"


def instant(seconds: float) -> str:
    """RFC 3339 in UTC, whole seconds."""
    return datetime.fromtimestamp(math.floor(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def some(names: Sequence[str]) -> str:
    """A few of the names, and how many more there are."""
    shown = ", ".join(clip(name) for name in names[:_NAMES])
    return shown if len(names) <= _NAMES else f"{shown} and {len(names) - _NAMES} more"


def presented_names(facts: CertificateFacts) -> str:
    """What a certificate is for, in words."""
    names = (*facts.dns_names, *facts.ip_names)
    if names:
        return some(names)
    return f"no name at all (subject {called(facts.subject)})"


def called(subject: str) -> str:
    """A distinguished name in quotes."""
    return f"'{clip(subject)}'" if subject else "'' (empty)"


def from_url(facts: CertificateFacts) -> str:
    """Where the certificate says that its issuer's can be had, as a trailing remark."""
    if facts.issuer_url is None:
        return ""
    return f"; the issuer's certificate is published at {clip(facts.issuer_url)}"
