"""Names of certificates as text (RFC 4514), taken apart. Pure."""

from __future__ import annotations

import re

_ATTRIBUTE = re.compile(r"([^=]*)=((?:\\.|[^\\,+])*)(?:[,+]|\Z)", re.DOTALL)
_ESCAPED = re.compile(r"((?:\\[0-9A-Fa-f]{2})+)|\\(.)", re.DOTALL)


def common_names(name: str) -> tuple[str, ...]:
    r"""Return every common name of an RFC 4514 string, in its order.

    A comma or plus sign that belongs to a value is escaped there: ``CN=Shop\, Inc.,O=Shop``.
    """
    return tuple(
        _ESCAPED.sub(_plain, value) for kind, value in _ATTRIBUTE.findall(name) if kind == "CN"
    )


def _plain(escaped: re.Match[str]) -> str:
    if escaped[2]:
        return escaped[2]
    return bytes.fromhex(escaped[1].replace("\\", "")).decode(errors="replace")
