"""Secrets stay out of texts, in whatever form they stand there."""

from __future__ import annotations

import base64
import html
import json
import quopri
import random
import re
import shlex
import subprocess
import tracemalloc
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from probe.flow import folding
from probe.flow.known import LONGEST, RUN, KnownSecrets, Windows, public_of
from probe.flow.redact import PLACEHOLDER, TOO_MANY, TOO_SHORT, Redactor, shell_name, withheld

AROUND = st.text(st.characters(codec="ascii"), max_size=20)


def knowing(*secrets: str, agent: KnownSecrets | None = None) -> Redactor:
    redactor = Redactor(agent)
    for number, secret in enumerate(secrets):
        redactor.add(secret, f"SECRET_{number}")
    return redactor


# ---------------------------------------------------------------- every encoding


def every_byte(form: str) -> Callable[[str], str]:
    return lambda text: "".join(form.format(byte) for byte in text.encode())


def odd_bytes(form: str) -> Callable[[str], str]:
    """Encode what is neither letter nor digit."""
    return lambda text: "".join(
        c if c.isascii() and c.isalnum() else "".join(form.format(b) for b in c.encode())
        for c in text
    )


def joined(between: str, size: int = 1) -> Callable[[str], str]:
    return lambda text: between.join(text[at : at + size] for at in range(0, len(text), size))


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def by_code_point(form: str) -> Callable[[str], str]:
    return lambda text: "".join(form.format(ord(c)) for c in text)


ENCODINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "upper case": str.upper,
    "lower case": str.lower,
    "swapped case": str.swapcase,
    "encodeURIComponent": lambda t: quote(t, safe="!'()*"),
    "encodeURI": lambda t: quote(t, safe=";,/?:@&=+$-_.!~*'()#"),
    "percent, all but letters": lambda t: quote(t, safe=""),
    "percent, small digits": lambda t: re.sub("%..", lambda m: m[0].lower(), quote(t, safe="")),
    "percent, plus for a space": quote_plus,
    "percent, twice": lambda t: quote(quote(t, safe=""), safe=""),
    "percent, every byte": every_byte("%{:02X}"),
    "percent, every byte, small": every_byte("%{:02x}"),
    "percent, every byte, twice": lambda t: quote(every_byte("%{:02x}")(t), safe=""),
    "escape() of old JavaScript": by_code_point("%u{:04x}"),
    "JSON": json.dumps,
    "JSON, readable": lambda t: json.dumps(t, ensure_ascii=False),
    "JSON, slashes escaped": lambda t: json.dumps(t).replace("/", "\\/"),
    "JSON, odd characters": lambda t: re.sub(
        r"\W", lambda m: f"\\u{ord(m[0]):04x}", t, flags=re.ASCII
    ),
    "JSON, every character": by_code_point("\\u{:04x}"),
    "JSON, every character, large": by_code_point("\\u{:04X}"),
    "JSON in JSON": lambda t: json.dumps(json.dumps({"said": t})),
    "JSON of Go": lambda t: json.dumps(t).translate({ord(c): f"\\u{ord(c):04x}" for c in "<>&"}),
    "JavaScript, every byte": every_byte("\\x{:02x}"),
    "JavaScript, braces": by_code_point("\\u{{{:x}}}"),
    "octal, every byte": every_byte("\\{:03o}"),
    "octal, odd bytes": odd_bytes("\\{:03o}"),
    "Python": repr,
    "Python's bytes": lambda t: repr(t.encode()),
    "Python's ascii": ascii,
    "Python in JSON": lambda t: json.dumps(repr(t)),
    "shell": shlex.quote,
    "CSV": lambda t: t.replace('"', '""'),
    "HTML of Python": html.escape,
    "HTML, twice": lambda t: html.escape(html.escape(t)),
    "HTML, every character": by_code_point("&#{};"),
    "HTML, every character, hex": by_code_point("&#x{:x};"),
    "HTML, every character, large hex": by_code_point("&#X{:X};"),
    "HTML, odd characters": odd_bytes("&#{};"),
    "HTML, odd characters, hex": odd_bytes("&#x{:X};"),
    "HTML, no semicolon": lambda t: "".join(f"&#{ord(c)} " for c in t),
    "HTML of Go": lambda t: html.escape(t).replace("&#x27;", "&#39;").replace("&quot;", "&#34;"),
    "HTML in JSON": lambda t: json.dumps(html.escape(t)),
    "quoted-printable": lambda t: quopri.encodestring(t.encode(), quotetabs=True).decode(),
    "quoted-printable, every byte": every_byte("={:02X}"),
    "quoted-printable, wrapped": joined("=\r\n", 5),
    "full width": lambda t: t.translate({n: n + 0xFEE0 for n in range(0x21, 0x7F)}),
    "bold letters": lambda t: re.sub(
        "[a-z]", lambda m: chr(0x1D41A + ord(m[0]) - ord("a")), t
    ),
    "hex": lambda t: t.encode().hex(),
    "hex, large": lambda t: t.encode().hex().upper(),
    "hex, colons": lambda t: t.encode().hex(":"),
    "hex, spaces": lambda t: t.encode().hex(" "),
    "hex, large with colons": lambda t: t.encode().hex(":").upper(),
    "hex, 0x each": lambda t: ", ".join(f"0x{b:02x}" for b in t.encode()),
    "hex of xxd": lambda t: t.encode().hex(" ", 2),
    "hex of UTF-16": lambda t: t.encode("utf-16-le").hex(),
    "bytes as numbers": lambda t: json.dumps([*t.encode()]),
    "bytes of Go": lambda t: " ".join(["[", *map(str, t.encode()), "]"]),
    "base64": b64,
    "base64, no padding": lambda t: b64(t).rstrip("="),
    "base64, second alignment": lambda t: b64("x" + t),
    "base64, third alignment": lambda t: b64("xy" + t),
    "base64, inside": lambda t: b64("before it " + t + " and after"),
    "base64, for URLs": lambda t: base64.urlsafe_b64encode(t.encode()).decode(),
    "base64, for URLs, no padding": lambda t: (
        base64.urlsafe_b64encode(b"a" + t.encode()).decode().rstrip("=")
    ),
    "base64 of MIME": lambda t: base64.encodebytes((t * 3).encode()).decode(),
    "base64, short lines": lambda t: joined("\r\n", 11)(b64(t)),
    "base64, lines in JSON": lambda t: json.dumps(joined("\n", 16)(b64(t))),
    "base64, percent": lambda t: quote(b64(t), safe=""),
    "base64, twice": lambda t: b64(b64(t)),
    "base64 of user and password": lambda t: "Basic " + b64("user:" + t),
    "base64 of JSON": lambda t: b64(json.dumps({"token": t})),
    "base64 of percent": lambda t: b64(quote(t, safe="")),
    "base64 of hex": lambda t: b64(t.encode().hex()),
    "base64 of UTF-16": lambda t: base64.b64encode(t.encode("utf-16-le")).decode(),
    "base64, cut off in front": lambda t: b64(t)[3:],
    "base64, cut off behind": lambda t: b64(t)[:-5],
    "a part of a JWT": lambda t: (
        "eyJhbGciOiJub25lIn0." + b64(json.dumps({"t": t})).rstrip("=") + ".c2ln"
    ),
    "UTF-16, read as UTF-8": lambda t: t.encode("utf-16-le").decode("utf-8", "replace"),
    "UTF-16, big end first": lambda t: t.encode("utf-16-be").decode("latin-1"),
    "UTF-32, read as UTF-8": lambda t: t.encode("utf-32-be").decode("utf-8", "replace"),
    "UTF-8, read as Latin-1": lambda t: t.encode().decode("latin-1"),
    "Latin-1, read as UTF-8": lambda t: t.encode("latin-1", "replace").decode("utf-8", "replace"),
    "EBCDIC in hex is not ours": lambda t: t,
    "spaces": joined(" "),
    "tabs": joined("\t", 2),
    "line ends": joined("\n", 3),
    "folded header": joined("\r\n ", 6),
    "dashes": joined("-", 4),
    "no-width spaces": joined("\u200b"),
    "soft hyphens": joined("\u00ad", 3),
    "joiners": joined("\u2060", 2),
    "byte order mark": lambda t: "\ufeff" + t,
    "first eight characters": lambda t: t[:8],
    "last eight characters": lambda t: t[-8:],
    "eight in the middle": lambda t: t[9:17],
    "cut off": lambda t: t[:-1],
    "between letters": lambda t: f"abc{t}def",
    "in a URL": lambda t: f"https://api.example/?q=1&next={quote(t, safe='')}#x",
    "in XML": lambda t: f"<t a={html.escape(t)!r}/>",
    "in an SQL error": lambda t: "near '" + t.replace("'", "''") + "'",
}  # fmt: skip
del ENCODINGS["EBCDIC in hex is not ours"]

