"""What each client profile offers: versions and cipher suites, as table.

``default`` follows what current browsers offer: TLS 1.2 and 1.3, forward secrecy first, plain RSA
key exchange last, no finite-field Diffie-Hellman. Key exchange groups, unless a profile names
its own, are OpenSSL's choice: X25519MLKEM768 and X25519 (both with a key share) from 3.5 on.
The two TLS 1.2 profiles offer the suites of one certificate type only, so that an edge which
lacks that certificate cannot answer with the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from OpenSSL import SSL

from probe.model.tls import ClientProfile, ProfileName

_ECDSA = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-ECDSA-AES128-SHA",
    "ECDHE-ECDSA-AES256-SHA",
)
_RSA = (
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-RSA-CHACHA20-POLY1305",
    "ECDHE-RSA-AES128-SHA",
    "ECDHE-RSA-AES256-SHA",
    "AES128-GCM-SHA256",
    "AES256-GCM-SHA384",
    "AES128-SHA",
    "AES256-SHA",
)
TLS13_SUITES = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"


@dataclass(frozen=True, slots=True)
class Offer:
    """What a ClientHello offers.

    Attributes:
        min_version: OpenSSL's version number.
        max_version: OpenSSL's version number.
        ciphers: OpenSSL cipher string for TLS 1.2.
        alpn: protocols, in order.
        groups: key exchange groups, in order; empty for OpenSSL's own choice.
    """

    min_version: int
    max_version: int
    ciphers: str
    alpn: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


OFFERS: Mapping[ProfileName, Offer] = MappingProxyType(
    {
        "default": Offer(SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION, ":".join(_ECDSA + _RSA)),
        "tls13": Offer(SSL.TLS1_3_VERSION, SSL.TLS1_3_VERSION, ":".join(_ECDSA + _RSA)),
        "tls12-ecdsa": Offer(SSL.TLS1_2_VERSION, SSL.TLS1_2_VERSION, ":".join(_ECDSA)),
        "tls12-rsa": Offer(SSL.TLS1_2_VERSION, SSL.TLS1_2_VERSION, ":".join(_RSA)),
    }
)
_VERSIONS = {"TLSv1.2": SSL.TLS1_2_VERSION, "TLSv1.3": SSL.TLS1_3_VERSION}


def offer(profile: ClientProfile) -> Offer:
    """What a profile offers, its overrides applied."""
    found = replace(OFFERS[profile.kind], alpn=profile.alpn, groups=profile.groups)
    if profile.min_version is not None:
        found = replace(found, min_version=_VERSIONS[profile.min_version])
    if profile.ciphers is not None:
        found = replace(found, ciphers=profile.ciphers)
    return found
