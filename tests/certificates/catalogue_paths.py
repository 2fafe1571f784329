"""Catalogue: how the chain leads, or does not lead, to a trust root.

Each function changes one thing from valid defaults. An arrow reads "is signed by"; brackets
hold what is trusted; what is not sent stands in parentheses.
"""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from probe.model.failure import Reason

from .authority import (
    CA,
    CLIENT,
    DAY,
    NOW,
    YEARS,
    Made,
    intermediate,
    leaf,
    root,
    rsa_key,
    usage,
    weakly_signed,
)
from .case import Case, case

AIA = "http://pki.example/issuing.der"


@case
def leaf_and_intermediate() -> Case:
    """Leaf -> Issuing -> [Root]: valid."""
    top = root()
    issuing = intermediate(top)
    return Case(sent=[leaf(issuing), issuing], roots=[top], verified_not_after=NOW + 60 * DAY)


@case
def leaf_signed_by_the_root() -> Case:
    """Leaf -> [Root]: valid, though no public authority does it."""
    top = root()
    return Case(sent=[leaf(top)], roots=[top])


@case
def rsa_throughout() -> Case:
    """Leaf (RSA) -> Issuing (RSA) -> [Root (RSA)]: valid."""
    top = root(key=rsa_key(number=1))
    issuing = intermediate(top, key=rsa_key(number=2))
    return Case(sent=[leaf(issuing, key=rsa_key(number=3)), issuing], roots=[top])


@case
def ecdsa_under_rsa() -> Case:
    """Leaf (P-256) -> Issuing (P-384) -> [Root (RSA)]: valid."""
    top = root(key=rsa_key(number=1))
    issuing = intermediate(top, key=ec.generate_private_key(ec.SECP384R1()))
    return Case(sent=[leaf(issuing, hash_algorithm=hashes.SHA384()), issuing], roots=[top])


@case
def two_intermediates() -> Case:
    """Leaf -> Issuing -> Policy -> [Root]: valid."""
    top = root()
    policy = intermediate(top, "Policy")
    issuing = intermediate(policy)
    return Case(sent=[leaf(issuing), issuing, policy], roots=[top])


@case
def root_sent_too() -> Case:
    """Leaf -> Issuing -> [Root], and the root is sent: valid, RFC 5246 leaves it open."""
    top = root()
    issuing = intermediate(top)
    return Case(sent=[leaf(issuing), issuing, top], roots=[top])


@case
def trusted_root_elsewhere_in_the_list() -> Case:
    """Leaf -> Issuing -> [Root] among other roots, one of the same name: valid."""
    top, namesake, other = root(), root(), root("Other")
    issuing = intermediate(top)
    return Case(sent=[leaf(issuing), issuing], roots=[other, namesake, top])


def _cross_signed(old_ends: int) -> tuple[Made, Made, Made, Made]:
    """An old root, a new root, the new root's key signed by the old one, and an issuer."""
    old = root("Old Root", not_after=NOW + old_ends * DAY)
    new = root("New Root")
    cross = intermediate(old, "New Root", "Trust Services", key=new.key)
    return old, new, cross, intermediate(new)


@case
def cross_signed_root() -> Case:
    """Leaf -> Issuing -> New Root (cross) -> [Old Root], and Issuing -> [New Root]: valid.

    The path over the new root ends last with the leaf; the old one would end sooner.
    """
    old, new, cross, issuing = _cross_signed(old_ends=40)
    return Case(
        sent=[leaf(issuing), issuing, cross],
        roots=[old, new],
        verified_not_after=NOW + 60 * DAY,
    )


@case
def cross_signed_root_for_old_clients() -> Case:
    """Leaf -> Issuing -> New Root (cross) -> [Old Root], the new root unknown: valid."""
    old, _, cross, issuing = _cross_signed(old_ends=40)
    return Case(
        sent=[leaf(issuing), issuing, cross],
        roots=[old],
        verified_not_after=NOW + 40 * DAY,
    )


