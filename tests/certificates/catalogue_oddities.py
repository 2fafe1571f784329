"""Catalogue: certificates that some library dislikes, and what clients make of them.

Each function changes one thing from valid defaults, as in ``catalogue_paths``. What OpenSSL says
here is what curl, Python, Node and PHP say.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from probe.model.failure import Reason

from .authority import (
    CLIENT,
    DAY,
    NOW,
    intermediate,
    key_with_huge_exponent,
    leaf,
    root,
    rsa_key,
    sequence,
    usage,
    version_1,
    weakly_signed,
)
from .case import Case, case

ANY = (ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,)


def raw(oid: x509.ObjectIdentifier, value: str, *, critical: bool = False) -> object:
    """An extension whose value is taken as it is, in hexadecimal."""
    return x509.UnrecognizedExtension(oid, bytes.fromhex(value)), critical


def names(*entries: tuple[int, bytes]) -> object:
    """A subjectAltName of raw entries: tag and content."""
    value = sequence(*(sequence(content, tag=tag) for tag, content in entries))
    return raw(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, value.hex())


SHOP = (0x82, b"shop.example")
# policyQualifiers with an identifier (1.2.3.4) that RFC 5280 does not know
UNKNOWN_QUALIFIER = raw(
    ExtensionOID.CERTIFICATE_POLICIES, "3015 3013 0606 67810c010201 3009 3007 06032a0304 0500"
)


@case
def authority_for_any_purpose() -> Case:
    """Leaf -> Issuing (EKU any) -> [Root]: refused by OpenSSL, which wants serverAuth itself."""
    top = root()
    issuing = intermediate(top, purposes=ANY)
    return Case(
        sent=[leaf(issuing), issuing],
        roots=[top],
        failures=(Reason.NOT_SERVER_CERTIFICATE,),
        openssl=False,
        says=("2.5.29.37.0",),
    )


@case
def root_for_clients() -> Case:
    """Leaf -> Issuing -> [Root (EKU clientAuth)]: OpenSSL looks at the root's too."""
    top = root(purposes=CLIENT)
    issuing = intermediate(top)
    return Case(
        sent=[leaf(issuing), issuing],
        roots=[top],
        failures=(Reason.NOT_SERVER_CERTIFICATE,),
        openssl=False,
        webpki=False,
    )


@case
def unfit_twin_sent_first() -> Case:
    """Leaf -> Issuing (for clients), sent before Issuing (for servers): OpenSSL takes the first."""
    top = root()
    issuing = intermediate(top)
    unfit = intermediate(top, key=issuing.key, purposes=CLIENT)
    return Case(
        sent=[leaf(issuing), unfit, issuing],
        roots=[top],
        failures=(Reason.NOT_SERVER_CERTIFICATE,),
        openssl=False,
        says=("do not look further",),
    )


@case
def unfit_twin_sent_last() -> Case:
    """The same with the fit one first: every client finds it."""
    made = unfit_twin_sent_first()
    server, unfit, issuing = made.sent
    return Case(sent=[server, issuing, unfit], roots=made.roots)


@case
def twin_signed_with_sha1_sent_first() -> Case:
    """Leaf -> Issuing (SHA-1), sent before Issuing (SHA-256): refused at security level 1."""
    top = root(key=rsa_key())
    issuing = intermediate(top)
    weak = weakly_signed(intermediate(top, key=issuing.key), top, "sha1")
    return Case(
        sent=[leaf(issuing), weak, issuing],
        roots=[top],
        failures=(Reason.WEAK_SIGNATURE,),
        says=("SHA1", "do not look further"),
        stricter="openssl verify has no security level by default; TLS clients have",
    )


@case
def policy_qualifier_unknown() -> Case:
    """Leaf -> Issuing (policy with an unknown qualifier) -> [Root]: OpenSSL accepts."""
    top = root()
    issuing = intermediate(top, extra=[UNKNOWN_QUALIFIER])
    return Case(
        sent=[leaf(issuing, extra=[UNKNOWN_QUALIFIER]), issuing],
        roots=[top],
        warnings=(Reason.UNPARSABLE, Reason.UNPARSABLE),
        says=("extensions of certificate 1 of 2",),
    )


@case
def path_length_of_what_is_no_authority() -> Case:
    """Leaf with CA:FALSE, pathlen:0: OpenSSL accepts, Python 3.13 does not."""
    top = root()
    issuing = intermediate(top)
    odd = raw(ExtensionOID.BASIC_CONSTRAINTS, "3003 020100", critical=True)
    return Case(
        sent=[leaf(issuing, basic=None, extra=[odd]), issuing],
        roots=[top],
        warnings=(Reason.UNPARSABLE, Reason.CHAIN_INVALID),
    )


@case
def tls_feature_unknown() -> Case:
    """Leaf whose TLS feature (99) nobody knows: ignored, and must-staple stays off."""
    top = root()
    issuing = intermediate(top)
    feature = raw(ExtensionOID.TLS_FEATURE, "3003 020163")
    return Case(
        sent=[leaf(issuing, extra=[feature]), issuing],
        roots=[top],
        warnings=(Reason.UNPARSABLE,),
    )


@case
def tls_feature_unknown_beside_must_staple() -> Case:
    """Leaf with TLS features 99 and status_request: the staple is still due."""
    top = root()
    issuing = intermediate(top)
    feature = raw(ExtensionOID.TLS_FEATURE, "3006 020163 020105")
    return Case(
        sent=[leaf(issuing, extra=[feature]), issuing],
        roots=[top],
        failures=(Reason.OCSP_MISSING,),
        warnings=(Reason.UNPARSABLE,),
        stricter="neither verifier looks at the staple",
    )


