"""What a response says: its cookies, its JSON, and where its redirect leads with them."""

from __future__ import annotations

import pytest

from probe.http.answers import capture
from probe.http.messages import NotJson, Request, Response, parse_json
from probe.http.url import Origin, following, jar
from probe.model.flow import Capture
from probe.net.http import httpx


def setting(*lines: str) -> Response:
    head = [("location", "/x"), *(("set-cookie", line) for line in lines)]
    return Response(302, tuple(head))


COOKIES = [
    (("s=a",), "a"),
    (("s=a; Path=/; HttpOnly",), "a"),
    (("s=deleted; Max-Age=0", "s=good; Path=/"), "good"),
    (("s=first", "other=x", "s=second"), "second"),
    (('s="x y"',), '"x y"'),
    (("s=a,b",), "a,b"),
    (('s={"a":1,"b":"c"}; Path=/',), '{"a":1,"b":"c"}'),
    (("s=a=b==",), "a=b=="),
    ((" s = a ; Secure",), "a"),
]


def everywhere(_: Origin) -> bool:
    """Where a request without credentials may go."""
    return True


@pytest.mark.parametrize(("lines", "value"), COOKIES)
def test_a_cookie_has_the_value_that_its_client_keeps(lines: tuple[str, ...], value: str) -> None:
    response = setting(*lines)
    assert response.cookie("s")[""] == value
    assert capture([Capture("c", "cookie", "s")], response).values == {"c": value}
    jar = httpx.Cookies()
    after = following(
        Request("GET", "https://a.example/"), response, leaves=everywhere, plain=True, cookies=jar
    )
    assert isinstance(after, Request)
    assert jar.get("s") == value
    assert f"s={value}" in (after.header("cookie") or "").split("; ")


@pytest.mark.parametrize("lines", [(), ("other=a",), ("s",), ("s=good", "s=deleted; Max-Age=0")])
def test_a_cookie_that_is_not_kept_has_no_value(lines: tuple[str, ...]) -> None:
    assert capture([Capture("c", "cookie", "s")], setting(*lines)).values == {}


def test_the_attributes_are_those_of_the_last_line() -> None:
    response = setting("s=old; Max-Age=0", "s=new; max-age=60; EXPIRES=later; HttpOnly")
    assert response.cookie("s") == {"": "new", "max-age": "60", "expires": "later", "httponly": ""}


def test_redirects_carry_the_cookies_that_they_set() -> None:
    """Only to where the cookie belongs, and beside those that the step has of its own."""
    jar = httpx.Cookies()
    request: object = Request("GET", "https://a.example/x", (("Cookie", "own=1; s=old"),))

    def step(response: Response) -> str | None:
        nonlocal request
        assert isinstance(request, Request)
        request = following(request, response, leaves=everywhere, plain=True, cookies=jar)
        assert isinstance(request, Request)
        return request.header("cookie")

    assert step(setting("s=new; Path=/")) == "own=1; s=new"
    assert step(setting("t=1; Secure; Path=/", "u=1; Domain=other.example")) == "own=1; s=new; t=1"
    to_plain = Response(302, (("location", "http://a.example/x"),))
    assert step(to_plain) == "own=1; s=new", "not without TLS"
    away = Response(302, (("location", "https://b.example/"),))
    assert step(away) == "own=1"
    back = Response(302, (("location", "https://a.example/"),))
    assert step(back) == "own=1; s=new; t=1"
    assert step(setting("s=x; Max-Age=0; Path=/", "t=; Max-Age=0; Path=/")) == "own=1"


@pytest.mark.parametrize(
    ("domain", "host", "goes_on"),
    [
        ("example.com", "pay.example.com", True),
        ("example.com", "shop.example.com", True),
        (".shop.example.com", "pay.example.com", False),
        ("com", "pay.example.com", False),
        ("co.uk", "evil.co.uk", False),
        (".co.uk", "evil.co.uk", False),
        ("com.br", "evil.com.br", False),
        ("example.co.uk", "pay.example.co.uk", True),
    ],
)
def test_no_cookie_reaches_every_host_of_a_country(domain: str, host: str, goes_on: bool) -> None:
    """A redirect sets a cookie for a domain of its own, and the next one leads to another host."""
    request: object = Request("GET", f"https://shop.{host.partition('.')[2]}/")
    cookies = jar()
    for lines in ((f"s=1; Domain={domain}", "own=2"), ()):
        head = [("location", f"https://{host}/x"), *(("set-cookie", line) for line in lines)]
        assert isinstance(request, Request)
        answer = Response(302, tuple(head))
        request = following(request, answer, leaves=everywhere, plain=True, cookies=cookies)
    assert isinstance(request, Request)
    assert ("s=1" in (request.header("cookie") or "")) is goes_on


def test_bytes_of_a_cookie_go_back_as_they_came() -> None:
    jar = httpx.Cookies()
    response = setting("s=" + "é".encode().decode("latin-1"))
    after = following(
        Request("GET", "http://a.example/"), response, leaves=everywhere, plain=True, cookies=jar
    )
    assert isinstance(after, Request)
    assert after.header("cookie") == "s=é"


@pytest.mark.parametrize(
    "text",
    ["NaN", "[Infinity]", '{"a": -Infinity}', "1e999999999", "-1e400", "[1e999]", "1" * 5000,
        "", "<html>", "ok", "[" * 100_000],
)  # fmt: skip
def test_what_is_no_json_is_none(text: str) -> None:
    with pytest.raises(NotJson):
        parse_json(text)
    with pytest.raises(NotJson):
        Response(200, (), text.encode()).json()


def test_what_is_json_is() -> None:
    assert parse_json('{"a": [1, 1.5, 1e300, -0.0, null, "NaN"]}') == {
        "a": [1, 1.5, 1e300, -0.0, None, "NaN"]
    }
    assert parse_json("\ufeff[1]".encode()) == [1]
    assert parse_json("[1]".encode("utf-16")) == [1]
