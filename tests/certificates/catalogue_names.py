"""Catalogue: names, expectations and what else concerns the server's certificate alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cryptography import x509
from cryptography.x509.oid import ExtensionOID

from probe.model.failure import Reason
from probe.model.tls import ChainExpectations

from .authority import DAY, NOW, Made, intermediate, leaf, root
from .case import Case, case


def _served(*names: str, asked: str = "shop.example", ips: Sequence[str] = ()) -> Case:
    top = root()
    issuing = intermediate(top)
    return Case(sent=[leaf(issuing, *names, ips=ips), issuing], roots=[top], name=asked)


def _mismatch(case_: Case, *, says: tuple[str, ...] = ()) -> Case:
    return replace(case_, failures=(Reason.NAME_MISMATCH,), openssl=False, webpki=False, says=says)


@case
def other_name() -> Case:
    """Leaf for other.example: invalid for shop.example."""
    return _mismatch(_served("other.example"), says=("shop.example", "other.example"))


@case
def many_other_names() -> Case:
    """Leaf for a hundred others: invalid, and the finding names only a few."""
    names = [f"shop{n}.test" for n in range(100)]
    return _mismatch(_served(*names), says=("shop0.test", "and 96 more"))


@case
def among_a_hundred_names() -> Case:
    """Leaf for a hundred names, ours the last: valid."""
    return _served(*[f"shop{n}.test" for n in range(99)], "shop.example")


@case
def wildcard() -> Case:
    """Leaf for *.shop.example asked as www.shop.example: valid."""
    return _served("*.shop.example", asked="www.shop.example")


@case
def wildcard_for_the_domain_itself() -> Case:
    """Leaf for *.shop.example asked as shop.example: invalid."""
    return _mismatch(_served("*.shop.example"))


@case
def wildcard_two_labels_down() -> Case:
    """Leaf for *.shop.example asked as a.b.shop.example: invalid."""
    return _mismatch(_served("*.shop.example", asked="a.b.shop.example"))


@case
def upper_case_and_trailing_dot() -> Case:
    """Leaf for SHOP.example asked as Shop.Example.: valid, DNS knows no case."""
    return _served("SHOP.example", asked="Shop.Example.")


@case
def internationalized_name() -> Case:
    """Leaf for an A-label: valid."""
    return _served("xn--bcher-kva.example", asked="xn--bcher-kva.example")


@case
def address() -> Case:
    """Leaf for 192.0.2.7 as an address: valid."""
    return _served("shop.example", asked="192.0.2.7", ips=["192.0.2.7"])


@case
def address_of_version_6() -> Case:
    """Leaf for 2001:db8::7, asked in another spelling: valid."""
    return _served("shop.example", asked="2001:DB8:0::7", ips=["2001:db8::7"])


@case
def address_written_as_a_name() -> Case:
    """Leaf for the DNS name "192.0.2.7": invalid for the address."""
    said = "the certificate is for 192.0.2.7 as a DNS name; an IP entry is needed"
    return _mismatch(_served("192.0.2.7", asked="192.0.2.7"), says=(said,))


@case
def only_a_common_name() -> Case:
    """Leaf with CN=shop.example and no subjectAltName: invalid since RFC 9525."""
    top = root()
    issuing = intermediate(top)
    server = leaf(issuing, common_name="shop.example", dns=())
    return Case(
        sent=[server, issuing],
        roots=[top],
        failures=(Reason.NAME_MISMATCH,),
        openssl=True,  # its name check still falls back to the common name
        webpki=False,
        says=("no name at all", "CN=shop.example"),
    )


@case
def names_unreadable() -> Case:
    """Leaf whose subjectAltName is garbage: it is for no name, and the finding says why."""
    top = root()
    issuing = intermediate(top)
    garbage = x509.UnrecognizedExtension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, b"garbage")
    return Case(
        sent=[leaf(issuing, dns=(), extra=[(garbage, False)]), issuing],
        roots=[top],
        failures=(Reason.UNPARSABLE, Reason.NAME_MISMATCH),
        warnings=(Reason.UNPARSABLE,),
        openssl=False,
        webpki=False,
        says=("cannot be read: subjectAltName",),
    )


@case
def pattern_that_matches_nothing() -> Case:
    """Leaf for w*.shop.example asked as www.shop.example: invalid since RFC 9525.

    OpenSSL still follows RFC 6125, which left it open; browsers do not.
    """
    made = _mismatch(_served("w*.shop.example", asked="www.shop.example"))
    return replace(made, openssl=True)


@case
def pattern_that_matches_nothing_beside_the_name() -> Case:
    """Leaf for w*.shop.example and my_shop.example: valid for the second, odd as it is."""
    made = _served("w*.shop.example", "my_shop.example", asked="my_shop.example")
    return replace(made, webpki=False)  # it takes no underscore for a name


@case
def default_certificate() -> Case:
    """Leaf for the provider's own names: the edge lacks the shop's certificate."""
    made = _served("*.cdn-b.example", "cdn-b.example")
    return replace(
        made,
        own_names=("*.cdn-b.example",),
        failures=(Reason.DEFAULT_CERTIFICATE,),
        openssl=False,
        webpki=False,
        says=("shop.example", "*.cdn-b.example"),
    )


@case
def another_customers_certificate() -> Case:
    """Leaf for the provider's name and another customer's: not its default."""
    made = _served("sni.cdn-b.example", "other.example")
    return replace(_mismatch(made), own_names=("*.cdn-b.example",))


@case
def default_certificate_expired_and_self_signed() -> Case:
    """Leaf for the provider's own name, ended and signed by itself: the name comes first."""
    return Case(
        sent=[leaf(None, "fallback.cdn-b.example", not_after=NOW - DAY)],
        roots=[root()],
        own_names=("*.cdn-b.example",),
        failures=(Reason.DEFAULT_CERTIFICATE, Reason.EXPIRED, Reason.SELF_SIGNED),
        openssl=False,
        webpki=False,
    )