@case
def dead_end_sent_first() -> Case:
    """Leaf -> Issuing (cross) -> (Unknown Root), sent before Issuing -> [Root].

    Browsers turn back at the dead end and find the other path; OpenSSL does not.
    """
    top = root()
    issuing = intermediate(top)
    dead_end = intermediate(root("Unknown Root"), key=issuing.key)
    return Case(
        sent=[leaf(issuing), dead_end, issuing],
        roots=[top],
        failures=(Reason.CHAIN_INVALID,),
        openssl=False,
        says=("OpenSSL",),
        verified_not_after=NOW + 60 * DAY,
    )


@case
def dead_end_sent_last() -> Case:
    """The same, sent after Issuing -> [Root]: valid everywhere."""
    made = dead_end_sent_first()
    server, dead_end, issuing = made.sent
    return Case(sent=[server, issuing, dead_end], roots=made.roots)


@case
def old_root_expired_and_unused() -> Case:
    """Leaf -> Issuing -> [New Root]; New Root (cross) -> [Old Root, expired]: valid."""
    old, new, cross, issuing = _cross_signed(old_ends=-1)
    return Case(sent=[leaf(issuing), issuing, cross], roots=[old, new])


@case
def expired_cross_sign_unused() -> Case:
    """Leaf -> Issuing -> [New Root]; New Root (cross, expired) is sent: valid, superfluous."""
    old, new = root("Old Root"), root("New Root")
    cross = intermediate(old, "New Root", "Trust Services", key=new.key, not_after=NOW - DAY)
    issuing = intermediate(new)
    return Case(
        sent=[leaf(issuing), issuing, cross],
        roots=[old, new],
        warnings=(Reason.SUPERFLUOUS,),
    )


@case
def old_root_expired_and_needed() -> Case:
    """Leaf -> Issuing -> New Root (cross) -> [Old Root, expired], new root unknown: invalid."""
    old, _, cross, issuing = _cross_signed(old_ends=-1)
    return Case(
        sent=[leaf(issuing), issuing, cross],
        roots=[old],
        failures=(Reason.EXPIRED,),
        openssl=False,
        webpki=False,
        says=("Old Root", "2026-05-31T00:00:00Z"),
    )


@case
def server_certificate_itself_trusted() -> Case:
    """[Leaf], self-signed and pinned as a trust root: valid."""
    pinned = leaf(None)
    return Case(sent=[pinned], roots=[pinned])


@case
def intermediate_trusted() -> Case:
    """Leaf -> [Issuing] -> (Root): valid, as curl and Python allow partial chains."""
    top = root()
    issuing = intermediate(top)
    return Case(sent=[leaf(issuing), issuing], roots=[issuing])


@case
def self_signed() -> Case:
    """Leaf, signed by itself: invalid."""
    return Case(
        sent=[leaf(None)],
        roots=[root()],
        failures=(Reason.SELF_SIGNED,),
        openssl=False,
        webpki=False,
    )


@case
def private_root_sent() -> Case:
    """Leaf -> Issuing -> Private Root, trusted is [Root]: invalid, the root is unknown."""
    private = root("Private Root", "Private")
    issuing = intermediate(private, organization="Private")
    return Case(
        sent=[leaf(issuing), issuing, private],
        roots=[root()],
        failures=(Reason.UNKNOWN_ISSUER,),
        openssl=False,
        webpki=False,
        says=("Private Root",),
    )


@case
def private_root_not_sent() -> Case:
    """Leaf -> Issuing -> (Private Root), trusted is [Root]: invalid, the root is unknown."""
    private = root("Private Root", "Private")
    issuing = intermediate(private, organization="Private")
    return Case(
        sent=[leaf(issuing, issuer_url=AIA), issuing],
        roots=[root()],
        failures=(Reason.UNKNOWN_ISSUER,),
        openssl=False,
        webpki=False,
        says=("Private Root",),
    )


@case
def leaf_alone_without_any_hint() -> Case:
    """Leaf -> (Issuing) -> (Private Root): invalid; nothing says that more should be sent."""
    issuing = intermediate(root("Private Root", "Private"), organization="Private")
    return Case(
        sent=[leaf(issuing)],
        roots=[root()],
        failures=(Reason.UNKNOWN_ISSUER,),
        openssl=False,
        webpki=False,
        says=("nothing but the server's certificate", "Issuing"),
    )


