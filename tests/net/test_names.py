"""Names of targets have one form, and what names nothing says what to write."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.model.target import Target
from probe.net.names import (
    NameProblem,
    parse_address,
    parse_authority,
    parse_host,
    parse_name_pattern,
    parse_target,
    quoted,
)


@pytest.mark.parametrize(
    ("text", "name", "port"),
    [
        ("shop.example", "shop.example", None),
        ("Shop.EXAMPLE.", "shop.example", None),
        ("shop.example:8443", "shop.example", 8443),
        ("shop.example.:1", "shop.example", 1),
        ("localhost", "localhost", None),
        ("under_score.shop.example", "under_score.shop.example", None),
        ("_dmarc.shop.example", "_dmarc.shop.example", None),
        ("3com.example", "3com.example", None),
        ("a--b.example", "a--b.example", None),
        ("xn--bcher-kva.example", "xn--bcher-kva.example", None),
        ("bücher.example", "xn--bcher-kva.example", None),
        ("BÜCHER.example:443", "xn--bcher-kva.example", 443),
        ("straße.example", "xn--strae-oqa.example", None),
        ("書籍。example", "xn--rovu88b.example", None),
        ("192.0.2.7", "192.0.2.7", None),
        ("192.0.2.7:65535", "192.0.2.7", 65535),
        ("\uff11\uff19\uff12.0.2.7", "192.0.2.7", None),
        ("2001:DB8::7", "2001:db8::7", None),
        ("[2001:db8:0:0::7]", "2001:db8::7", None),
        ("[2001:db8::7]:443", "2001:db8::7", 443),
        ("a" * 63 + ".example", "a" * 63 + ".example", None),
    ],
)
def test_a_target_comes_out_in_its_one_form(text: str, name: str, port: int | None) -> None:
    target = parse_target(text)
    assert (target.name, target.port) == (name, port)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the name is empty; write for example shop.example"),
        ("  ", "the name is empty; write for example shop.example"),
        ("https://shop.example/", "write shop.example, not https://shop.example/"),
        (
            "https://shop.example:8443/a?b",
            "write shop.example:8443, not https://shop.example:8443/a?b",
        ),
        ("shop.example/path", "write shop.example, not shop.example/path"),
        ("//shop.example", "write only the name, for example shop.example, not //shop.example"),
        ("https://user:hunter2@shop.example/", "write shop.example"),
        (
            "user@shop.example",
            "the name contains an @; write only the name, for example shop.example",
        ),
        ("a b", '"a b" contains a space; write one name per entry'),
        ("shop.example\n", '"shop.example\\n" contains a space; write one name per entry'),
        (
            "*.shop.example",
            '"*.shop.example" is a pattern, and only names can be probed; '
            "write a name, for example www.shop.example",
        ),
        (
            "sh*p.example",
            '"sh*p.example" is a pattern, and only names can be probed; '
            "write a name, for example shop.example",
        ),
        (
            "shop.example:https",
            'the port of "shop.example:https" is not a number; write for example :443',
        ),
        ("shop.example:", 'the port of "shop.example:" is not a number; write for example :443'),
        ("shop.example:²", 'the port of "shop.example:²" is not a number; write for example :443'),
        ("shop.example:0", 'the port of "shop.example:0" must be between 1 and 65535'),
        ("shop.example:65536", 'the port of "shop.example:65536" must be between 1 and 65535'),
        ("[::1", '"[::1" is not an IPv6 address with a port; write [2001:db8::7]:443'),
        ("[::1]x", '"[::1]x" is not an IPv6 address with a port; write [2001:db8::7]:443'),
        (
            "[shop.example]:1",
            '"[shop.example]:1" is not an IPv6 address with a port; write [2001:db8::7]:443',
        ),
        (":443", "the name is empty; write for example shop.example"),
        ("a..b", '"a..b" has an empty part between two dots'),
        (".", "the name is empty; write for example shop.example"),
        (
            "-a.example",
            'a part of "-a.example" starts or ends with a hyphen, which host names do not allow; '
            "remove it",
        ),
        (
            "a-.example",
            'a part of "a-.example" starts or ends with a hyphen, which host names do not allow; '
            "remove it",
        ),
        (
            "a$.example",
            '"a$.example" is not a host name; only letters, digits, hyphens, underscores '
            "and dots are allowed",
        ),
        (
            "fe80::1%eth0",
            '"fe80::1%eth0" has a zone (%eth0), which is valid only on this host (RFC 4007); '
            "write the address without it",
        ),
        (
            "[fe80::1%25eth0]:443",
            '"fe80::1%25eth0" has a zone (%25eth0), which is valid only on this host (RFC 4007); '
            "write the address without it",
        ),
        ("198.51.100", '"198.51.100" is neither a host name nor an IP address'),
        ("198.51.100.256", '"198.51.100.256" is neither a host name nor an IP address'),
        ("0x7f.1", '"0x7f.1" is neither a host name nor an IP address'),
        ("a" * 64 + ".example", f'a part of "{"a" * 59}…" is longer than the 63 characters of DNS'),
        (("a." * 127) + "a", f'"{"a." * 29}a…" is longer than the 253 characters of a DNS name'),
        (
            "i❤.example",
            '"i❤.example" is not a valid internationalised name (IDNA 2008); '
            "write it in its A-label form, xn--…",
        ),
        (
            "ü" * 63 + ".example",
            f'"{"ü" * 59}…" is not a valid internationalised name (IDNA 2008); '
            "write it in its A-label form, xn--…",
        ),
    ],
)
def test_what_names_nothing_says_what_to_write(text: str, message: str) -> None:
    with pytest.raises(NameProblem) as raised:
        parse_target(text)
    assert str(raised.value) == message


def test_labels_are_kept() -> None:
    assert parse_target("shop.example", {"tier": "1"}).labels == {"tier": "1"}


@pytest.mark.parametrize("name", ["shop.example", "192.0.2.7", "[2001:db8::7]", "2001:db8::7"])
def test_a_host_has_no_port(name: str) -> None:
    assert parse_host(name) == name.strip("[]")


@pytest.mark.parametrize("text", ["shop.example:443", "192.0.2.7:443"])
def test_a_port_where_none_is_due_says_what_to_write(text: str) -> None:
    with pytest.raises(NameProblem) as raised:
        parse_host(text)
    assert str(raised.value) == f"a port is not allowed here; write {text[:-4]}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("192.0.2.7", ("192.0.2.7", None)),
        ("192.0.2.7:1", ("192.0.2.7", 1)),
        ("2001:DB8:0::7", ("2001:db8::7", None)),
        ("[2001:db8::7]", ("2001:db8::7", None)),
        (" [2001:db8::7]:8443 ", ("2001:db8::7", 8443)),
    ],
)
def test_addresses_come_out_canonical(text: str, expected: tuple[str, int | None]) -> None:
    assert parse_address(text) == expected


@pytest.mark.parametrize("text", ["shop.example", "192.0.2.7/24", "", "192.0.2.007"])
def test_what_is_no_address_shows_how_one_looks(text: str) -> None:
    with pytest.raises(NameProblem, match="is not an IP address; write for example"):
        parse_address(text)


def test_patterns_are_names_of_certificates() -> None:
    assert parse_name_pattern("*.CDN.example.") == "*.cdn.example"
    assert parse_name_pattern("cdn.example") == "cdn.example"
    with pytest.raises(NameProblem):
        parse_name_pattern("a.*.example")


@given(st.text(max_size=80))
def test_any_text_is_a_target_in_normal_form_or_a_problem_on_one_line(text: str) -> None:
    try:
        target = parse_target(text)
    except NameProblem as problem:
        message = str(problem)
    else:
        message = "fine"
        name = f"[{target.name}]" if ":" in target.name else target.name
        assert parse_target(name) == Target(target.name)
        assert target.name.isascii()
        assert target.name == target.name.lower()
    assert message
    assert message.isprintable()


@given(st.text(max_size=300))
def test_quoted_text_stays_on_one_line_and_short(text: str) -> None:
    assert quoted(text).isprintable()
    assert len(quoted(text)) <= 62 + 7 * 60


@pytest.mark.parametrize(
    "authority", ["%00.1", "a%00.1:443", "\udc80.1", "%ed%a0%80.1", "%0a.example", "%00.example:80"]
)
def test_a_host_that_no_system_call_takes_is_refused_in_words(authority: str) -> None:
    with pytest.raises(NameProblem) as caught:
        parse_authority(authority)
    assert "\x00" not in str(caught.value)
    assert "\n" not in str(caught.value)