TOKENS = {
    "letters": "k9Xw2mQz7LpR4vTn8YbC3sHd",
    "base64": "dGhp/cyBp+cyB0aGU+/c2Vjcm==",
    "marks": "p<s&w\"o'd/(1)=%41;z~Q!x,y",
    "JWT": "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiI0MiJ9.h1-_Zk3q",
    "words": "correct horse battery staple",
    "accents": "pâsswörd-für-jédermann-€9",
}


def test_there_are_as_many_encodings_as_were_asked_for() -> None:
    assert len(ENCODINGS) >= 68
    assert len({encode(TOKENS["marks"]) for encode in ENCODINGS.values()}) >= 68


@pytest.mark.parametrize("encode", ENCODINGS.values(), ids=ENCODINGS)
def test_a_body_that_shows_a_secret_however_encoded_is_withheld(
    encode: Callable[[str], str],
) -> None:
    for name, secret in TOKENS.items():
        text = f"the server said: {encode(secret)}; so much for that"
        assert knowing(secret).redact_foreign(text) == withheld(text), name


def test_a_body_that_shows_seven_characters_or_something_like_a_secret_is_shown() -> None:
    for secret in TOKENS.values():
        for text in (
            secret[:7], secret[-7:], secret[::-1],
            json.dumps({"error": "invalid_token", "trace": "4bf92f3577b34da6a3ce929d0e0e4736"}),
            "<html><body class='error'>502 Bad Gateway &mdash; %20 \\u0041 nginx/1.2</body></html>",
            b64("nothing of any interest " * 20), "aaaaaaaaaaaaaaaaaaaaaaaaaaaa", "",
        ):  # fmt: skip
            assert knowing(secret).redact_foreign(text) == text


SIMPLE = [
    encode
    for name, encode in ENCODINGS.items()
    if not name.startswith(
        ("first", "last", "eight", "cut", "Latin", "UTF-8", "base64, cut", "in ")
    )
    and not re.search("twice| in |,.*,| of (?:JSON|percent|hex|UTF)|JWT|no semicolon", name)
    and not name.startswith(("spaces", "tabs", "line", "folded", "dash", "no-", "soft", "join"))
]
"""Encodings of one step that keep all of a text."""


@given(
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=16, max_size=40),
    st.sampled_from(SIMPLE),
    st.sampled_from(SIMPLE),
    AROUND,
)
def test_no_two_encodings_inside_each_other_hide_a_secret(
    secret: str, inner: Callable[[str], str], outer: Callable[[str], str], before: str
) -> None:
    text = f"{before} {outer(inner(secret))} after"
    assert knowing(secret).redact_foreign(text) == withheld(text)


# ---------------------------------------------------------------- texts of our own


OWN = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=8, max_size=40)


@given(OWN.filter(lambda text: len(text.strip()) >= 8 and "*" not in text), AROUND, AROUND)
@example("abcdef g", "", "")  # a form writes abcdef+g
def test_a_secret_in_a_text_of_ours_is_replaced_where_it_stands(
    secret: str, before: str, after: str
) -> None:
    for form in (secret, quote(secret), quote(secret, safe=""), quote_plus(secret)):
        clean = knowing(secret).redact(f"{before}{form}{after}")
        assert PLACEHOLDER in clean or clean.startswith("(withheld: ")
        assert secret not in clean
    assert knowing(secret).redact(f"a {json.dumps(secret)} z") in {
        f'a "{PLACEHOLDER}" z', withheld(f"a {json.dumps(secret)} z")
    }  # fmt: skip