@case
def missing_intermediate_with_address() -> Case:
    """Leaf (AIA) -> (Issuing) -> [Root]: invalid, works only where clients fetch issuers."""
    top = root()
    issuing = intermediate(top)
    return Case(
        sent=[leaf(issuing, issuer_url=AIA)],
        roots=[top],
        failures=(Reason.MISSING_INTERMEDIATE,),
        openssl=False,
        webpki=False,
        says=("Issuing", AIA),
    )


@case
def missing_intermediate_of_a_trusted_organization() -> Case:
    """Leaf -> (Issuing of the root's organization) -> [Root]: invalid."""
    top = root()
    issuing = intermediate(top, organization="Trust Services")
    return Case(
        sent=[leaf(issuing)],
        roots=[top],
        failures=(Reason.MISSING_INTERMEDIATE,),
        openssl=False,
        webpki=False,
    )


@case
def missing_intermediate_that_other_edges_send() -> Case:
    """Leaf -> (Issuing) -> [Root], Issuing known from elsewhere: invalid, and certain."""
    top = root()
    issuing = intermediate(top)
    return Case(
        sent=[leaf(issuing)],
        roots=[top],
        known=[intermediate(top, "Unrelated"), issuing],
        failures=(Reason.MISSING_INTERMEDIATE,),
        openssl=False,
        webpki=False,
        says=("Issuing", "completes the chain"),
    )


@case
def missing_second_intermediate_that_other_edges_send() -> Case:
    """Leaf -> Issuing -> (Policy) -> [Root], Policy known from elsewhere: invalid."""
    top = root()
    policy = intermediate(top, "Policy")
    issuing = intermediate(policy)
    return Case(
        sent=[leaf(issuing), issuing],
        roots=[top],
        known=[issuing, policy],
        failures=(Reason.MISSING_INTERMEDIATE,),
        openssl=False,
        webpki=False,
        says=("Policy",),
    )


@case
def intermediate_of_the_former_key() -> Case:
    """Leaf -> (Issuing, new key); Issuing with its former key is sent: invalid."""
    top = root()
    former, current = intermediate(top), intermediate(top)
    return Case(
        sent=[leaf(current), former],
        roots=[top],
        failures=(Reason.MISSING_INTERMEDIATE,),
        warnings=(Reason.SUPERFLUOUS,),
        openssl=False,
        webpki=False,
        says=("another key",),
    )


@case
def issuer_named_like_a_root() -> Case:
    """Leaf -> (Root, another key) while [Root] is trusted: invalid."""
    impostor = root()
    return Case(
        sent=[leaf(impostor)],
        roots=[root()],
        failures=(Reason.UNKNOWN_ISSUER,),
        openssl=False,
        webpki=False,
        says=("another key",),
    )


@case
def signature_broken() -> Case:
    """Leaf (says Issuing's key, signed by another) -> Issuing -> [Root]: invalid."""
    top = root()
    issuing, impostor = intermediate(top), intermediate(top)
    return Case(
        sent=[leaf(impostor, claims_key_of=issuing), issuing],
        roots=[top],
        failures=(Reason.CHAIN_INVALID,),
        warnings=(Reason.SUPERFLUOUS,),
        openssl=False,
        webpki=False,
        says=("signature", "does not verify"),
    )


@case
def expired() -> Case:
    """Leaf (ended) -> Issuing -> [Root]: invalid."""
    top = root()
    issuing = intermediate(top)
    return Case(
        sent=[leaf(issuing, not_after=NOW - DAY), issuing],
        roots=[top],
        failures=(Reason.EXPIRED,),
        openssl=False,
        webpki=False,
        says=("CN=shop", "2026-05-31T00:00:00Z"),
    )


@case
def last_second_of_validity() -> Case:
    """Leaf (ends this very second) -> Issuing -> [Root]: valid still, and ends soon."""
    top = root()
    issuing = intermediate(top)
    return Case(
        sent=[leaf(issuing, not_after=NOW), issuing],
        roots=[top],
        warnings=(Reason.EXPIRES_SOON,),
    )


