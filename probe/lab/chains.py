"""Chains that are wrong in one way each; everything else about them is valid.

Each function takes the lab's PKI and the name that the client asked for, and draws in its first
line what is sent. ``OK`` in a drawing is a certificate without fault.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from probe.lab import forge, ocsp, transparency
from probe.lab.ca import REVOKED, Authority, Credential, LeafShape, Pki

ChainMaker = Callable[[Pki, str], Credential]

LONG_PATH = 11
ABSURD_LENGTH = 400
PROVIDER_NAMES = ("*.edges.example",)
"""Names of the CDNs themselves, on the certificate for clients without SNI."""


def _with_shape(pki: Pki, name: str, shape: LeafShape) -> Credential:
    leaf = pki.leaf([name], shape=shape)
    return Credential((leaf, pki.issuer.certificate), pki.leaf_key)


def _signed_by(pki: Pki, name: str, *path: Authority) -> Credential:
    """A good leaf signed by the first of the path; the path is sent after it."""
    leaf = pki.leaf([name], issuer=path[0])
    return Credential((leaf, *(step.certificate for step in path)), pki.leaf_key)


# ---------------------------------------------------------------- time


def expired(pki: Pki, name: str) -> Credential:
    """Leaf ended yesterday ← issuer OK."""
    shape = LeafShape(not_before=timedelta(days=-91), not_after=timedelta(days=-1))
    return _with_shape(pki, name, shape)


def not_yet_valid(pki: Pki, name: str) -> Credential:
    """Leaf starts in two days ← issuer OK."""
    return _with_shape(pki, name, LeafShape(not_before=timedelta(days=2)))


def expires_soon(pki: Pki, name: str) -> Credential:
    """Leaf of 90 days ends in three ← issuer OK."""
    shape = LeafShape(not_before=timedelta(days=-87), not_after=timedelta(days=3))
    return _with_shape(pki, name, shape)


def stale(pki: Pki, name: str) -> Credential:
    """The certificate from before the last renewal, still valid ← issuer OK."""
    return pki.credential(name, "older")


def expired_issuer(pki: Pki, name: str) -> Credential:
    """Leaf OK ← issuer ended yesterday."""
    old = pki.make_authority("Lab Past CA", issuer=pki.root, not_after=timedelta(days=-1))
    return _signed_by(pki, name, old)


# ---------------------------------------------------------------- names


def wrong_name(pki: Pki, name: str) -> Credential:
    """Leaf of somebody else ← issuer OK."""
    return pki.credential("somebody-else.example")


def default_certificate(pki: Pki, name: str) -> Credential:
    """Leaf of the provider itself ← issuer OK."""
    leaf = pki.leaf(PROVIDER_NAMES)
    return Credential((leaf, pki.issuer.certificate), pki.leaf_key)


# ---------------------------------------------------------------- path


def self_signed(pki: Pki, name: str) -> Credential:
    """Leaf signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    itself = pki.make_authority(name, key=key)  # lends the leaf its own name as issuer
    return Credential((pki.leaf([name], key=key, issuer=itself),), key)


def unknown_issuer(pki: Pki, name: str) -> Credential:
    """Leaf OK ← a root that nobody trusts, sent along."""
    return _signed_by(pki, name, pki.stranger)


def missing_intermediate(pki: Pki, name: str) -> Credential:
    """Leaf OK, and nothing else."""
    return Credential((pki.kept_leaf("ecdsa", name),), pki.leaf_key)


def wrong_order(pki: Pki, name: str) -> Credential:
    """Leaf OK, then the upper intermediate before the lower."""
    upper = pki.make_authority("Lab Upper CA", issuer=pki.root)
    lower = pki.make_authority("Lab Lower CA", issuer=upper, path_length=0)
    leaf = pki.leaf([name], issuer=lower)
    return Credential((leaf, upper.certificate, lower.certificate), pki.leaf_key)


def superfluous(pki: Pki, name: str) -> Credential:
    """Leaf OK ← issuer OK, and a certificate that has no part in it."""
    healthy = pki.credential(name)
    return Credential((*healthy.chain, pki.stranger.certificate), healthy.key)


