"""Whatever a server sends: the judge never raises, and is not led to accept it."""

from __future__ import annotations

import math
import random
from functools import cache

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from hypothesis import given, settings
from hypothesis import strategies as st

from probe.certificates import Roots, Verdict
from probe.model.failure import Reason
from probe.model.tls import ChainExpectations

from .authority import DAY, NOW, SERVER, Made, ec_key, intermediate, issue, leaf, root
from .authority import dn as name_of
from .case import Case, judge_chain
from .catalogue_ocsp import MUST_STAPLE, World, answer
from .mutation import Change, changes, signed_anew
from .test_catalogue import openssl_finds_a_path

AT = NOW.timestamp()


@cache
def world() -> World:
    top = root()
    issuing = intermediate(top)
    return World(top, issuing, leaf(issuing, extra=[MUST_STAPLE], issuer_url="http://a.example/"))


@cache
def staple() -> bytes:
    return answer(world().server, world().issuing)


def judged(chain: list[bytes], stapled: bytes | None) -> Verdict:
    return judge_chain(
        chain,
        "shop.example",
        AT,
        roots=Roots.of([world().top.der]),
        expect=ChainExpectations(),
        staple=stapled,
    )


edits = st.lists(
    st.tuples(st.floats(0, 0.999), st.sampled_from(["set", "drop", "add"]), st.integers(0, 255)),
    min_size=1,
    max_size=4,
)


def edited(der: bytes, changes: list[tuple[float, str, int]]) -> bytes:
    data = bytearray(der)
    for where, what, value in changes:
        at = int(where * len(data))
        if what == "set" and data:
            data[at] = value
        elif what == "drop":
            del data[at : at + 1 + value % 8]
        else:
            data.insert(at, value)
    return bytes(data)


@settings(max_examples=200, deadline=None)
@given(which=st.integers(0, 2), changes=edits)
def test_damaged_certificates_give_a_finding_and_are_never_accepted_alone(
    which: int, changes: list[tuple[float, str, int]]
) -> None:
    """All but the root: nothing depends on what the copy of it that was sent says."""
    w = world()
    chain = [w.server.der, w.issuing.der, w.top.der]
    chain[which] = edited(chain[which], changes)
    verdict = judged(chain, staple())
    unchanged = chain[which] == [w.server.der, w.issuing.der, w.top.der][which]
    assert unchanged or which == 2 or verdict.failures or verdict.warnings
    if verdict.accepted:
        assert openssl_finds_a_path(Case(sent=chain, roots=[w.top]))


@settings(max_examples=200, deadline=None)
@given(changes=edits)
def test_damaged_staples_of_a_must_staple_certificate_are_refused_and_never_believed(
    changes: list[tuple[float, str, int]],
) -> None:
    w = world()
    damaged = edited(staple(), changes)
    verdict = judged([w.server.der, w.issuing.der], damaged)
    if damaged != staple():
        reasons = {failure.reason for failure in verdict.failures}
        unknown = any("cannot be checked here" in warning.detail for warning in verdict.warnings)
        assert unknown or reasons & {
            Reason.OCSP_INVALID,
            Reason.OCSP_MISMATCH,
            Reason.OCSP_MISSING,
        }
        assert verdict.ocsp is None


@cache
def rich() -> World:
    """Every extension that the judgement looks at, and some that it does not."""
    top = root()
    constraints = x509.NameConstraints([x509.DNSName("example")], None)
    policies = x509.CertificatePolicies(
        [x509.PolicyInformation(x509.ObjectIdentifier("2.23.140.1.2.1"), ["http://cps.example"])]
    )
    issuing = intermediate(top, purposes=SERVER, extra=[(constraints, True), (policies, False)])
    server = leaf(
        issuing,
        *("shop.example", "*.shop.example"),
        ips=["192.0.2.7"],
        extra=[MUST_STAPLE, (policies, False)],
        issuer_url="http://a.example/",
    )
    return World(top, issuing, server)


@settings(max_examples=400, deadline=None)
@given(server=changes, issuing=changes | st.just([]), root_too=changes | st.just([]))
def test_changed_certificates_that_are_signed_are_judged_and_accepted_only_with_openssl(
    server: list[Change], issuing: list[Change], root_too: list[Change]
) -> None:
    w = rich()
    chain = [
        signed_anew(w.server, w.issuing, server),
        signed_anew(w.issuing, w.top, issuing) if issuing else w.issuing.der,
        *([signed_anew(w.top, w.top, root_too)] if root_too else []),
    ]
    for roots in ([w.top.der], [w.top.der, chain[-1]]):
        verdict = judge_chain(
            chain, "shop.example", AT, roots=Roots.of(roots), expect=ChainExpectations()
        )
        assert all(len(f.detail) < 1000 for f in verdict.failures + verdict.warnings)
    if verdict.accepted and not root_too:
        assert openssl_finds_a_path(Case(sent=chain, roots=[w.top]))


EXTENSIONS = st.sampled_from(
    [
        *("2.5.29.14", "2.5.29.15", "2.5.29.17", "2.5.29.19", "2.5.29.30", "2.5.29.31"),
        *("2.5.29.32", "2.5.29.35", "2.5.29.36", "2.5.29.37", "1.3.6.1.5.5.7.1.1"),
        *("1.3.6.1.5.5.7.1.24", "1.3.6.1.4.1.11129.2.4.2", "2.5.29.18", "1.2.3.4"),
    ]
).map(x509.ObjectIdentifier)