@case
def intermediate_expired() -> Case:
    """Leaf -> Issuing (ended) -> [Root]: invalid."""
    top = root()
    issuing = intermediate(top, not_after=NOW - DAY)
    return Case(
        sent=[leaf(issuing), issuing],
        roots=[top],
        failures=(Reason.EXPIRED,),
        openssl=False,
        webpki=False,
        says=("CN=Issuing",),
    )


@case
def renewed_intermediate_beside_the_expired() -> Case:
    """Leaf -> Issuing (ended, and renewed) -> [Root], both sent: valid, one superfluous."""
    top = root()
    renewed = intermediate(top)
    ended = intermediate(top, key=renewed.key, not_after=NOW - DAY)
    return Case(
        sent=[leaf(renewed), ended, renewed],
        roots=[top],
        warnings=(Reason.SUPERFLUOUS,),
    )


@case
def not_yet_valid() -> Case:
    """Leaf (begins tomorrow) -> Issuing -> [Root]: invalid."""
    top = root()
    issuing = intermediate(top)
    return Case(
        sent=[leaf(issuing, not_before=NOW + DAY), issuing],
        roots=[top],
        failures=(Reason.NOT_YET_VALID,),
        openssl=False,
        webpki=False,
        says=("2026-06-02T00:00:00Z",),
    )


@case
def expired_and_untrusted() -> Case:
    """Leaf (ended), signed by itself: invalid twice."""
    return Case(
        sent=[leaf(None, not_after=NOW - DAY)],
        roots=[root()],
        failures=(Reason.EXPIRED, Reason.SELF_SIGNED),
        openssl=False,
        webpki=False,
    )


@case
def wrong_order() -> Case:
    """Leaf -> Issuing -> Policy -> [Root], Policy sent before Issuing: valid, clumsy."""
    top = root()
    policy = intermediate(top, "Policy")
    issuing = intermediate(policy)
    return Case(sent=[leaf(issuing), policy, issuing], roots=[top], warnings=(Reason.WRONG_ORDER,))


@case
def unrelated_certificate_sent() -> Case:
    """Leaf -> Issuing -> [Root], and an authority that signed none of them: valid."""
    top = root()
    issuing = intermediate(top)
    stray = intermediate(top, "Stray")
    return Case(sent=[leaf(issuing), issuing, stray], roots=[top], warnings=(Reason.SUPERFLUOUS,))


@case
def intermediate_sent_twice() -> Case:
    """Leaf -> Issuing -> [Root], Issuing sent twice: valid."""
    top = root()
    issuing = intermediate(top)
    return Case(sent=[leaf(issuing), issuing, issuing], roots=[top], warnings=(Reason.SUPERFLUOUS,))


@case
def leaf_sent_twice() -> Case:
    """Leaf -> Issuing -> [Root], the leaf sent twice: valid."""
    top = root()
    issuing = intermediate(top)
    server = leaf(issuing)
    return Case(sent=[server, server, issuing], roots=[top], warnings=(Reason.SUPERFLUOUS,))


@case
def eleven_certificates() -> Case:
    """Leaf -> Issuing -> [Root] and nine strays: more than Java takes."""
    top = root()
    issuing = intermediate(top)
    strays = [intermediate(top, f"Stray {n}") for n in range(9)]
    return Case(
        sent=[leaf(issuing), issuing, *strays],
        roots=[top],
        failures=(Reason.CHAIN_TOO_LONG,),
        warnings=(Reason.SUPERFLUOUS,) * 9,
        stricter="Java and other clients bound the number of certificates",
    )


@case
def no_certificate() -> Case:
    """Nothing was sent: invalid."""
    return Case(sent=[], roots=[root()], failures=(Reason.UNPARSABLE,), openssl=False, webpki=False)


@case
def leaf_unparsable() -> Case:
    """Garbage -> Issuing -> [Root]: invalid."""
    top = root()
    return Case(
        sent=[b"\x30\x03garbage", intermediate(top)],
        roots=[top],
        failures=(Reason.UNPARSABLE,),
        openssl=False,
        webpki=False,
    )