@pytest.mark.parametrize("encode", ENCODINGS.values(), ids=ENCODINGS)
def test_a_text_of_ours_shows_no_secret_either(encode: Callable[[str], str]) -> None:
    secret = TOKENS["marks"]
    redactor = knowing(secret)
    for clean in (redactor.redact(encode(secret)), redactor.whole(encode(secret))):
        assert redactor.redact_foreign(clean) == clean
        assert clean != encode(secret)


def test_what_the_configuration_spells_out_is_no_secret() -> None:
    """A user name may hold the host's: the URL must stay readable."""
    redactor = Redactor(public=(public_of("https://shop.example.com/orders?code=summer24"),))
    redactor.add("monitor@shop.example.com", "USER")
    text = "GET https://shop.example.com/orders?code=summer24"
    assert redactor.redact(text) == redactor.redact_foreign(text) == text
    assert redactor.redact_foreign("no monitor@shop here").startswith("(withheld: ")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://a.example/cb?code=SplxlOBeZQ&state=1", "https://a.example/cb?code=***&state=1"),
        ("/cb#access_token=2YotnF&x=y", "/cb#access_token=***&x=y"),
        ("/f?X-Amz-Signature=ab12&X-Amz-Security-Token=q", None),
        ("https://me:pw@a.example/", "https://***@a.example/"),
        ("/a?SAMLResponse=PHNhbWw%2B", "/a?SAMLResponse=***"),
        ("/a?q=code&page=2", "/a?q=code&page=2"),
    ],
)
def test_what_stands_in_urls_under_names_of_tokens_is_replaced(url: str, shown: str | None) -> None:
    wanted = shown or "/f?X-Amz-Signature=***&X-Amz-Security-Token=***"
    assert Redactor().redact(f"GET {url}") == f"GET {wanted}"
    assert Redactor().redact_foreign(url) == Redactor().whole(url) == wanted


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["C"])), max_size=3))
def test_a_shell_reads_back_what_was_meant_with_the_secret_as_a_variable(parts: list[str]) -> None:
    secret = "s3cr3t'$\"`x"
    text = secret.join(parts)
    word = knowing(secret).shell(text)
    assert secret not in word
    pieces = shlex.split(word)
    assert len(pieces) == 1
    assert pieces[0] == text.replace(secret, "$SECRET_0")


