"""What well-known clients offer, as far as OpenSSL can say it too.

Each list is the one that the client itself sent, recorded or published; docs/clients.md names
versions and sources, and what stays different. A test compares each ClientHello field by field.
Loaded when a check first asks for one of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from OpenSSL import SSL

from probe.connection.contexts import CHROME_SIGNATURES, TLS13_SUITES, Offer
from probe.model.tls import ProfileName

# Numbers of ssl.h that pyOpenSSL has no names for. OpenSSL ignores those it does not know.
_NO_ENCRYPT_THEN_MAC = 1 << 19  # RFC 7366
_PADDING = 1 << 4  # RFC 7685
_POINT_FORMATS = 1 << 36  # all three of RFC 8422 section 5.1.2, as OpenSSL did before 4.0
_ECH_GREASE = 1 << 37  # RFC 9849 section 6.2, from OpenSSL 4.0 on
_LEGACY_SERVER = SSL.OP_LEGACY_SERVER_CONNECT
_OTHERS = _LEGACY_SERVER | _NO_ENCRYPT_THEN_MAC
"""What all but OpenSSL's own programs have in common."""

_SCT = 18  # RFC 6962 section 3.3.1
_GREASE = 0x5A5A  # RFC 8701: one of the sixteen that no server may know

_ANY_LEVEL = "@SECLEVEL=0"  # else OpenSSL leaves out signatures with SHA-1, though it was told them
# Their names as OpenSSL 3.0 knows them too: people paste them into its commands.


def _offer(
    ciphers: str,
    groups: str,
    signatures: str | tuple[str, ...],
    *,
    suites: str = TLS13_SUITES,
    options: int = _OTHERS,
    empty: tuple[int, ...] = (),
    later_certificate: bool = False,
) -> Offer:
    return Offer(
        SSL.TLS1_2_VERSION,
        SSL.TLS1_3_VERSION,
        ":".join(ciphers.split()),
        groups=tuple(groups.split()),
        signatures=tuple(signatures.split()) if isinstance(signatures, str) else signatures,
        suites=suites,
        options=options,
        empty=empty,
        later_certificate=later_certificate,
    )


