"""Secrets stay out of texts, in whatever form they stand there."""

from __future__ import annotations

import base64
import html
import json
import re
import shlex
import subprocess
import tracemalloc
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.flow.redact import PLACEHOLDER, TOO_SHORT, Redactor, shell_name

SECRET = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=8, max_size=40)
SECRETS = SECRET.filter(lambda text: len(text.strip()) >= 8 and "*" not in text)
AROUND = st.text(st.characters(codec="ascii"), max_size=20)


PIECES = st.sampled_from([*"aZ9 +/=%&<'\"\\\u00e9\U0001f600", "aaaa", "tok-", "%2F", "\ud800"])
ODD = (
    st.lists(PIECES, min_size=4, max_size=30)
    .map("".join)
    .filter(lambda text: len(text.strip()) > 3)
)
"""Secrets full of what the disguises change, of letters that repeat, and of half characters."""


def disguises(secret: str) -> set[str]:
    """Every form of a secret, written down a second time as plainly as can be."""
    found: set[str] = set()
    for text in {secret, secret.strip()}:
        raw = text.encode("utf-8", "surrogatepass")
        percent = quote(raw, safe="")
        found |= {text, percent, quote(raw), quote_plus(raw), percent.replace("%2F", "%2f")}
        found.add(re.sub("%[0-9A-F]{2}", lambda match: match.group().lower(), percent))
        for ascii_only in (True, False):
            found.add(json.dumps(text, ensure_ascii=ascii_only)[1:-1])
        found |= {json.dumps(text)[1:-1].replace("/", "\\/"), html.escape(text)}
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            found |= {encode(raw).decode(), encode(raw).decode().rstrip("=")}
            for before in (b"", b"a", b"ab"):
                whole = encode(before + raw).decode().rstrip("=")
                inner = whole[-(-len(before) * 4 // 3) : (len(before) + len(raw)) * 8 // 6]
                found |= {inner} if len(inner) > 7 else set()
    return found


def knowing(*secrets: str) -> Redactor:
    redactor = Redactor()
    for number, secret in enumerate(secrets):
        redactor.add(secret, f"SECRET_{number}")
    return redactor


@given(SECRETS, AROUND, AROUND)
def test_no_form_of_a_secret_survives(secret: str, before: str, after: str) -> None:
    redactor = knowing(secret)
    raw = secret.encode()
    forms = [
        secret,
        quote(secret),
        quote(secret, safe=""),
        quote_plus(secret),
        json.dumps(secret),
        json.dumps(secret, ensure_ascii=False),
        html.escape(secret),
        base64.b64encode(raw).decode(),
        base64.urlsafe_b64encode(raw).decode().rstrip("="),
    ]
    for form in forms:
        clean = redactor.redact(f"{before}{form}{after}")
        assert PLACEHOLDER in clean
        assert secret not in clean


@given(SECRETS, st.binary(max_size=10), st.binary(max_size=10))
def test_base64_of_a_text_that_holds_a_secret_does_not_survive(
    secret: str, before: bytes, after: bytes
) -> None:
    """As in Basic credentials: most of the secret's share of the base64 is gone."""
    text = base64.b64encode(before + secret.encode() + after).decode()
    redactor = knowing(secret)
    clean = redactor.redact(text)
    assert PLACEHOLDER in clean
    assert len(clean.replace(PLACEHOLDER, "")) <= len(text) - len(secret.encode()) * 8 // 6 + 6


@given(SECRETS, AROUND)
def test_a_text_cut_off_in_a_secret_loses_the_tail(secret: str, before: str) -> None:
    for length in range(5, len(secret)):
        clean = knowing(secret).redact(before + secret[:length])
        assert not clean.endswith(secret[:length])


@given(st.lists(ODD, min_size=1, max_size=3), st.data())
def test_no_disguise_of_several_secrets_survives_between_other_texts(
    secrets: list[str], data: st.DataObject
) -> None:
    every = sorted({form for secret in secrets for form in disguises(secret)})
    text = "".join(data.draw(st.lists(st.sampled_from(every) | AROUND, max_size=5)))
    redactor = knowing(*secrets)
    held = [form for form in every if form in text]
    assert redactor.knows(text) is bool(held)
    clean = redactor.redact(text)
    assert (PLACEHOLDER in clean) or not held or PLACEHOLDER in text
    assert not any(form in piece for piece in clean.split(PLACEHOLDER) for form in every)
    assert not any(form in redactor.shell(text) for form in every if form not in "$'\"_SECRET012")


@given(ODD, AROUND)
def test_a_disguise_that_is_cut_off_loses_its_tail(secret: str, before: str) -> None:
    for form in sorted(disguises(secret)):
        for length in range(5, len(form)):
            clean = knowing(secret).redact(before + form[:length])
            assert PLACEHOLDER in clean
            assert not clean.endswith(form[:length])


@given(AROUND)
def test_a_text_without_secrets_is_left_alone(text: str) -> None:
    assert Redactor().redact(text) == text
    assert knowing("\u1234" * 9).redact(text) == text


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


ECHOES = {
    "Go's JSON": r"p\u003cs\u0026w\"o'd/\u00e9(1)",
    "Rails' JSON": r"p\u003cs\u0026w\"o'd/é(1)",
    "Jinja's JSON": r"p\u003cs\u0026w\"o\u0027d/\u00e9(1)",
    "JSON with large digits": r"p<s&w\"o'd/\u00E9(1)",
    "PHP's JSON": r"p<s&w\"o'd\/\u00e9(1)",
    "Go's HTML": "p&lt;s&amp;w&#34;o&#39;d/é(1)",
    "Django's HTML": "p&lt;s&amp;w&quot;o&#39;d/é(1)",
    "PHP's HTML": "p&lt;s&amp;w&quot;o&#039;d/é(1)",
    "Python's HTML": "p&lt;s&amp;w&quot;o&#x27;d/é(1)",
    "XML": "p&lt;s&amp;w&quot;o&apos;d/é(1)",
    "text in HTML": "p&lt;s&amp;w\"o'd/é(1)",
    "encodeURIComponent": "p%3Cs%26w%22o'd%2F%C3%A9(1)",
}


@pytest.mark.parametrize("echo", ECHOES.values(), ids=ECHOES)
def test_a_secret_is_found_as_other_languages_write_it(echo: str) -> None:
    redactor = knowing("p<s&w\"o'd/é(1)")
    assert redactor.redact_foreign(f"said: {echo}, no more") == f"said: {PLACEHOLDER}, no more"
    assert redactor.redact_foreign(f"said: {echo[:-2]}") == f"said: {PLACEHOLDER}"


def test_the_forms_of_long_secrets_are_not_remembered() -> None:
    """A server chooses its cookies and tokens, others in every run."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for number in range(20):
            knowing(f"{number}{'<&é ' * 2000}").redact("said " * 3000)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 2_000_000


def test_a_secret_in_utf_16_is_found() -> None:
    """Some programs write it, and nothing says so."""
    for coding in ("utf-16-le", "utf-16-be"):
        said = "token: very-secret-token.".encode(coding).decode("utf-8", "replace")
        assert knowing("very-secret-token").redact_foreign(said) == f"token: {PLACEHOLDER}."