@settings(max_examples=200, deadline=None)
@given(kind=EXTENSIONS, value=st.binary(max_size=40), again=st.booleans())
def test_an_expired_certificate_is_expired_whatever_its_extensions_hold(
    kind: x509.ObjectIdentifier, value: bytes, again: bool
) -> None:
    w = world()
    odd = x509.UnrecognizedExtension(kind, value)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name_of("shop"))
        .issuer_name(w.issuing.certificate.subject)
        .public_key(w.server.key.public_key())
        .serial_number(7)
        .not_valid_before(NOW - 9 * DAY)
        .not_valid_after(NOW - DAY)
        .add_extension(odd, False)
    )
    made = Made(builder.sign(w.issuing.key, hashes.SHA256()), w.server.key)
    # a second one of the same kind: RFC 5280 section 4.2 forbids it
    server = signed_anew(made, w.issuing, [(0.9, "double", b"")]) if again else made.der
    reasons = {f.reason for f in judged([server, w.issuing.der], None).failures}
    assert reasons & {Reason.EXPIRED, Reason.UNPARSABLE}
    assert again or Reason.EXPIRED in reasons


@settings(max_examples=50, deadline=None)
@given(chain=st.lists(st.binary(max_size=64), max_size=4), stapled=st.binary(max_size=64))
def test_plain_noise_is_unparsable(chain: list[bytes], stapled: bytes) -> None:
    verdict = judged(chain, stapled)
    assert verdict.failures[0].reason is Reason.UNPARSABLE
    assert verdict.chain == ()
    assert (verdict.valid_from, verdict.valid_until) == (-math.inf, math.inf)


@settings(max_examples=60, deadline=None)
@given(order=st.permutations(range(5)), repeated=st.lists(st.integers(0, 4), max_size=3))
def test_order_and_repetition_only_ever_warn(order: list[int], repeated: list[int]) -> None:
    top, parts = five_parts()
    others = [parts[at].der for at in (*order, *repeated)]
    verdict = judge_chain(
        [deep_leaf().der, *others],
        "shop.example",
        AT,
        roots=Roots.of([top.der]),
        expect=ChainExpectations(),
    )
    assert verdict.accepted, verdict.failures
    assert {w.reason for w in verdict.warnings} <= {Reason.WRONG_ORDER, Reason.SUPERFLUOUS}
    assert (Reason.SUPERFLUOUS in {w.reason for w in verdict.warnings}) is bool(repeated)
    assert (Reason.WRONG_ORDER in {w.reason for w in verdict.warnings}) is (order != sorted(order))


@cache
def five_parts() -> tuple[Made, list[Made]]:
    above = top = root()
    parts: list[Made] = []
    for number in range(5):
        above = intermediate(above, f"Level {number}")
        parts.insert(0, above)
    return top, parts


@cache
def deep_leaf() -> Made:
    return leaf(five_parts()[1][0])


def test_a_hundred_certificates_are_judged_and_too_many() -> None:
    w = world()
    strays = [intermediate(w.top, f"Stray {n}").der for n in range(98)]
    verdict = judged([w.server.der, w.issuing.der, *strays], staple())
    assert [f.reason for f in verdict.failures] == [Reason.CHAIN_TOO_LONG]
    assert len(verdict.chain) == 100
    assert verdict.verified_not_after is not None


def test_a_mebibyte_of_certificates_is_too_much() -> None:
    w = world()
    noise = random.Random(1)
    junk = [noise.randbytes(1024) for _ in range(1024)]
    verdict = judged([w.server.der, w.issuing.der, *junk], staple())
    assert {f.reason for f in verdict.failures} == {Reason.UNPARSABLE, Reason.CHAIN_TOO_LONG}


def test_a_certificate_with_ten_thousand_names_is_too_long_and_its_details_are_not() -> None:
    w = world()
    names = [f"shop{n:06}.example" for n in range(10_000)]
    verdict = judged([leaf(w.issuing, *names).der, w.issuing.der], None)
    assert [f.reason for f in verdict.failures] == [
        Reason.NAME_MISMATCH,
        Reason.CHAIN_TOO_LONG,
    ]
    assert all(len(f.detail) < 1000 for f in verdict.failures)


def test_a_crowd_of_namesakes_costs_no_more_than_the_bound() -> None:
    """Sixty authorities of one name, each signed by all others' name: a search without end."""
    w = world()
    key = ec_key()
    crowd = [
        issue(name_of("Crowd"), Made(w.issuing.certificate, key), serial=number + 1, key=ec_key())
        for number in range(60)
    ]
    looping = [Made(made.certificate, made.key) for made in crowd]
    server = leaf(looping[0], names_issuer_key=False)
    verdict = judged([server.der, *(made.der for made in looping)], None)
    assert not verdict.accepted


@pytest.mark.parametrize("text", ["\n<script>", "x" * 60, "\u202e\u0007"])
def test_details_hold_no_control_characters_and_stay_short(text: str) -> None:
    w = world()
    server = issue(name_of(text), w.issuing, dns=["other.example"])
    verdict = judged([server.der, w.issuing.der], None)
    for failure in verdict.failures:
        assert failure.detail.isprintable()
        assert len(failure.detail) < 1000
