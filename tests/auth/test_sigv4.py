"""AWS signatures: the published test suite's signatures, and botocore's opinion.

The suite ("AWS Signature Version 4 test suite") has one key, date, region and service for all
cases; a row is what a case's request has beside that, and the signature that it demands.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probe.auth.signatures import AwsKeys, sign_aws
from probe.http.messages import Pairs, Request
from probe.http.url import clean_url

NOW = datetime(2015, 8, 30, 12, 36, tzinfo=UTC).timestamp()
KEYS = AwsKeys("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "us-east-1", "service")
HOST = "https://example.amazonaws.com"
UNRESERVED = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
PLAIN = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
POST = "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"
POST_QUERY = "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11"
SESSION = "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267"
STS = (
    "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSP"
    "fIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT"
    "7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlz"
    "m8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="
)
MINE = "My-Header1"

CASES: list[tuple[str, str, str, Pairs, str]] = [
    ("get-vanilla", "GET", "/", (), PLAIN),
    ("get-header-key-duplicate", "GET", "/",
        ((MINE, "value2"), (MINE, "value2"), (MINE, "value1")),
        "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"),
    ("get-header-value-order", "GET", "/",
        ((MINE, "value4"), (MINE, "value1"), (MINE, "value3"), (MINE, "value2")),
        "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01"),
    ("get-header-value-trim", "GET", "/", ((MINE, " value1"), ("My-Header2", ' "a   b   c"')),
        "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"),
    ("get-relative-normalized", "GET", "/example/..", (), PLAIN),
    ("get-relative-relative-normalized", "GET", "/example1/example2/../..", (), PLAIN),
    ("get-slash-dot-slash-normalized", "GET", "/./", (), PLAIN),
    ("get-slash-normalized", "GET", "//", (), PLAIN),
    ("get-slash-pointless-dot-normalized", "GET", "/./example", (),
        "ef75d96142cf21edca26f06005da7988e4f8dc83a165a80865db7089db637ec5"),
    ("get-slashes-normalized", "GET", "//example//", (),
        "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84"),
    ("get-space-normalized", "GET", "/example space/", (),
        "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"),
    ("get-unreserved", "GET", f"/{UNRESERVED}", (),
        "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"),
    ("get-utf8", "GET", "/\u1234", (),
        "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"),
    ("get-vanilla-empty-query-key", "GET", "/?Param1=value1", (),
        "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"),
    ("get-vanilla-query-order-encoded", "GET", "/?Param-3=Value3&Param=Value2&%E1%88%B4=Value1",
        (), "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac"),
    ("get-vanilla-query-order-key-case", "GET", "/?Param2=value2&Param1=value1", (),
        "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"),
    ("get-vanilla-query-unreserved", "GET", f"/?{UNRESERVED}={UNRESERVED}", (),
        "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"),
    ("get-vanilla-utf8-query", "GET", "/?\u1234=bar", (),
        "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"),
    ("post-vanilla", "POST", "/", (), POST),
    ("post-header-key-sort", "POST", "/", ((MINE, "value1"),),
        "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c"),
    ("post-header-value-case", "POST", "/", ((MINE, "VALUE1"),),
        "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d"),
    ("post-vanilla-query", "POST", "/?Param1=value1", (), POST_QUERY),
]  # fmt: skip


def signature(draft: Request) -> str:
    header = draft.header("authorization")
    assert header is not None
    return header.rpartition("Signature=")[2]


@pytest.mark.parametrize(
    ("method", "path", "headers", "wanted"), [row[1:] for row in CASES], ids=[r[0] for r in CASES]
)
def test_the_published_signatures(method: str, path: str, headers: Pairs, wanted: str) -> None:
    assert signature(sign_aws(Request(method, HOST + path, headers), KEYS, NOW)) == wanted


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [
        ("application/x-www-form-urlencoded",
            "d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b"),
        ("application/x-www-form-urlencoded; charset=utf-8",
            "328d1b9eaadca9f5818ef05e8392801e091653bafec24fcab71e7344e7f51422"),
    ],
)  # fmt: skip
def test_a_body_is_signed(kind: str, wanted: str) -> None:
    body = b"Param1=value1"
    digest = hashlib.sha256(body).hexdigest()
    headers = (
        ("Content-Type", kind), ("Content-Length", "13"), ("x-amz-content-sha256", digest),
    )  # fmt: skip
    draft = Request("POST", HOST + "/", headers, body)
    assert signature(sign_aws(draft, KEYS, NOW)) == wanted


@pytest.mark.parametrize(
    ("method", "token", "wanted"),
    [
        ("GET", SESSION, "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8"),
        ("POST", STS, "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead"),
    ],
)
def test_a_session_token_is_signed(method: str, token: str, wanted: str) -> None:
    signed = sign_aws(Request(method, HOST + "/"), replace(KEYS, session=token), NOW)
    assert signature(signed) == wanted
    assert signed.header("X-Amz-Security-Token") == token


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/example1/example2/../..",
            "dc33e0856fd4baca4d7aa2146c38958283844764f38c74252a333df5e613003b"),
        ("/example/..", "eca7ead57bb5aa5c8e28007acd4ff04e1ff9a0ff3b237ec1554a184887ff9282"),
        ("/./", "68714168e6557f8f2de0ef956fc24dc2593a4bd2961f8df51898d8a134695145"),
        ("/./example", "beb03f223f7deae4146464f06e29eebbee9c8afbe15c290cf07aa8b119e14cff"),
        ("//", "c88bcd3d312d75078c0cd961d6deae3f4c754924b01669efcfcb439fd5e5b76e"),
        ("//example//", "87cca117541a147f6df867677d98a7d80dff226d2bfca9e4ffa899665623c7e5"),
        ("/example space/", "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"),
    ],
)  # fmt: skip
def test_paths_that_are_signed_as_they_are(path: str, wanted: str) -> None:
    """The suite's unnormalised cases: how S3 alone wants it."""
    assert signature(sign_aws(Request("GET", HOST + path), KEYS, NOW, plain_path=True)) == wanted