@case
def timestamps_malformed() -> Case:
    """Leaf whose list of signed certificate timestamps is garbage: no business of OpenSSL's."""
    top = root()
    issuing = intermediate(top)
    garbage = raw(ExtensionOID.PRECERT_SIGNED_CERTIFICATE_TIMESTAMPS, "0403 00ff00")
    return Case(
        sent=[leaf(issuing, extra=[garbage]), issuing],
        roots=[top],
        warnings=(Reason.UNPARSABLE,),
    )


@case
def x400_name() -> Case:
    """Leaf with an x400Address among its names: the others count."""
    top = root()
    issuing = intermediate(top)
    return Case(
        sent=[leaf(issuing, dns=(), extra=[names((0xA3, b""), SHOP)]), issuing],
        roots=[top],
        warnings=(Reason.UNPARSABLE,),
    )


@case
def name_not_ascii() -> Case:
    """Leaf with a DNS name in Latin-1 beside the right one: OpenSSL passes over it."""
    top = root()
    issuing = intermediate(top)
    return Case(
        sent=[
            leaf(issuing, dns=(), extra=[names(SHOP, (0x82, b"b\xfccher.example"))]),
            issuing,
        ],
        roots=[top],
        warnings=(Reason.UNPARSABLE, Reason.CHAIN_INVALID),
        webpki=False,
        says=("not ASCII",),
    )


@case
def address_of_eight_octets() -> Case:
    """Leaf with an iPAddress that is none, as of a name constraint, beside the right name."""
    return replace(_with_odd_address(), says=("8 octets",))


@case
def address_of_eight_octets_and_expired() -> Case:
    """The same, over: what is odd about a name hides nothing else."""
    made = _with_odd_address(not_after=NOW - DAY)
    return replace(made, failures=(Reason.EXPIRED,), openssl=False, webpki=False)


def _with_odd_address(not_after: datetime = NOW + 60 * DAY) -> Case:
    top = root()
    issuing = intermediate(top)
    odd = names(SHOP, (0x87, bytes.fromhex("c0000200ffffff00")))
    return Case(
        sent=[leaf(issuing, dns=(), extra=[odd], not_after=not_after), issuing],
        roots=[top],
        warnings=(Reason.UNPARSABLE,),
    )


@case
def key_usage_garbage() -> Case:
    """Leaf whose keyUsage cannot be read: nobody can say that it is fit."""
    top = root()
    issuing = intermediate(top)
    garbage = raw(ExtensionOID.KEY_USAGE, "0401ff", critical=True)
    return Case(
        sent=[leaf(issuing, key_usage=None, extra=[garbage]), issuing],
        roots=[top],
        failures=(Reason.UNPARSABLE,),
        warnings=(Reason.UNPARSABLE,),
        openssl=False,
        webpki=False,
        says=("keyUsage",),
    )


@case
def root_of_version_1() -> Case:
    """Leaf -> [Root (X.509 version 1)]: OpenSSL accepts, strict clients do not."""
    top = version_1(root())
    return Case(
        sent=[leaf(top)],
        roots=[top],
        warnings=(Reason.CHAIN_INVALID, Reason.CHAIN_INVALID),
        webpki=False,
    )


@case
def root_without_basic_constraints() -> Case:
    """Leaf -> Issuing -> [Root (keyUsage alone says that it signs)]: likewise."""
    top = root(basic=None)
    issuing = intermediate(top)
    return Case(
        sent=[leaf(issuing), issuing],
        roots=[top],
        warnings=(Reason.CHAIN_INVALID, Reason.CHAIN_INVALID),
        webpki=False,
    )


@case
def root_that_says_nothing() -> Case:
    """Leaf -> Issuing -> [Root (no basicConstraints, no keyUsage)]: refused by OpenSSL too."""
    top = root(basic=None, key_usage=None)
    issuing = intermediate(top)
    return Case(
        sent=[leaf(issuing), issuing],
        roots=[top],
        failures=(Reason.CHAIN_INVALID,),
        openssl=False,
        webpki=False,
        says=("invalid CA certificate",),
    )


@case
def server_may_sign_certificates() -> Case:
    """Leaf with keyCertSign and no CA: Python 3.13 refuses, as RFC 5280 4.2.1.3 demands."""
    top = root()
    issuing = intermediate(top)
    both = usage(digital_signature=True, key_cert_sign=True)
    return Case(
        sent=[leaf(issuing, key_usage=both), issuing],
        roots=[top],
        warnings=(Reason.CHAIN_INVALID, Reason.CHAIN_INVALID),
        webpki=False,
        says=("Python 3.13",),
    )


@case
def issuer_with_a_huge_exponent() -> Case:
    """Leaf -> Issuing (RSA with an exponent of 2,047 bits) -> [Root]: browsers and Go refuse."""
    top = root()
    issuing = intermediate(top, key=key_with_huge_exponent())
    return Case(
        sent=[leaf(issuing), issuing],
        roots=[top],
        failures=(Reason.WEAK_KEY,),
        stricter="BoringSSL and Go refuse exponents over 33 bits",
        says=("exponent over 2^33",),
    )


@case
def server_key_with_a_huge_exponent_and_expired() -> Case:
    """Leaf (the same key, over) -> Issuing -> [Root]: both are said."""
    top = root()
    issuing = intermediate(top)
    server = leaf(issuing, key=key_with_huge_exponent(), not_after=NOW - DAY)
    return Case(
        sent=[server, issuing],
        roots=[top],
        failures=(Reason.EXPIRED, Reason.WEAK_KEY),
        openssl=False,
        webpki=False,
    )
