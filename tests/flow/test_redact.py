"""Secrets stay out of texts, in whatever form they stand there."""

from __future__ import annotations

import base64
import html
import json
import shlex
import subprocess
from urllib.parse import quote, quote_plus

from hypothesis import given
from hypothesis import strategies as st

from probe.flow.redact import PLACEHOLDER, Redactor, shell_name

SECRET = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=8, max_size=40)
SECRETS = SECRET.filter(lambda text: len(text.strip()) >= 8 and "*" not in text)
AROUND = st.text(st.characters(codec="ascii"), max_size=20)


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