@case
def stray_unparsable() -> Case:
    """Leaf -> Issuing -> [Root], then garbage: clients break off while they decode."""
    top = root()
    issuing = intermediate(top)
    return Case(
        sent=[leaf(issuing), issuing, b"garbage"],
        roots=[top],
        failures=(Reason.UNPARSABLE,),
        openssl=False,
        stricter="the message cannot be decoded",
    )


@case
def rsa_1024() -> Case:
    """Leaf (RSA, 1024 bits) -> Issuing -> [Root]: both accept it, Debian's OpenSSL does not."""
    top = root()
    issuing = intermediate(top)
    return Case(
        sent=[leaf(issuing, key=rsa_key(1024)), issuing],
        roots=[top],
        failures=(Reason.WEAK_KEY,),
        stricter="CA/B BR 6.1.5",
        says=("rsa-1024",),
    )


@case
def intermediate_rsa_1024() -> Case:
    """Leaf -> Issuing (RSA, 1024 bits) -> [Root]: invalid."""
    top = root()
    issuing = intermediate(top, key=rsa_key(1024))
    return Case(
        sent=[leaf(issuing), issuing],
        roots=[top],
        failures=(Reason.WEAK_KEY,),
        webpki=False,
        says=("CN=Issuing",),
    )


@case
def curve_that_no_browser_knows() -> Case:
    """Leaf (secp256k1) -> Issuing -> [Root]: invalid."""
    top = root()
    issuing = intermediate(top)
    return Case(
        sent=[leaf(issuing, key=ec.generate_private_key(ec.SECP256K1())), issuing],
        roots=[top],
        failures=(Reason.WEAK_KEY,),
        stricter="CA/B BR 6.1.5",
    )


@case
def curve_of_224_bits() -> Case:
    """Leaf (P-224) -> Issuing -> [Root]: invalid."""
    top = root()
    issuing = intermediate(top)
    return Case(
        sent=[leaf(issuing, key=ec.generate_private_key(ec.SECP224R1())), issuing],
        roots=[top],
        failures=(Reason.WEAK_KEY,),
        stricter="CA/B BR 6.1.5",
    )


@case
def ed25519_leaf() -> Case:
    """Leaf (Ed25519) -> Issuing -> [Root]: valid, and no browser takes it."""
    top = root()
    issuing = intermediate(top)
    return Case(
        sent=[leaf(issuing, key=ed25519.Ed25519PrivateKey.generate()), issuing],
        roots=[top],
        warnings=(Reason.WEAK_KEY,),
    )


@case
def p521_leaf() -> Case:
    """Leaf (P-521) -> Issuing -> [Root]: valid, and not every browser takes it."""
    top = root()
    issuing = intermediate(top)
    return Case(
        sent=[leaf(issuing, key=ec.generate_private_key(ec.SECP521R1())), issuing],
        roots=[top],
        warnings=(Reason.WEAK_KEY,),
    )


@case
def leaf_signed_with_sha1() -> Case:
    """Leaf (SHA-1) -> Issuing -> [Root]: invalid."""
    top = root()
    issuing = intermediate(top, key=rsa_key())
    return Case(
        sent=[weakly_signed(leaf(issuing), issuing, "sha1"), issuing],
        roots=[top],
        failures=(Reason.WEAK_SIGNATURE,),
        webpki=False,
        says=("SHA1",),
    )


@case
def leaf_signed_with_md5() -> Case:
    """Leaf (MD5) -> Issuing -> [Root]: invalid."""
    top = root()
    issuing = intermediate(top, key=rsa_key())
    return Case(
        sent=[weakly_signed(leaf(issuing), issuing, "md5"), issuing],
        roots=[top],
        failures=(Reason.WEAK_SIGNATURE,),
        webpki=False,
        says=("MD5",),
    )


@case
def intermediate_signed_with_sha1() -> Case:
    """Leaf -> Issuing (SHA-1) -> [Root]: invalid."""
    top = root(key=rsa_key())
    issuing = intermediate(top)
    weak = weakly_signed(issuing, top, "sha1")
    return Case(
        sent=[leaf(issuing), weak],
        roots=[top],
        failures=(Reason.WEAK_SIGNATURE,),
        webpki=False,
        says=("CN=Issuing",),
    )