def test_what_proxies_may_change_and_what_differs_each_time_is_not_signed() -> None:
    extra = (("User-Agent", "x"), ("traceparent", "00-1"), ("Accept-Encoding", "gzip"))
    assert signature(sign_aws(Request("GET", HOST + "/", extra), KEYS, NOW)) == PLAIN


def test_keys_print_nothing() -> None:
    assert "EXAMPLEKEY" not in repr(KEYS)


SEGMENT = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), max_size=8)
WORD = st.text(st.characters(codec="utf-8", categories=("L", "N")), max_size=8)


@settings(deadline=None, max_examples=60)  # the first example imports botocore
@given(path=st.lists(SEGMENT, max_size=4), query=st.dictionaries(SEGMENT, SEGMENT, max_size=4),
       body=st.binary(max_size=20))  # fmt: skip
def test_botocore_signs_alike(path: list[str], query: dict[str, str], body: bytes) -> None:
    compare("execute-api", path, query, body)


@settings(deadline=None, max_examples=30)
@given(path=st.lists(WORD, max_size=4), query=st.dictionaries(SEGMENT, SEGMENT, max_size=4))
def test_botocore_signs_alike_for_s3(path: list[str], query: dict[str, str]) -> None:
    """Of words only: botocore encodes keys before it makes a URL, and here the URL is given."""
    compare("s3", path, query, b"x")


def compare(service: str, path: list[str], query: dict[str, str], body: bytes) -> None:
    auth: Any = import_module("botocore.auth")
    awsrequest: Any = import_module("botocore.awsrequest")
    credentials: Any = import_module("botocore.credentials")
    url = clean_url("https://h.example/" + "/".join(path).replace("?", "").replace("#", ""), query)
    draft = Request("POST", url, (("Content-Type", "application/json"),), body)
    theirs = awsrequest.AWSRequest("POST", url, dict(draft.headers), body)
    kind = auth.S3SigV4Auth if service == "s3" else auth.SigV4Auth
    signer = kind(credentials.Credentials("AKID", "s3cr3t", "tok"), service, "eu-west-1")
    signer.add_auth(theirs)
    stamp = theirs.context["timestamp"]
    at = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    keys = AwsKeys("AKID", "s3cr3t", "eu-west-1", service, "tok")
    ours = sign_aws(draft, keys, at)
    assert ours.header("authorization") == theirs.headers["Authorization"]
