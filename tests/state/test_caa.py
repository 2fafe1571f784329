"""Whether CAA records allow an issuer: RFC 8659, and the table of authorities."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import pytest

from probe.model.records import CaaRecord, CaaSet
from probe.state.caa import AUTHORITIES, CaaOpinion, caa_opinion

LETS_ENCRYPT = "CN=E7,O=Let's Encrypt,C=US"
GODADDY = r"CN=Go Daddy Secure Certificate Authority - G2,OU=http://certs,O=GoDaddy.com\, Inc.,C=US"
NOBODY_KNOWS = "CN=Issuing CA 3,O=Example Trust,C=US"


def opinion(
    *records: tuple[str, str] | tuple[str, str, bool],
    issuer: str = LETS_ENCRYPT,
    wildcard: bool = False,
    own: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
) -> CaaOpinion:
    made = tuple(
        CaaRecord(record[2] if len(record) > 2 else False, record[0], record[1])
        for record in records
    )
    return caa_opinion(CaaSet("shop.example", made), issuer, wildcard=wildcard, own=own)


ALLOWED = CaaOpinion()


@pytest.mark.parametrize(
    "records",
    [
        (),
        (("iodef", "mailto:a@shop.example"),),
        (("issuewild", ";"),),
        (("issuemail", ";"), ("contactemail", "a@shop.example", True)),
        (("issue", "letsencrypt.org"),),
        (("issue", "LetsEncrypt.org."),),
        (("issue", " letsencrypt.org ; accounturi=https://a.example/1; validationmethods=dns-01"),),
        (("issue", "other.example"), ("issue", "letsencrypt.org")),
        (("issue", ";"), ("issue", "letsencrypt.org")),
    ],
)
def test_the_issuer_is_allowed(records: tuple[tuple[str, str], ...]) -> None:
    assert opinion(*records) == ALLOWED


@pytest.mark.parametrize(
    ("value", "allows"),
    [
        ("other.example", "other.example"),
        ("", "nobody"),
        (";", "nobody"),
        ("; policy=ev", "nobody"),
        ("%%%%%", "nobody"),
        ("letsencrypt.org policy=ev", "nobody"),
        ("notletsencrypt.org", "notletsencrypt.org"),
        ("letsencrypt.org.other.example", "letsencrypt.org.other.example"),
    ],
)
def test_the_issuer_is_forbidden(value: str, allows: str) -> None:
    found = opinion(("issue", value))
    assert found.forbids
    assert f"CAA of shop.example allows {allows} (issue)" in found.why
    assert "Let's Encrypt" in found.why


def test_issuewild_goes_before_issue_for_wildcards_alone() -> None:
    records = (("issue", "letsencrypt.org"), ("issuewild", "other.example"))
    assert opinion(*records) == ALLOWED
    assert opinion(*records, wildcard=True).forbids
    swapped = (("issue", "other.example"), ("issuewild", "letsencrypt.org"))
    assert opinion(*swapped).forbids
    assert opinion(*swapped, wildcard=True) == ALLOWED


def test_a_wildcard_without_issuewild_follows_issue() -> None:
    assert opinion(("issue", "letsencrypt.org"), wildcard=True) == ALLOWED
    assert opinion(("issue", "other.example"), wildcard=True).forbids


def test_of_an_unknown_issuer_nothing_can_be_told() -> None:
    found = opinion(("issue", "ca.example"), issuer=NOBODY_KNOWS)
    assert not found.forbids
    assert "Example Trust" in found.why
    assert "cannot be told" in found.why


def test_nobody_is_allowed_whoever_the_issuer_is() -> None:
    assert opinion(("issue", ";"), issuer=NOBODY_KNOWS).forbids


def test_the_configuration_names_an_issuer() -> None:
    own = {"Example Trust": ("ca.example",)}
    assert opinion(("issue", "ca.example"), issuer=NOBODY_KNOWS, own=own) == ALLOWED
    assert opinion(("issue", "other.example"), issuer=NOBODY_KNOWS, own=own).forbids


def test_a_critical_property_that_is_unknown_leaves_it_open() -> None:
    found = opinion(("issue", "letsencrypt.org"), ("future", "x", True))
    assert not found.forbids
    assert "critical property future" in found.why
    assert opinion(("issue", "letsencrypt.org"), ("future", "x")) == ALLOWED


def test_an_escaped_organisation_is_found() -> None:
    assert opinion(("issue", "starfieldtech.com"), issuer=GODADDY) == ALLOWED
    assert opinion(("issue", "letsencrypt.org"), issuer=GODADDY).forbids


@pytest.mark.parametrize("issuer", ["", "CN=Root", "O=", r"O=a\,", "O=a+OU=b", "\\"])
def test_an_odd_issuer_is_unknown(issuer: str) -> None:
    assert not opinion(("issue", "ca.example"), issuer=issuer).forbids


def test_what_records_say_is_shown_without_controls() -> None:
    found = opinion(("issue", "ca.example"), issuer="O=a\x1b[31m")
    assert found.why.isprintable()
    assert opinion(("fu\x1bture", "x", True)).why.isprintable()


def test_the_table_holds_names_that_records_can_have() -> None:
    for names in AUTHORITIES.values():
        assert names
        for name in names:
            assert name == name.lower()
            assert "." in name
            assert opinion(("issue", name), issuer="O=x", own={"x": names}) == ALLOWED
