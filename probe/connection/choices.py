"""Which of a client's choices a pasted command names, and what it says that it leaves out.

A command names what every OpenSSL from 3.0 on can offer. What needs a later one is said before it
runs, because the ClientHello is then another one, and some edges fail for one of the two alone.
"""

from __future__ import annotations

import shlex

from OpenSSL import SSL

from probe.connection.contexts import Offer
from probe.model.failure import Failure, Phase, Reason

_PLAIN = {
    Reason.ALERT_CERTIFICATE_REQUIRED,
    Reason.ALERT_NO_APPLICATION_PROTOCOL,
    Reason.ALERT_PROTOCOL_VERSION,
    Reason.ALERT_UNRECOGNIZED_NAME,
    Reason.ALPN_MISMATCH,
}
"""Reasons with a cause of their own: other ciphers, groups and signatures meet them too."""

_LATER = ("MLKEM", "mldsa")  # parts of the names of what OpenSSL has from 3.5 on
_BESIDE = " >&2; "  # ends what prints a text; no option of a command holds it
_HAS_IT = SSL.OPENSSL_VERSION_NUMBER >= 0x30500000


def matter_for(failure: Failure) -> bool:
    """Whether other ciphers, groups or signatures could have met another answer."""
    return failure.phase is Phase.TLS and failure.reason not in _PLAIN


def named(names: tuple[str, ...]) -> list[str]:
    """Those that a command names: all but what needs OpenSSL 3.5, or all if all do."""
    return _by_age(names)[0]


def _by_age(names: tuple[str, ...]) -> tuple[list[str], list[str]]:
    plain = [name.lstrip("*") for name in names]
    later = [name for name in plain if any(one in name for one in _LATER)]
    known = [name for name in plain if name not in later]
    return (known, later) if known else (plain, [])


def left_out(offered: Offer) -> str:
    """Say what a command leaves out that names this offer; empty when that is nothing."""
    if offered.max_version != SSL.TLS1_3_VERSION:
        return ""
    groups, more_groups = _by_age(offered.groups)
    later = more_groups + _by_age(offered.signatures)[1]
    if later:
        return f"Left out, because only OpenSSL 3.5 and later have them: {', '.join(later)}"
    if any(one in name for name in groups for one in _LATER):
        return "These groups need OpenSSL 3.5 or later"
    if not groups and _HAS_IT:
        return "The client offers X25519MLKEM768 too, as OpenSSL 3.5 and later do by themselves"
    return ""


def told(text: str) -> str:
    """What prints the text before a command, beside what that prints; empty for none."""
    return f"echo {shlex.quote(text)}{_BESIDE}" if text else ""


def noted(command: str) -> tuple[str, str]:
    """Part a command from what ``told`` put before it, which is empty where there is nothing."""
    note, beside, alone = command.rpartition(_BESIDE)
    return note + beside, alone
