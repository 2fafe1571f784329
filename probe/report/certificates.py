"""The certificates that a check was shown, for a person at a terminal. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from rich.text import Text

from probe.certificates.subject import common_names
from probe.model.failure import printable
from probe.model.result import CertificateFacts
from probe.report.rows import ReportRow

_DAY = 86_400.0
_NAMES = 8
"""Names of a certificate that are shown; how many more it has is said."""


def certificates(rows: Iterable[ReportRow], now: float) -> Text:
    """Show each chain once: whose it is, from whom, until when, and which edges sent it.

    Args:
        rows: of handshakes; others show none.
        now: seconds since the epoch.
    """
    seen: dict[tuple[CertificateFacts, ...], dict[str, None]] = {}
    for row in rows:
        if row.chain:
            seen.setdefault(row.chain, {})[row.edge] = None
    text = Text(no_wrap=True, overflow="ignore")
    for chain, edges in seen.items():
        leaf = chain[0]
        text.append(f"certificate {leaf.fingerprint_sha256[:12]} {leaf.key}\n", style="bold")
        for name, value in _lines(chain, edges, now).items():
            text.append(f"  {name:<8}", style="dim")
            text.append(f"{printable(value)}\n")
    return text


def _lines(
    chain: Sequence[CertificateFacts], edges: Iterable[str], now: float
) -> Mapping[str, str]:
    leaf = chain[0]
    names = [*leaf.dns_names, *leaf.ip_names]
    more = f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
    return {
        "names": ", ".join(names[:_NAMES]) + more if names else "none",
        "issuer": leaf.issuer,
        "valid": _validity(leaf, now),
        "chain": " < ".join(_short(one.subject) for one in chain),
        "sent by": ", ".join(edges),
    }


def _validity(leaf: CertificateFacts, now: float) -> str:
    begins, ends = (
        f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M}Z"
        for at in (leaf.not_before, leaf.not_after)
    )
    days = (leaf.not_after - now) / _DAY
    of = f"of {(leaf.not_after - leaf.not_before) / _DAY:.0f} days"
    return f"{begins} to {ends}, " + (
        f"{days:.1f} {of} left" if days >= 0 else f"expired {-days:.1f} days ago"
    )


def _short(subject: str) -> str:
    """The first common name of an RFC 4514 string, or all of the string."""
    return next(iter(common_names(subject)), subject or "(no subject)")
