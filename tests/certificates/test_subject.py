"""Common names out of RFC 4514 strings, as cryptography writes them."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from probe.certificates.subject import common_names


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("", ()),
        ("O=Shop", ()),
        ("CN=shop.example", ("shop.example",)),
        ("CN=shop.example,O=Shop", ("shop.example",)),
        (r"O=Shop\, Inc.,CN=Shop\, Inc.", ("Shop, Inc.",)),
        (r"O=Shop\,CN=other.example", ()),
        (r"O=ends with \\,CN=shop.example", ("shop.example",)),
        ("CN=a+O=b+CN=c,CN=d", ("a", "c", "d")),
        (r"CN=\c3\bc\00", ("ü\0",)),
        (r"CN=\ff", ("�",)),
        ("CN=a=b", ("a=b",)),
        ("2.5.4.97=CN=no,CN=yes", ("yes",)),
    ],
)
def test_common_names(name: str, found: tuple[str, ...]) -> None:
    assert common_names(name) == found


VALUES = st.text(',+=\\"#;<> CNaü\0', min_size=1, max_size=8)


@settings(max_examples=50)
@given(st.lists(VALUES, max_size=3), VALUES)
def test_they_are_those_that_the_certificate_names(names: list[str], organization: str) -> None:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, name) for name in names]
    attributes.insert(1, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    written = x509.Name(attributes).rfc4514_string()
    assert sorted(common_names(written)) == sorted(names)