_CHROME = _offer(
    """
    ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-RSA-AES128-GCM-SHA256
    ECDHE-ECDSA-AES256-GCM-SHA384 ECDHE-RSA-AES256-GCM-SHA384
    ECDHE-ECDSA-CHACHA20-POLY1305 ECDHE-RSA-CHACHA20-POLY1305
    ECDHE-RSA-AES128-SHA ECDHE-RSA-AES256-SHA
    AES128-GCM-SHA256 AES256-GCM-SHA384 AES128-SHA AES256-SHA
    """,
    "*X25519MLKEM768 *X25519 P-256 P-384",
    ("mldsa44", "mldsa65", "mldsa87", *CHROME_SIGNATURES),
    options=_OTHERS | _ECH_GREASE,
    empty=(_GREASE, _SCT),
)
_FIREFOX = _offer(
    f"""
    ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-RSA-AES128-GCM-SHA256
    ECDHE-ECDSA-CHACHA20-POLY1305 ECDHE-RSA-CHACHA20-POLY1305
    ECDHE-ECDSA-AES256-GCM-SHA384 ECDHE-RSA-AES256-GCM-SHA384
    ECDHE-ECDSA-AES256-SHA ECDHE-RSA-AES128-SHA ECDHE-RSA-AES256-SHA
    AES128-GCM-SHA256 AES256-GCM-SHA384 AES128-SHA AES256-SHA {_ANY_LEVEL}
    """,
    "*X25519MLKEM768 *X25519 *P-256 P-384 P-521 ffdhe2048 ffdhe3072",
    """
    ecdsa_secp256r1_sha256 ecdsa_secp384r1_sha384 ecdsa_secp521r1_sha512
    rsa_pss_rsae_sha256 rsa_pss_rsae_sha384 rsa_pss_rsae_sha512
    rsa_pkcs1_sha256 rsa_pkcs1_sha384 rsa_pkcs1_sha512 ECDSA+SHA1 RSA+SHA1
    """,
    suites="TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384",
    options=_OTHERS | _ECH_GREASE,
    empty=(_SCT,),
)
_SAFARI = _offer(
    f"""
    ECDHE-ECDSA-AES256-GCM-SHA384 ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-ECDSA-CHACHA20-POLY1305
    ECDHE-RSA-AES256-GCM-SHA384 ECDHE-RSA-AES128-GCM-SHA256 ECDHE-RSA-CHACHA20-POLY1305
    ECDHE-ECDSA-AES256-SHA ECDHE-ECDSA-AES128-SHA ECDHE-RSA-AES256-SHA ECDHE-RSA-AES128-SHA
    AES256-GCM-SHA384 AES128-GCM-SHA256 AES256-SHA AES128-SHA {_ANY_LEVEL}
    """,
    "*X25519MLKEM768 *X25519 P-256 P-384 P-521",
    """
    ecdsa_secp256r1_sha256 rsa_pss_rsae_sha256 rsa_pkcs1_sha256
    ecdsa_secp384r1_sha384 rsa_pss_rsae_sha384 rsa_pkcs1_sha384
    rsa_pss_rsae_sha512 rsa_pkcs1_sha512 RSA+SHA1
    """,
    suites="TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256",
    empty=(_GREASE, _SCT),
)
_ANDROID = _offer(
    f"""
    ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-ECDSA-AES256-GCM-SHA384 ECDHE-ECDSA-CHACHA20-POLY1305
    ECDHE-RSA-AES128-GCM-SHA256 ECDHE-RSA-AES256-GCM-SHA384 ECDHE-RSA-CHACHA20-POLY1305
    ECDHE-RSA-AES128-SHA ECDHE-RSA-AES256-SHA
    AES128-GCM-SHA256 AES256-GCM-SHA384 AES128-SHA AES256-SHA {_ANY_LEVEL}
    """,
    "*X25519 P-256 P-384",
    (*CHROME_SIGNATURES, "RSA+SHA1"),
    options=_OTHERS | _PADDING,
)