@case
def expired_and_signed_with_sha1() -> Case:
    """Leaf (ended, SHA-1) -> Issuing -> [Root]: invalid twice, and its issuer is known."""
    top = root()
    issuing = intermediate(top, key=rsa_key())
    return Case(
        sent=[weakly_signed(leaf(issuing, not_after=NOW - DAY), issuing, "sha1"), issuing],
        roots=[top],
        failures=(Reason.EXPIRED, Reason.WEAK_SIGNATURE),
        openssl=False,
        webpki=False,
    )


@case
def root_signed_with_sha1() -> Case:
    """Leaf -> Issuing -> [Root (SHA-1)]: valid, a root's own signature proves nothing."""
    top = root(key=rsa_key())
    weak = weakly_signed(top, top, "sha1")
    issuing = intermediate(top)
    return Case(sent=[leaf(issuing), issuing], roots=[weak])


@case
def certificate_for_clients() -> Case:
    """Leaf (for clientAuth) -> Issuing -> [Root]: invalid."""
    top = root()
    issuing = intermediate(top)
    return Case(
        sent=[leaf(issuing, purposes=CLIENT), issuing],
        roots=[top],
        failures=(Reason.NOT_SERVER_CERTIFICATE,),
        openssl=False,
        webpki=False,
    )


@case
def certificate_without_purposes() -> Case:
    """Leaf (no extended key usage) -> Issuing -> [Root]: valid (RFC 5280)."""
    top = root()
    issuing = intermediate(top)
    return Case(sent=[leaf(issuing, purposes=()), issuing], roots=[top])


@case
def authority_for_clients() -> Case:
    """Leaf -> Issuing (for clientAuth) -> [Root]: invalid."""
    top = root()
    issuing = intermediate(top, purposes=CLIENT)
    return Case(
        sent=[leaf(issuing), issuing],
        roots=[top],
        failures=(Reason.NOT_SERVER_CERTIFICATE,),
        openssl=False,
        webpki=False,
        says=("CN=Issuing",),
    )


@case
def key_may_not_sign_handshakes() -> Case:
    """Leaf (keyEncipherment only) -> Issuing -> [Root]: TLS 1.3 cannot use it."""
    top = root()
    issuing = intermediate(top)
    return Case(
        sent=[leaf(issuing, key_usage=usage()), issuing],
        roots=[top],
        failures=(Reason.WRONG_KEY_USAGE,),
        stricter="RFC 8446 section 4.4.2.2",
    )


@case
def authority_may_not_sign_certificates() -> Case:
    """Leaf -> Issuing (no keyCertSign) -> [Root]: invalid."""
    top = root()
    issuing = intermediate(top, key_usage=usage(digital_signature=True))
    return Case(
        sent=[leaf(issuing), issuing],
        roots=[top],
        failures=(Reason.WRONG_KEY_USAGE,),
        openssl=False,
        webpki=False,
    )


@case
def issuer_is_no_authority() -> Case:
    """Leaf -> another leaf -> Issuing -> [Root]: invalid, the oldest of attacks."""
    top = root()
    issuing = intermediate(top)
    plain = leaf(issuing, common_name="plain")
    return Case(
        sent=[leaf(plain), plain, issuing],
        roots=[top],
        failures=(Reason.WRONG_KEY_USAGE, Reason.CHAIN_INVALID),
        openssl=False,
        webpki=False,
    )


@case
def issuer_does_not_say_that_it_is_an_authority() -> Case:
    """Leaf -> Issuing (keyCertSign, no basicConstraints) -> [Root]: invalid.

    OpenSSL lets it pass unless it is asked for a purpose.
    """
    top = root()
    issuing = intermediate(top, basic=None)
    return Case(
        sent=[leaf(issuing), issuing],
        roots=[top],
        failures=(Reason.CHAIN_INVALID,),
        openssl=False,
        webpki=False,
        says=("no certificate authority",),
    )


@case
def path_length_exceeded() -> Case:
    """Leaf -> Issuing -> Policy (no authority below it) -> [Root]: invalid."""
    top = root()
    policy = intermediate(top, "Policy", basic=x509.BasicConstraints(ca=True, path_length=0))
    issuing = intermediate(policy)
    return Case(
        sent=[leaf(issuing), issuing, policy],
        roots=[top],
        failures=(Reason.CHAIN_INVALID,),
        openssl=False,
        webpki=False,
        says=("CN=Policy",),
    )


