"""Whether a certificate is for the name that was asked for (RFC 9525, formerly RFC 6125)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from probe.model.result import CertificateFacts

_LEAST_LABELS_UNDER_WILDCARD = 2  # as OpenSSL, curl and browsers: never *.com


def covers(facts: CertificateFacts, name: str) -> bool:
    """Whether the subjectAltName covers ``name``, a DNS name in A-labels or an IP address.

    The common name is ignored (RFC 9525 section 2), and so are IP addresses written as DNS
    names: an address matches only an iPAddress entry (section 6.5).
    """
    address = _address(name)
    if address is not None:
        return any(_address(ip) == address for ip in facts.ip_names)
    wanted = name.lower().removesuffix(".")
    first, _, parent = wanted.partition(".")
    patterns = {wanted} if first != "*" else set()
    # A wildcard is a whole left-most label and stands for exactly one (RFC 9525 section 6.3).
    if first and parent.count(".") >= _LEAST_LABELS_UNDER_WILDCARD - 1:
        patterns.add(f"*.{parent}")
    return any(pattern.lower() in patterns for pattern in facts.dns_names)


def is_address_as_dns_name(facts: CertificateFacts, name: str) -> bool:
    """Whether ``name`` is an IP address that stands among the DNS names, where it has no effect."""
    address = _address(name)
    return address is not None and any(_address(entry) == address for entry in facts.dns_names)


def belongs_to(name: str, patterns: Iterable[str]) -> bool:
    """Whether a presented name is one of a provider's own.

    ``*.cdn-b.example`` covers every name below ``cdn-b.example``, at any depth and also when
    it is itself a wildcard, and ``cdn-b.example`` itself; a pattern without a star only itself.
    """
    own = name.lower().rstrip(".")
    for written in patterns:
        pattern = written.lower().rstrip(".")
        domain = pattern.removeprefix("*.")
        if own == domain or (pattern != domain and own.endswith(f".{domain}")):
            return True
    return False


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return None