def long_chain(pki: Pki, name: str) -> Credential:
    """Leaf OK ← a path of eleven intermediates, each OK."""
    path = [pki.root]
    for step in range(LONG_PATH):
        path.append(pki.make_authority(f"Lab Step {step}", issuer=path[-1]))
    return _signed_by(pki, name, *reversed(path[1:]))


def absurd_chain(pki: Pki, name: str) -> Credential:
    """Leaf OK ← issuer OK, and four hundred copies more."""
    healthy = pki.credential(name)
    return Credential(healthy.chain + (pki.issuer.certificate,) * ABSURD_LENGTH, healthy.key)


def other_issuer(pki: Pki, name: str) -> Credential:
    """Leaf OK ← another trusted issuer than expected."""
    return _signed_by(pki, name, pki.other_issuer)


def outside_constraints(pki: Pki, name: str) -> Credential:
    """Leaf OK ← an issuer that may only sign below another domain (RFC 5280, 4.2.1.10)."""
    fenced = pki.make_authority("Lab Fenced CA", issuer=pki.root, permitted=["elsewhere.example"])
    return _signed_by(pki, name, fenced)


def forged_leaf(pki: Pki, name: str) -> Credential:
    """Leaf that names the issuer but was signed with another key ← issuer OK."""
    impostor = Authority(pki.issuer.certificate, pki.stranger.key)
    leaf = pki.leaf([name], issuer=impostor)
    return Credential((leaf, pki.issuer.certificate), pki.leaf_key)


# ---------------------------------------------------------------- strength and purpose


def weak_key(pki: Pki, name: str) -> Credential:
    """Leaf with an RSA key of 1024 bits ← issuer OK."""
    key = rsa.generate_private_key(65537, 1024)  # noqa: S505 - the weakness is the fault
    leaf = pki.leaf([name], key=key)
    return Credential((leaf, pki.issuer.certificate), key)


def p521_key(pki: Pki, name: str) -> Credential:
    """Leaf with a key on P-521, whose signatures Chrome and Android do not take ← issuer OK."""
    key = ec.generate_private_key(ec.SECP521R1())
    return Credential((pki.leaf([name], key=key), pki.issuer.certificate), key)


def weak_signature(pki: Pki, name: str) -> Credential:
    """Leaf signed with SHA-1 ← issuer OK."""
    issuer = pki.make_authority("Lab RSA CA", issuer=pki.root, key=pki.rsa_key, path_length=0)
    leaf = forge.with_sha1(pki.leaf([name], issuer=issuer), pki.rsa_key)
    return Credential((leaf, issuer.certificate), pki.leaf_key)


def wrong_key_usage(pki: Pki, name: str) -> Credential:
    """Leaf that may not sign handshakes ← issuer OK."""
    return _with_shape(pki, name, LeafShape(usage=False))


def client_certificate(pki: Pki, name: str) -> Credential:
    """Leaf for clients only ← issuer OK."""
    return _with_shape(pki, name, LeafShape(purposes=(ExtendedKeyUsageOID.CLIENT_AUTH,)))


def unparsable(pki: Pki, name: str) -> Credential:
    """Leaf whose subject alternative name is garbage ← issuer OK."""
    return _with_shape(pki, name, LeafShape(garbage_names=True))


def wrong_key(pki: Pki, name: str) -> Credential:
    """Chain OK, signed for with a key that is not the leaf's."""
    healthy = pki.credential(name)
    return Credential(healthy.chain, forge.mismatched_key(pki.leaf_key))


def only_rsa(pki: Pki, name: str) -> Credential:
    """The domain's RSA certificate, where ECDSA is expected too."""
    return pki.credential(name, "rsa")


# ---------------------------------------------------------------- OCSP


def _stapled(pki: Pki, name: str, response: bytes) -> Credential:
    healthy = pki.credential(name)
    return Credential(healthy.chain, healthy.key, response)