@case
def path_length_kept() -> Case:
    """Leaf -> Issuing -> Policy (one authority below it) -> [Root]: valid."""
    top = root()
    policy = intermediate(top, "Policy", basic=x509.BasicConstraints(ca=True, path_length=1))
    issuing = intermediate(policy, basic=x509.BasicConstraints(ca=True, path_length=0))
    return Case(sent=[leaf(issuing), issuing, policy], roots=[top])


def _constrained(*permitted: str) -> x509.NameConstraints:
    return x509.NameConstraints([x509.DNSName(name) for name in permitted], None)


@case
def name_constraints_kept() -> Case:
    """Leaf for shop.example -> Issuing (only .example) -> [Root]: valid."""
    top = root()
    issuing = intermediate(top, extra=[(_constrained("example"), True)])
    return Case(sent=[leaf(issuing), issuing], roots=[top])


@case
def name_constraints_violated() -> Case:
    """Leaf for shop.example -> Issuing (only .test) -> [Root]: invalid."""
    top = root()
    issuing = intermediate(top, extra=[(_constrained("test"), True)])
    return Case(
        sent=[leaf(issuing), issuing],
        roots=[top],
        failures=(Reason.NAME_CONSTRAINTS,),
        openssl=False,
        webpki=False,
    )


@case
def name_constraints_violated_and_expired() -> Case:
    """Leaf (ended) for shop.example -> Issuing (only .test) -> [Root]: invalid twice."""
    top = root()
    issuing = intermediate(top, extra=[(_constrained("test"), True)])
    return Case(
        sent=[leaf(issuing, not_after=NOW - DAY), issuing],
        roots=[top],
        failures=(Reason.EXPIRED, Reason.NAME_CONSTRAINTS),
        openssl=False,
        webpki=False,
    )


@case
def unknown_critical_extension() -> Case:
    """Leaf with a critical extension that nobody knows -> Issuing -> [Root]: invalid."""
    top = root()
    issuing = intermediate(top)
    odd = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00")
    return Case(
        sent=[leaf(issuing, extra=[(odd, True)]), issuing],
        roots=[top],
        failures=(Reason.CHAIN_INVALID,),
        openssl=False,
        webpki=False,
    )


@case
def issuer_key_not_named() -> Case:
    """Leaf without authorityKeyIdentifier -> Issuing -> [Root]: strict clients refuse.

    Two warnings: the web PKI rules and those of Python 3.13.
    """
    top = root()
    issuing = intermediate(top)
    return Case(
        sent=[leaf(issuing, names_issuer_key=False), issuing],
        roots=[top],
        warnings=(Reason.CHAIN_INVALID, Reason.CHAIN_INVALID),
        webpki=False,
    )


@case
def authority_as_server() -> Case:
    """[Leaf that is an authority], as quickly made self-signed ones are: Firefox refuses."""
    pinned = leaf(None, basic=CA)
    return Case(sent=[pinned], roots=[pinned], warnings=(Reason.CHAIN_INVALID,), webpki=False)


@case
def nine_intermediates() -> Case:
    """Leaf -> nine authorities -> [Root]: within OpenSSL's depth, beyond the strict one."""
    top = above = root()
    middle: list[Made] = []
    for number in range(9):
        above = intermediate(above, f"Level {number}")
        middle.insert(0, above)
    return Case(
        sent=[leaf(above), *middle],
        roots=[top],
        warnings=(Reason.CHAIN_INVALID,),
        webpki=False,
    )


@case
def root_expired() -> Case:
    """Leaf -> Issuing -> [Root, ended]: invalid."""
    top = root(not_before=NOW - 2 * YEARS, not_after=NOW - DAY)
    issuing = intermediate(top)
    return Case(
        sent=[leaf(issuing), issuing],
        roots=[top],
        failures=(Reason.EXPIRED,),
        openssl=False,
        webpki=False,
        says=("CN=Root",),
    )