@case
def critical_names() -> Case:
    """Leaf whose subjectAltName is critical beside a subject: what we ask for tolerates it."""
    top = root()
    issuing = intermediate(top)
    return Case(
        sent=[leaf(issuing, critical_names=True), issuing],
        roots=[top],
        warnings=(Reason.CHAIN_INVALID,),
        webpki=False,
    )


def _expecting(expect: ChainExpectations, *made: Made, top: Made) -> Case:
    return Case(
        sent=made,
        roots=[top],
        expect=expect,
        stricter="the check expects something else",
    )


@case
def issuer_as_expected() -> Case:
    """Issued by Issuing Company, expected that or another; case does not matter: valid."""
    top = root()
    issuing = intermediate(top)
    expect = ChainExpectations(issuers=("Somebody", "issuing COMPANY"))
    return replace(_expecting(expect, leaf(issuing), issuing, top=top), stricter="")


@case
def issuer_not_expected() -> Case:
    """Issued by Issuing Company, expected Somebody: refused."""
    top = root()
    issuing = intermediate(top)
    expect = ChainExpectations(issuers=("Somebody",))
    return replace(
        _expecting(expect, leaf(issuing), issuing, top=top),
        failures=(Reason.UNEXPECTED_ISSUER,),
        says=("Issuing Company", "Somebody"),
    )


@case
def certificate_as_expected() -> Case:
    """The leaf's fingerprint and key are among those expected: valid."""
    top = root()
    issuing = intermediate(top)
    server = leaf(issuing)
    expect = ChainExpectations(fingerprints=("00" * 32, server.sha256), spki=(server.spki_sha256,))
    return replace(_expecting(expect, server, issuing, top=top), stricter="")


@case
def fingerprint_not_expected() -> Case:
    """Another leaf is expected: refused."""
    top = root()
    issuing = intermediate(top)
    expect = ChainExpectations(fingerprints=("00" * 32,))
    return replace(
        _expecting(expect, leaf(issuing), issuing, top=top),
        failures=(Reason.UNEXPECTED_FINGERPRINT,),
        says=("00" * 32,),
    )


@case
def key_not_expected() -> Case:
    """Another key is expected: refused."""
    top = root()
    issuing = intermediate(top)
    expect = ChainExpectations(spki=("00" * 32,))
    return replace(
        _expecting(expect, leaf(issuing), issuing, top=top),
        failures=(Reason.UNEXPECTED_FINGERPRINT,),
    )


@case
def stale_certificate() -> Case:
    """The leaf is from before the renewal: refused."""
    top = root()
    issuing = intermediate(top)
    expect = ChainExpectations(not_before=(NOW - DAY).timestamp())
    return replace(
        _expecting(expect, leaf(issuing), issuing, top=top),
        failures=(Reason.OLDER_THAN_EXPECTED,),
        says=("2026-05-02T00:00:00Z", "2026-05-31T00:00:00Z"),
    )


@case
def renewed_certificate() -> Case:
    """The leaf is from the second of the renewal: valid."""
    top = root()
    issuing = intermediate(top)
    expect = ChainExpectations(not_before=(NOW - DAY).timestamp())
    server = leaf(issuing, not_before=NOW - DAY)
    return replace(_expecting(expect, server, issuing, top=top), stricter="")


@case
def ends_soon() -> Case:
    """The leaf lives for 90 days and ends in 13; a sixth, 15 days, is wanted: a warning."""
    top = root()
    issuing = intermediate(top)
    return Case(
        sent=[leaf(issuing, not_before=NOW - 77 * DAY, not_after=NOW + 13 * DAY), issuing],
        roots=[top],
        warnings=(Reason.EXPIRES_SOON,),
        verified_not_after=NOW + 13 * DAY,
    )


@case
def ends_late_enough() -> Case:
    """The leaf lives for 90 days and ends a second after the wanted 15: nothing to say."""
    top = root()
    issuing = intermediate(top)
    second = DAY / 86_400
    server = leaf(issuing, not_before=NOW - 75 * DAY + second, not_after=NOW + 15 * DAY + second)
    return Case(sent=[server, issuing], roots=[top])


@case
def intermediate_ends_soon() -> Case:
    """The intermediate ends in a week, before the leaf: a warning."""
    top = root()
    issuing = intermediate(top, not_after=NOW + 7 * DAY)
    return Case(
        sent=[leaf(issuing), issuing],
        roots=[top],
        warnings=(Reason.EXPIRES_SOON,),
        verified_not_after=NOW + 7 * DAY,
    )


@case
def unused_cross_sign_ends_soon() -> Case:
    """A cross-signed root ends tomorrow, and the path over the new root does not use it."""
    old, new = root("Old Root", not_after=NOW + DAY), root("New Root")
    cross = intermediate(old, "New Root", "Trust Services", key=new.key, not_after=NOW + DAY)
    issuing = intermediate(new)
    return Case(
        sent=[leaf(issuing), issuing, cross],
        roots=[old, new],
        verified_not_after=NOW + 60 * DAY,
    )