_JAVA = _offer(
    f"""
    ECDHE-ECDSA-AES256-GCM-SHA384 ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-ECDSA-CHACHA20-POLY1305
    ECDHE-RSA-AES256-GCM-SHA384 ECDHE-RSA-CHACHA20-POLY1305 ECDHE-RSA-AES128-GCM-SHA256
    DHE-RSA-AES256-GCM-SHA384 DHE-RSA-CHACHA20-POLY1305 DHE-DSS-AES256-GCM-SHA384
    DHE-RSA-AES128-GCM-SHA256 DHE-DSS-AES128-GCM-SHA256
    ECDHE-ECDSA-AES256-SHA384 ECDHE-RSA-AES256-SHA384
    ECDHE-ECDSA-AES128-SHA256 ECDHE-RSA-AES128-SHA256
    DHE-RSA-AES256-SHA256 DHE-DSS-AES256-SHA256 DHE-RSA-AES128-SHA256 DHE-DSS-AES128-SHA256
    ECDHE-ECDSA-AES256-SHA ECDHE-RSA-AES256-SHA ECDHE-ECDSA-AES128-SHA ECDHE-RSA-AES128-SHA
    DHE-RSA-AES256-SHA DHE-DSS-AES256-SHA DHE-RSA-AES128-SHA DHE-DSS-AES128-SHA
    AES256-GCM-SHA384 AES128-GCM-SHA256 AES256-SHA256 AES128-SHA256 AES256-SHA AES128-SHA
    {_ANY_LEVEL}
    """,
    "*X25519 *P-256 P-384 P-521 X448 ffdhe2048 ffdhe3072 ffdhe4096 ffdhe6144 ffdhe8192",
    """
    ecdsa_secp256r1_sha256 ecdsa_secp384r1_sha384 ecdsa_secp521r1_sha512 ed25519 ed448
    rsa_pss_rsae_sha256 rsa_pss_rsae_sha384 rsa_pss_rsae_sha512
    rsa_pss_pss_sha256 rsa_pss_pss_sha384 rsa_pss_pss_sha512
    rsa_pkcs1_sha256 rsa_pkcs1_sha384 rsa_pkcs1_sha512 DSA+SHA256
    ECDSA+SHA224 RSA+SHA224 DSA+SHA224 ECDSA+SHA1 RSA+SHA1 DSA+SHA1
    """,
    suites="TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256",
)
_GO = _offer(
    """
    ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-RSA-AES128-GCM-SHA256
    ECDHE-ECDSA-AES256-GCM-SHA384 ECDHE-RSA-AES256-GCM-SHA384
    ECDHE-ECDSA-CHACHA20-POLY1305 ECDHE-RSA-CHACHA20-POLY1305
    ECDHE-ECDSA-AES128-SHA ECDHE-RSA-AES128-SHA ECDHE-ECDSA-AES256-SHA ECDHE-RSA-AES256-SHA
    """,
    "*X25519MLKEM768 SecP256r1MLKEM768 SecP384r1MLKEM1024 *X25519 P-256 P-384 P-521",
    """
    mldsa44 mldsa65 mldsa87
    rsa_pss_rsae_sha256 ecdsa_secp256r1_sha256 ed25519 rsa_pss_rsae_sha384 rsa_pss_rsae_sha512
    rsa_pkcs1_sha256 rsa_pkcs1_sha384 rsa_pkcs1_sha512
    ecdsa_secp384r1_sha384 ecdsa_secp521r1_sha512
    """,
    options=_OTHERS | SSL.OP_NO_TICKET,
    empty=(_SCT,),
)
_OPENSSL = _offer(
    """
    ECDHE-ECDSA-AES256-GCM-SHA384 ECDHE-RSA-AES256-GCM-SHA384 DHE-RSA-AES256-GCM-SHA384
    ECDHE-ECDSA-CHACHA20-POLY1305 ECDHE-RSA-CHACHA20-POLY1305 DHE-RSA-CHACHA20-POLY1305
    ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-RSA-AES128-GCM-SHA256 DHE-RSA-AES128-GCM-SHA256
    ECDHE-ECDSA-AES256-SHA384 ECDHE-RSA-AES256-SHA384 DHE-RSA-AES256-SHA256
    ECDHE-ECDSA-AES128-SHA256 ECDHE-RSA-AES128-SHA256 DHE-RSA-AES128-SHA256
    ECDHE-ECDSA-AES256-SHA ECDHE-RSA-AES256-SHA DHE-RSA-AES256-SHA
    ECDHE-ECDSA-AES128-SHA ECDHE-RSA-AES128-SHA DHE-RSA-AES128-SHA
    AES256-GCM-SHA384 AES128-GCM-SHA256 AES256-SHA256 AES128-SHA256 AES256-SHA AES128-SHA
    """,
    "*X25519 P-256 X448 P-521 P-384 ffdhe2048 ffdhe3072 ffdhe4096 ffdhe6144 ffdhe8192",
    """
    ecdsa_secp256r1_sha256 ecdsa_secp384r1_sha384 ecdsa_secp521r1_sha512 ed25519 ed448
    rsa_pss_pss_sha256 rsa_pss_pss_sha384 rsa_pss_pss_sha512
    rsa_pss_rsae_sha256 rsa_pss_rsae_sha384 rsa_pss_rsae_sha512
    rsa_pkcs1_sha256 rsa_pkcs1_sha384 rsa_pkcs1_sha512
    ECDSA+SHA224 RSA+SHA224 DSA+SHA224 DSA+SHA256 DSA+SHA384 DSA+SHA512
    """,
    suites="TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256",
    options=_POINT_FORMATS,
)

CLIENTS: Mapping[ProfileName, Offer] = MappingProxyType(
    {
        "chrome": _CHROME,
        "firefox": _FIREFOX,
        "safari": _SAFARI,
        "android": _ANDROID,
        "java": _JAVA,
        "go": _GO,
        "curl": replace(
            _OPENSSL,
            options=_POINT_FORMATS | _PADDING | SSL.OP_NO_TICKET,
            later_certificate=True,
        ),
        "openssl": _OPENSSL,
    }
)