def test_a_real_shell_puts_the_secret_where_it_was() -> None:
    secret = "a'b$c\"d"
    text = f"Authorization: Bearer {secret}; it's"
    word = knowing(secret).shell(text)
    run = subprocess.run(
        ["sh", "-c", f"printf %s {word}"],
        env={"SECRET_0": secret}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert run.stdout == text


def test_variables_are_told_apart() -> None:
    redactor = Redactor()
    redactor.add("first-value", "/run/a/token")
    redactor.add("second-value", "/run/b/token")
    redactor.add("first-value", "again")
    assert redactor.shell("first-value second-value") == '"$TOKEN"\' \'"$TOKEN_2"'
    assert shell_name("secrets/app-token.txt") == "APP_TOKEN"
    assert shell_name("9lives") == "SECRET_9LIVES"


def test_an_empty_secret_hides_nothing() -> None:
    redactor = knowing("")
    assert redactor.redact("abc") == "abc"
    assert not redactor.knows("abc")


@pytest.mark.parametrize("secret", ["7", "ab", "x1z", " a "])
def test_a_very_short_secret_leaves_our_own_texts_readable(secret: str) -> None:
    short = secret.strip()
    redactor = knowing(secret)
    text = f"GET https://{short}pi.example/{short}?pin={short}&{short}{short}"
    assert redactor.redact(text) == f"GET https://{short}pi.example/***?pin=***&{short}{short}"
    assert redactor.redact(f"the pin {short} is wrong") == "the pin *** is wrong"


@pytest.mark.parametrize("text", ["7", "pin7", '{"pin": 7}', "17:07"])
def test_what_a_server_wrote_is_withheld_where_a_very_short_secret_may_stand(text: str) -> None:
    assert knowing("7").redact_foreign(text) == TOO_SHORT
    assert knowing("7").redact_foreign("all is well") == "all is well"
    assert knowing("secret").redact_foreign("a secret") == "a ***"


def test_a_very_short_secret_is_still_known_and_a_variable_of_the_shell() -> None:
    redactor = knowing("7")
    assert redactor.knows("pin7")
    assert redactor.shell("pin: 7") == "'pin: '\"$SECRET_0\""


def test_secrets_that_overlap_leave_nothing_of_each_other() -> None:
    assert knowing("abcdefgh", "fghijklm").redact("-abcdefghijklm-") == "-***-"


# ---------------------------------------------------------------- one memory for the agent


def test_what_one_run_learns_no_other_shows_and_none_takes_for_its_own() -> None:
    agent = KnownSecrets()
    knowing("a-token-of-one-check", agent=agent)
    other = knowing("another-secret", agent=agent)
    said = "echo: a-token-of-one-check"
    assert other.redact_foreign(said) == other.redact(said) == withheld(said)
    assert not other.knows(said), "a call that carries it would be refused without TLS"
    assert other.knows(f"x {b64('another-secret')}")


def test_short_secrets_and_cookies_are_the_runs_own() -> None:
    agent = KnownSecrets()
    one, other = knowing("admin", agent=agent), knowing(agent=agent)
    one.add_cookie("en-US-and-more")
    assert one.redact_foreign("admin") == PLACEHOLDER
    assert one.redact_foreign("lang: en-us-and-more").startswith("(withheld: ")
    assert other.redact_foreign("admin en-us-and-more") == "admin en-us-and-more"


def test_a_secret_is_forgotten_a_day_after_its_last_use_and_the_least_used_of_too_many() -> None:
    now = 0.0
    known = KnownSecrets(lambda: now)
    known.learn("first-secret")
    known.learn("kept-in-use-secret")
    now = 86_000.0
    known.learn("kept-in-use-secret")
    assert known.near("first-secret")
    now = 86_500.0
    known.learn("third-secret")
    assert not known.near("first-secret")
    assert known.near("kept-in-use-secret")
    for number in range(200):
        known.learn(f"{number * 2654435761 % 2**32:08x} " + "x" * 2000)
    assert known.near(f"{199 * 2654435761 % 2**32:08x}")
    assert not known.near(f"{1 * 2654435761 % 2**32:08x}")


def test_what_is_forgotten_leaves_nothing_behind() -> None:
    known = KnownSecrets()
    for secret in TOKENS.values():
        known.add(secret)
        known.add(secret + "more")
    for secret in TOKENS.values():
        known.discard(secret + "more")
        assert known.near(secret)
        known.discard(secret)
        assert not known.near(secret)
    assert len(known) == 0


def test_a_key_is_known_without_the_lines_that_all_keys_have() -> None:
    pem = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEF\n-----END PRIVATE KEY-----\n"
    redactor = knowing(pem)
    assert redactor.redact_foreign("MIIEvQIBADANBgkq").startswith("(withheld: ")
    assert redactor.redact_foreign("-----BEGIN PRIVATE KEY-----") == "-----BEGIN PRIVATE KEY-----"


def test_a_flood_of_secrets_withholds_everything_and_costs_little() -> None:
    tracemalloc.start()
    try:
        flooded, long = Redactor(), Redactor()
        for number in range(5000):
            flooded.add_cookie(f"cookie-{number}-{number * 7919}")
        long.add("k9Xw2mQz" * 62_500, "REFRESH_TOKEN")
        for redactor in (flooded, long):
            assert redactor.redact_foreign("anything") == TOO_MANY
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 8_000_000


def test_texts_of_ours_show_no_secret_beyond_the_bounds_either() -> None:
    long, late = "k9Xw2mQz7L" * 2000, "a-token-after-256-others"
    redactor = knowing(long, *(f"secret-number-{n}" for n in range(300)), late)
    for secret in (long, late):
        written = f"curl -H {redactor.shell('X-Key: ' + secret)} https://shop.example/"
        for shown in (redactor.redact(f"GET /?q={quote(secret)}"), redactor.whole(written)):
            assert secret not in shown
        assert redactor.knows(f"x {secret}"), "it must not leave without TLS"


def test_cookies_of_a_server_leave_room_for_the_secrets_of_the_run() -> None:
    agent = KnownSecrets()
    redactor, other = Redactor(agent), Redactor(agent)
    for number in range(50):
        assert redactor.redact_foreign("a page") == ("a page" if number < 4 else TOO_MANY)
        redactor.add_cookie(f"{number:02d}" + "x" * 4990)
    redactor.add("a-token-after-the-flood", "TOKEN")
    line = f"curl -H {redactor.shell('Authorization: Bearer a-token-after-the-flood')}"
    assert '"$TOKEN"' in line
    assert redactor.whole(line) == redactor.redact("a-token-after-the-flood") == TOO_MANY
    assert redactor.knows("a-token-after-the-flood")
    assert other.redact_foreign("a-token-after-the-flood").startswith("(withheld: ")


def test_what_the_agent_forgot_among_many_others_its_own_run_still_hides() -> None:
    agent = KnownSecrets()
    redactor = knowing("a-token-of-one-check", agent=agent)
    for number in range(200):
        agent.learn(f"{number * 2654435761 % 2**32:08x} " + "x" * 2000)
    assert not agent.near("a-token-of-one-check")
    assert redactor.redact("Bearer a-token-of-one-check") == f"Bearer {PLACEHOLDER}"
    assert redactor.redact_foreign("a-token-of-one-check").startswith("(withheld: ")


def test_of_a_long_secret_every_excerpt_of_some_length_is_recognised() -> None:
    secret = "".join(f"{number * 2654435761 % 2**32:08x}" for number in range(2000))
    known = KnownSecrets()
    known.learn(secret)
    for start in range(0, len(secret) - 400, 97):
        assert known.near(secret[start : start + 400]), start
    assert len(known) <= LONGEST


def test_a_text_made_to_be_read_in_many_ways_is_withheld() -> None:
    """Each way to read it gives another text, which can be read in as many ways."""
    text = "".join(
        f"%25{n % 75 + 20}&amp;#x{n + 32:x};\\\\u00{n % 75 + 20}=3D{n % 75 + 20}"
        for n in range(300)
    )
    assert knowing("k9Xw2mQz7LpR4vTn").redact_foreign(text) in {text, withheld(text)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(folding, "_WORK", 2)
        patch.setattr(folding, "_LEAST_WORK", 1)
        assert knowing("k9Xw2mQz7LpR4vTn").redact_foreign(text) == withheld(text)


def test_reading_a_text_costs_no_more_than_so_many_times_its_length() -> None:
    for text in (b64(b64(b64("x" * 9000))), "%25%25&amp;\\\\=3D3D, 1, 2, 3" * 500, "0" * 8192):
        assert sum(map(len, folding.readings(text))) <= 65 * len(text)


def test_a_text_of_few_letters_is_judged_as_by_comparing_every_run() -> None:
    """Words of the secret stand inside each other, and are more than are sought one by one."""
    chance = random.Random(7)
    for letters in ("ab", "abcd", "abcdefghij"):
        windows = Windows()
        secret = "".join(chance.choices(letters, k=40))
        windows.add(secret)
        runs = {secret[at : at + RUN] for at in range(len(secret) - RUN + 1)}
        shown = 0
        for _ in range(300):
            text = "".join(chance.choices(letters, k=chance.randrange(60)))
            if chance.random() < 0.3:
                text += secret[: chance.randrange(RUN + 2)] + chance.choice(letters)
            there = any(text[at : at + RUN] in runs for at in range(len(text)))
            assert windows.stands(text) is there, (secret, text)
            shown += there
        assert 0 < shown < 300