def ocsp_good(pki: Pki, name: str) -> Credential:
    """Chain OK with a good staple: no fault, and tests need it."""
    leaf = pki.kept_leaf("ecdsa", name)
    return _stapled(pki, name, ocsp.answer(leaf, pki.issuer, pki.now))


def ocsp_missing(pki: Pki, name: str) -> Credential:
    """Leaf that demands a staple (RFC 7633), none sent ← issuer OK."""
    return _with_shape(pki, name, LeafShape(must_staple=True))


def ocsp_expired(pki: Pki, name: str) -> Credential:
    """Chain OK, staple of last week."""
    leaf = pki.kept_leaf("ecdsa", name)
    old = ocsp.answer(leaf, pki.issuer, pki.now, updated=timedelta(days=-7))
    return _stapled(pki, name, old)


def ocsp_revoked(pki: Pki, name: str) -> Credential:
    """Chain OK, staple says revoked."""
    leaf = pki.kept_leaf("ecdsa", name)
    return _stapled(pki, name, ocsp.answer(leaf, pki.issuer, pki.now, revoked=True))


def ocsp_mismatch(pki: Pki, name: str) -> Credential:
    """Chain OK, good staple of another certificate: the same number, from another issuer.

    A staple with another number never leaves the lab: OpenSSL 4 drops it on the server.
    """
    leaf = pki.kept_leaf("ecdsa", name)
    return _stapled(pki, name, ocsp.answer(leaf, pki.other_issuer, pki.now))


def ocsp_forged(pki: Pki, name: str) -> Credential:
    """Chain OK, good staple with a broken signature."""
    leaf = pki.kept_leaf("ecdsa", name)
    return _stapled(pki, name, ocsp.forged(ocsp.answer(leaf, pki.issuer, pki.now)))


def ocsp_try_later(pki: Pki, name: str) -> Credential:
    """Chain OK, staple in which the responder declines to answer."""
    return _stapled(pki, name, ocsp.try_later())


# ---------------------------------------------------------------- Certificate Transparency


def logged(pki: Pki, name: str) -> Credential:
    """Leaf that three logs have confirmed ← issuer OK: no fault, and tests need it."""
    return transparency.logged(pki, name, transparency.NAMES)


def logged_once(pki: Pki, name: str) -> Credential:
    """Leaf that one log has confirmed, where browsers need two ← issuer OK."""
    return transparency.logged(pki, name, transparency.NAMES[:1])


def forged_timestamp(pki: Pki, name: str) -> Credential:
    """Leaf that two logs have confirmed, and a third one's signature of another ← issuer OK."""
    return transparency.logged(pki, name, transparency.NAMES, forged=True)


# ---------------------------------------------------------------- revocation lists


def crl_good(pki: Pki, name: str) -> Credential:
    """Leaf that names a list, which does not name it ← issuer OK: no fault."""
    return _with_shape(pki, name, LeafShape(list_url=f"{pki.lists}/good.crl"))


def crl_revoked(pki: Pki, name: str) -> Credential:
    """Leaf that the list names ← issuer OK."""
    return _with_shape(pki, name, LeafShape(list_url=f"{pki.lists}/good.crl", serial=REVOKED))


def crl_expired(pki: Pki, name: str) -> Credential:
    """Leaf OK that names a list of last week ← issuer OK."""
    return _with_shape(pki, name, LeafShape(list_url=f"{pki.lists}/expired.crl"))


def crl_unavailable(pki: Pki, name: str) -> Credential:
    """Leaf OK that names a list which is not there ← issuer OK."""
    return _with_shape(pki, name, LeafShape(list_url=f"{pki.lists}/missing.crl"))


def crl_forged(pki: Pki, name: str) -> Credential:
    """Leaf OK that names a list which somebody else signed ← issuer OK."""
    return _with_shape(pki, name, LeafShape(list_url=f"{pki.lists}/forged.crl"))


def pem(chain: tuple[x509.Certificate, ...]) -> bytes:
    """A chain as one PEM text, for tests."""
    return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in chain)
