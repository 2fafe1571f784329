"""Foreign values in URLs: whatever they hold, the host and the shape are the template's."""

from __future__ import annotations

from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.auth.values import Unsafe, Values
from probe.http.url import BadUrl, clean_url
from probe.net.http import httpx

HOSTILE = [
    "evil.example/?q=",
    "evil.example#",
    "evil.example/",
    "evil.example?",
    "x@evil.example",
    "x:y@evil.example/",
    "evil.example\\",
    "\\\\evil.example",
    "//evil.example/",
    "evil.example%2f",
    "evil.example\uff0f",  # full-width, which UTS #46 maps to a slash
    "evil\u3002example\uff20x",
    "evil.example\u2100",  # maps to "a/c"
    "evil.example\r\nHost: x",
    "evil.example\t/",
    " evil.example",
    "[::1]/",
    "[::1]x",
    "evil.example:443/",
    "evil.example:99999999",
    "",
]


def filled(template: str, value: str, *, name: str = "labels.x") -> str:
    return clean_url(Values({name: value}).fill_url(template))


@pytest.mark.parametrize("value", HOSTILE)
def test_a_label_never_ends_the_host(value: str) -> None:
    """The template of the report that this began with: a token went to ``evil.example``."""
    for template in ("https://{labels.x}.shop.example/v1/me", "https://{labels.x}.shop.example"):
        try:
            url = filled(template, value)
        except (Unsafe, BadUrl):
            continue
        assert httpx.URL(url).host.endswith(".shop.example")
        assert (urlsplit(url).hostname or "").endswith(".shop.example")


@pytest.mark.parametrize("value", HOSTILE)
def test_a_label_behind_the_host_never_changes_it(value: str) -> None:
    for template in ("https://shop.example{labels.x}/me", "https://shop.example{labels.x}"):
        try:
            url = filled(template, value)
        except (Unsafe, BadUrl):
            continue
        host = httpx.URL(url).host
        assert host == urlsplit(url).hostname
        assert host in {"shop.example", f"shop.example{value}"}


@given(st.text(max_size=20), st.sampled_from(["labels.x", "target.name", "captured"]))
def test_no_encoding_changes_the_authority(value: str, name: str) -> None:
    values = Values({name: value} if name != "captured" else {})
    if name == "captured":
        values.learn({"captured": value})
    templates = ("/a/{}/b", "/{}", "/a?x={}&y=1", "/?{}", "/a#{}", "/a/{}?x={}", "{}/b")
    for template in templates:
        text = "https://shop.example:8443" + template.replace("{}", f"{{{name}}}")
        try:
            url = clean_url(values.fill_url(text))
        except (Unsafe, BadUrl):
            continue
        for authority in (httpx.URL(url).netloc.decode(), urlsplit(url).netloc):
            behind = template.startswith("{}") and not value.startswith("/")
            assert authority == "shop.example:8443" or behind
        if behind:
            continue
        if template == "/a/{}/b":
            assert urlsplit(url).path.count("/") == 3
            assert unquote(urlsplit(url).path) == f"/a/{value}/b"
        if template == "/a?x={}&y=1":
            query = parse_qsl(urlsplit(url).query, keep_blank_values=True)
            assert query == [("x", value), ("y", "1")]


@given(st.text(alphabet="a./?#@:[]\\%;&=\u3002\uff0f1", max_size=12))
def test_a_host_stays_in_its_domain_for_every_reader(value: str) -> None:
    try:
        url = filled("https://{labels.x}.shop.example/", value)
    except (Unsafe, BadUrl):
        return
    for host in (httpx.URL(url).host, urlsplit(url).hostname or ""):
        assert host.endswith(".shop.example")
    assert urlsplit(url).path == "/"


@pytest.mark.parametrize(
    ("template", "value", "expected"),
    [
        ("https://shop.example/{labels.x}", "a/b c", "https://shop.example/a%2Fb%20c"),
        ("https://shop.example{labels.x}", "/jobs/1", "https://shop.example/jobs/1"),
        ("https://shop.example{labels.x}?a=1", "/j?b#c", "https://shop.example/j%3Fb%23c?a=1"),
        ("https://shop.example/?q={labels.x}", "a&b=c#d", "https://shop.example/?q=a%26b%3Dc%23d"),
        ("https://{labels.x}/", "shop.example:8443", "https://shop.example:8443/"),
        ("https://{labels.x}/", "2001:db8::1", "https://[2001:db8::1]/"),
        ("https://{labels.x}/", "[2001:db8::1]:8443", "https://[2001:db8::1]:8443/"),
        ("https://{labels.x}.example/", "bücher", "https://xn--bcher-kva.example/"),
        ("{labels.x}", "https://api.example/a?next=2", "https://api.example/a?next=2"),
        ("{labels.x}/b", "https://api.example/a", "https://api.example/a/b"),
        ("{labels.x}://api.example/", "https", "https://api.example/"),
    ],
)
def test_a_value_is_encoded_for_its_place(template: str, value: str, expected: str) -> None:
    assert filled(template, value) == expected


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("https://shop.example/a/{labels.x}/b", ".."),
        ("https://shop.example{labels.x}", "/a/../b"),
        ("{labels.x}.shop.example/", "https://evil.example/?q="),
        ("{labels.x}.shop.example/", "https://evil.example#"),
        ("{labels.x}shop.example/", "https://x@"),
        ("{labels.x}/b", "shop.example"),
        ("https{labels.x}shop.example", "://evil.example/"),
    ],
)
def test_what_would_change_the_shape_is_not_sent(template: str, value: str) -> None:
    with pytest.raises((Unsafe, BadUrl)):
        filled(template, value)


def test_the_configurations_own_values_may_hold_anything_that_a_url_may() -> None:
    assert filled("{x}/me", "https://api.example/v1", name="x") == "https://api.example/v1/me"
    assert filled("https://a.example/{x}", "b/c?d=1", name="x") == "https://a.example/b/c?d=1"
