"""Reading a revocation list: what it says, and what must not be used."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from hypothesis import given
from hypothesis import strategies as st

from probe.certificates import crl
from probe.certificates.crl import Revoked, UnusableList, read_list

from .authority import NOW, Made, intermediate, issue, leaf, root, rsa_key, usage
from .revoking import DELTA, URL, entry, revocation_list, scope

TOP = root()
ISSUING = intermediate(TOP)
STOLEN = leaf(ISSUING)


def test_a_list_says_when_and_why_and_of_others_nothing() -> None:
    plain = entry(0x99, None)
    found = read_list(revocation_list(ISSUING, entry(STOLEN), plain), [ISSUING.der])
    at = (NOW - timedelta(days=3)).timestamp()
    assert found.find(STOLEN.certificate.serial_number) == Revoked(at, "keyCompromise")
    assert found.find(0x99) == Revoked(at, "")
    assert found.find(0x98) is None
    assert found.find(1 << 300) is None
    assert (found.count, found.number, found.base) == (2, 7, None)
    assert (found.next_update or 0) - found.this_update == 7 * 86_400


@given(st.sets(st.integers(1, 2**159 - 1), max_size=60), st.integers(1, 2**159 - 1))
def test_exactly_the_serial_numbers_that_it_holds_are_found(held: set[int], other: int) -> None:
    made = revocation_list(_FAST, *(entry(one) for one in held))
    found = read_list(made, [_FAST.der])
    assert all(found.find(one) is not None for one in held)
    assert (found.find(other) is not None) is (other in held)
    assert len(found.entries) <= 25 * len(held)


_FAST = root(key=ed25519.Ed25519PrivateKey.generate())


@pytest.mark.parametrize("key", [rsa_key(), ed25519.Ed25519PrivateKey.generate()])
def test_other_kinds_of_keys_sign_too(key: object) -> None:
    issuing = root(key=key)
    assert read_list(revocation_list(issuing), [TOP.der, issuing.der]).count == 0


def test_what_it_says_of_itself_is_read() -> None:
    about = scope(URL, servers=True)
    found = read_list(
        revocation_list(ISSUING, about=about, deltas=[DELTA], number=12), [ISSUING.der]
    )
    assert (found.names, found.only, found.deltas, found.number) == (
        (URL,), "servers", (DELTA,), 12,
    )  # fmt: skip
    later = read_list(revocation_list(ISSUING, base=12, number=14), [ISSUING.der])
    assert (later.base, later.number) == (12, 14)


_STRANGE = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\5\0")
_MUTE = issue(
    ISSUING.certificate.subject,
    TOP,
    basic=x509.BasicConstraints(ca=True, path_length=None),
    key_usage=usage(digital_signature=True),
)
_OTHER = intermediate(TOP, "Other")


@pytest.mark.parametrize(
    ("der", "issuers", "says"),
    [
        (b"", [ISSUING], "cannot be read"),
        (b"<html>moved</html>", [ISSUING], "cannot be read"),
        (STOLEN.der, [ISSUING], "cannot be read"),
        (revocation_list(ISSUING)[:-9], [ISSUING], "cannot be read"),
        (revocation_list(_OTHER), [ISSUING], "by another authority ('CN=Other"),
        (revocation_list(ISSUING, signer=_OTHER), [ISSUING], "signature is not by"),
        (revocation_list(ISSUING, key_of=_OTHER), [ISSUING], "signature is not by"),
        (revocation_list(ISSUING)[:-1] + b"\0", [ISSUING], "signature is not by"),
        (revocation_list(_MUTE), [_MUTE], "no cRLSign"),
        (revocation_list(ISSUING, extra=[(_STRANGE, True)]), [ISSUING], "unknown here (1.2.3.4)"),
        (revocation_list(ISSUING, entry(5, extra=_STRANGE)), [ISSUING], "an entry has"),
        (revocation_list(ISSUING, about=scope(indirect=True)), [ISSUING], "indirect"),
        (
            revocation_list(
                ISSUING, about=scope(reasons=frozenset({x509.ReasonFlags.key_compromise}))
            ),
            [ISSUING],
            "some reasons",
        ),
        (revocation_list(ISSUING), [], "by another authority"),
    ],
)  # fmt: skip
def test_what_must_not_be_used_is_refused_in_words(
    der: bytes, issuers: list[Made], says: str
) -> None:
    with pytest.raises(UnusableList) as refused:
        read_list(der, [one.der for one in issuers])
    assert says in str(refused.value)


def test_too_many_entries_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crl, "MOST_ENTRIES", 1)
    with pytest.raises(UnusableList, match="names 2 certificates, more than 1"):
        read_list(revocation_list(ISSUING, entry(1), entry(2)), [ISSUING.der])


@pytest.mark.parametrize("made", [revocation_list(ISSUING, entry(STOLEN), about=scope(URL)), b"x"])
def test_another_process_says_the_same(made: bytes) -> None:
    asked = crl.asked(made, [ISSUING.der])
    try:
        expected: object = read_list(made, [ISSUING.der])
    except UnusableList as why:
        expected = str(why)
    try:
        found: object = crl.answered(crl.answer(asked))
    except UnusableList as why:
        found = str(why)
    assert found == expected


@pytest.mark.parametrize("said", [b"", b"{}\n", b"[]\n", b'{"issuer_key":1}\n', b"\xff\n"])
def test_nonsense_of_another_process_is_no_list(said: bytes) -> None:
    with pytest.raises(UnusableList, match="nonsense"):
        crl.answered(said)
