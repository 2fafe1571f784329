"""The web configuration file: what the exporter toolkit takes, and each mistake in its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from probe.documents.problem import DocumentError
from probe.lab.ca import Pki
from probe.serve.http.web_config import WebConfig, read_web_config
from tests.support.tls_server import write_pem

HASH = "$2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG"
PAIR = "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, pki: Pki) -> Path:
    folder = tmp_path_factory.mktemp("web")
    write_pem(folder, pki.credential("localhost"))
    write_pem(folder, pki.credential("localhost", "rsa"), "rsa")
    (folder / "ca.pem").write_bytes(pki.roots_pem())
    return folder


def read(folder: Path, text: str) -> WebConfig:
    path = folder / "web.yml"
    path.write_text(text)
    return read_web_config(path)


def test_everything_that_the_toolkit_has_can_be_written(folder: Path) -> None:
    config = read(
        folder,
        PAIR
        + f"""\
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ca.pem
  client_allowed_sans: [prometheus.example.com]
  min_version: TLS12
  max_version: TLS13
  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_AES_128_GCM_SHA256]
  prefer_server_cipher_suites: false
  curve_preferences: [X25519, CurveP256]
http_server_config:
  http2: false
  headers:
    X-Frame-Options: deny
    Strict-Transport-Security: max-age=60
    X-XSS-Protection:
basic_auth_users:
  prometheus: {HASH}
rate_limit: {{interval: 100ms, burst: 20}}
""",
    )
    assert config.summary() == "TLS, client certificates, 1 user"
    assert config.tls is not None
    assert config.tls.required
    assert config.headers == {"X-Frame-Options": "deny", "Strict-Transport-Security": "max-age=60"}
    assert (config.interval, config.burst) == (0.1, 20)
    assert {path.name for path in config.stamps} == {
        "web.yml",
        "server.pem",
        "server.key",
        "ca.pem",
    }


@pytest.mark.parametrize(
    "text", ["", "# nothing\n", "{}", "tls_server_config: {}\n", "rate_limit:"]
)
def test_an_empty_file_asks_for_nothing(folder: Path, text: str) -> None:
    assert read(folder, text).summary() == "no TLS and no login"


def test_certificate_and_key_can_stand_in_the_file(folder: Path) -> None:
    inline = "".join(
        f"  {name}: |\n"
        + "".join(f"    {line}\n" for line in (folder / file).read_text().split("\n"))
        for name, file in (("cert", "server.pem"), ("key", "server.key"))
    )
    assert read(folder, "tls_server_config:\n" + inline).tls is not None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("tls_config: {}", '1:1: unknown key "tls_config"; did you mean "tls_server_config"?'),
        ("- a", "1:1: expected a mapping of key: value, found a list"),
        ("basic_auth_users: {a: secret}", "1:23: not a bcrypt hash"),
        (f'basic_auth_users: {{"a:b": "{HASH}"}}', "1:27: a user's name"),
        (f'basic_auth_users: {{a: "{HASH.replace("10", "31")}"}}', "1:23: its cost must be"),
        ("rate_limit: {interval: 1s}", "1:13: write burst: 1 or more"),
        ("rate_limit: {interval: fast, burst: 1}", "1:24: "),
        ("rate_limit: {burst: -1}", "1:21: expected a whole number"),
        ("http_server_config: {headers: {X-Other: a}}", '1:32: unknown key "X-Other"'),
        ("http_server_config: {headers: {X-Frame-Options: no}}", '1:49: unknown value "no"'),
        (r'http_server_config: {headers: {X-XSS-Protection: "a\r\nb"}}', "1:50: a header has"),
        ("http_server_config: {http2: maybe}", "1:29: expected true or false"),
        ("tls_server_config: {cert_file: server.pem}", "1:20: write key_file:"),
        ("tls_server_config: {cert_file: x.pem, key_file: server.key}", "x.pem: there is no such"),
        ("tls_server_config: {cert_file: server.key, key_file: server.key}", "1:32: "),
        ("tls_server_config: {cert_file: server.pem, key_file: rsa.key}", "1:54: certificate and"),
        ('tls_server_config: {cert_file: "a\\0", key_file: server.key}', "1:32: not a valid path"),
        (PAIR + "  client_auth_type: Maybe", '4:21: unknown value "Maybe"; write one of: NoCl'),
        (
            PAIR + "  client_auth_type: RequireAndVerifyClientCert",
            "4:3: RequireAndVerifyClientCert",
        ),
        (PAIR + "  client_ca_file: ca.pem", "4:3: no client is asked for a certificate"),
        (PAIR + "  client_allowed_sans: [a]", "4:3: client_allowed_sans needs"),
        (
            PAIR + "  client_auth_type: RequireAnyClientCert\n  client_allowed_sans: [a]",
            "5:3: client_allowed_sans needs names, and client_auth_type: RequireAndVerify",
        ),
        ("basic_auth_users: {a: }", "1:20: a: has no value; write one, or leave the key out"),
        ("tls_server_config: {cert_file: , key_file: }", "1:21: cert_file: has no value"),
        (PAIR + "  client_allowed_sans:", "4:3: client_allowed_sans: has no value"),
        (PAIR + "  min_version: TLS14", '4:16: unknown version "TLS14"; did you mean "TLS13"?'),
        (PAIR + "  min_version: TLS13\n  max_version: TLS12", "4:3: min_version TLS13 is above"),
        (PAIR + "  cipher_suites: [RC4]", '4:19: unknown name "RC4"'),
        (PAIR + "  curve_preferences: [P256]", '4:23: unknown name "P256"; write one of'),
        (PAIR + "  cert: x", "cert and cert_file cannot be used together"),
        ("a: [", "1:"),
    ],
)
def test_each_mistake_is_said_with_its_place(folder: Path, text: str, problem: str) -> None:
    with pytest.raises(DocumentError) as refused:
        read(folder, text)
    said = str(refused.value)
    assert problem in said
    assert str(folder / "web.yml") in said
    assert "PRIVATE" not in said
    assert "secret" not in said
