"""HTTPS and CAA records, held against dnspython as the reference; and what is no record."""

from __future__ import annotations

import dns.exception
import dns.rdata
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probe.edges.message import Damaged
from probe.edges.rdata import read_caa, read_https
from probe.model.records import CaaRecord, HttpsRecord


def wire(kind: str, text: str) -> bytes:
    return bytes(dns.rdata.from_text("IN", kind, text).to_wire() or b"")


@pytest.mark.parametrize(
    ("text", "record"),
    [
        ("1 .", HttpsRecord(1, "")),
        ("0 CDN.example.", HttpsRecord(0, "cdn.example")),
        (
            "1 svc.example. alpn=h2,h3 no-default-alpn port=8443 "
            "ipv4hint=192.0.2.1,192.0.2.2 ipv6hint=2001:db8::1 key9=abc",
            HttpsRecord(
                1,
                "svc.example",
                ("h2", "h3"),
                default_alpn=False,
                port=8443,
                hints=("192.0.2.1", "192.0.2.2", "2001:db8::1"),
            ),
        ),
        (
            "2 . mandatory=alpn,key667 alpn=h2 key667=x",
            HttpsRecord(2, "", ("h2",), foreign=(667,)),
        ),
        ("3 . key65535=hello", HttpsRecord(3, "")),
    ],
)
def test_an_https_record_is_read(text: str, record: HttpsRecord) -> None:
    assert read_https(wire("HTTPS", text)) == record


@pytest.mark.parametrize(
    ("text", "record"),
    [
        ('0 issue "ca.example"', CaaRecord(False, "issue", "ca.example")),
        ('128 ISSUEWILD ";"', CaaRecord(True, "issuewild", ";")),
        ('1 iodef "mailto:a@b.example"', CaaRecord(False, "iodef", "mailto:a@b.example")),
        ('0 issue ""', CaaRecord(False, "issue", "")),
    ],
)
def test_a_caa_record_is_read(text: str, record: CaaRecord) -> None:
    assert read_caa(wire("CAA", text)) == record


ONE = b"\0\1\0"
ALPN = b"\0\1\0\3\2h2"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"\0\1",
        b"\0\1\5shop",
        b"\0\1\xc0\0",
        ONE + b"\0",
        ONE + b"\0\1\0\4\2h2",
        ONE + b"\0\1\0\0",
        ONE + b"\0\1\0\1\0",
        ONE + b"\0\1\0\2\2h",
        ONE + ALPN + ALPN,
        ONE + b"\0\3\0\2\1\xbb" + ALPN,
        ONE + b"\0\2\0\0",
        ONE + ALPN + b"\0\2\0\1x",
        ONE + b"\0\3\0\1\1",
        ONE + b"\0\4\0\0",
        ONE + b"\0\4\0\5\1\2\3\4\5",
        ONE + b"\0\6\0\4\1\2\3\4",
        ONE + b"\0\0\0\0",
        ONE + b"\0\0\0\1\1" + ALPN,
        ONE + b"\0\0\0\2\0\0" + ALPN,
        ONE + b"\0\0\0\2\0\3" + ALPN,
        ONE + b"\0\0\0\4\0\1\0\1" + ALPN,
    ],
)
def test_what_contradicts_the_rfc_is_no_https_record(data: bytes) -> None:
    with pytest.raises(Damaged):
        read_https(data)


@pytest.mark.parametrize("data", [b"", b"\0", b"\0\0", b"\0\5issu", b"\0\1-x", b"\0\1\xe9x"])
def test_what_has_no_tag_is_no_caa_record(data: bytes) -> None:
    with pytest.raises(Damaged):
        read_caa(data)


@given(st.binary(max_size=120) | st.binary(max_size=60).map(lambda tail: ONE + ALPN + tail))
@settings(max_examples=100, deadline=None)
def test_any_bytes_are_a_record_or_damaged(data: bytes) -> None:
    for read in (read_https, read_caa):
        try:
            read(data)
        except Damaged:
            continue


@given(
    priority=st.integers(1, 65535),
    alpn=st.lists(st.sampled_from(["h2", "h3", "http/1.1", "x"]), max_size=4, unique=True),
    port=st.none() | st.integers(0, 65535),
    hints=st.lists(st.ip_addresses(v=4).map(str), max_size=4, unique=True),
)
@settings(max_examples=30, deadline=None)
def test_what_dnspython_writes_is_read(
    priority: int, alpn: list[str], port: int | None, hints: list[str]
) -> None:
    parts = [f"{priority} ."]
    parts += [f"alpn={','.join(alpn)}"] if alpn else []
    parts += [f"port={port}"] if port is not None else []
    parts += [f"ipv4hint={','.join(hints)}"] if hints else []
    read = read_https(wire("HTTPS", " ".join(parts)))
    assert read == HttpsRecord(priority, "", tuple(alpn), port=port, hints=tuple(hints))
