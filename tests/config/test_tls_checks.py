"""TLS checks: what profiles, expectations, trust and confirmation may be, and what comes out."""

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest

from probe.config.shape.tls import ConfirmShape, ConsensusShape
from probe.lab.transparency import log_list
from probe.model.secret import SecretRef
from probe.model.spec import Spec, TlsCheck
from probe.model.state import Confirmation, ConsensusRule
from probe.model.tls import ChainExpectations, ClientCertificate, ClientProfile, DaysLeft, Trust

Problems = Callable[..., list[str]]
Loader = Callable[..., Spec]

TEXT = "checks:\n- name: a\n  kind: tls\n  targets: [shop.example]\n  {}\n"
SECRET = (
    "secrets are not allowed in this file; use a reference: file:/path, env:NAME or credential:name"
)
LIFE = "write days, such as 14, a share of the lifetime, such as 30%, or [14d, 30%]"
MOMENT = "write a date such as 2024-05-31, or a time such as 2024-05-31T12:00:00Z"


@pytest.mark.parametrize(
    ("fragment", "expected"),
    [
        ("profiles: [tls14]", ['5:14: unknown value "tls14"; did you mean "tls13"?']),
        (
            "profiles: [tls13, tls13]",
            ['5:21: duplicate profile "tls13"; give one of them another name:'],
        ),
        (
            "profiles: [{kind: tls12-rsa, min_version: TLSv1.3}]",
            [
                "5:45: the profile tls12-rsa speaks TLS 1.2 only; "
                "leave min_version out, or write kind: tls13"
            ],
        ),
        (
            "profiles: [{kind: tls13, ciphers: ECDHE}]",
            [
                "5:28: ciphers are chosen for TLS 1.2 only, and the profile tls13 does not "
                "speak it; leave them out"
            ],
        ),
        (
            "profiles: [{min_version: 1.2}]",
            ['5:28: unknown value "1.2"; write one of: TLSv1.2, TLSv1.3'],
        ),
        (
            "profiles: [{groups: [X25519, -X25519]}]",
            ['5:32: unknown value "-X25519"; did you mean "X25519"?'],
        ),
        (
            "profiles: [{groups: X25519:P-256}]",
            ['5:23: unknown value "X25519:P-256"; did you mean "X25519"?'],
        ),
        ("profiles: [chrom]", ['5:14: unknown value "chrom"; did you mean "chrome"?']),
        (
            "profiles: [chrome, curl]\n  expect: {ocsp: require}",
            [
                '6:18: the profile "curl" requests no stapled OCSP response, as curl does not, '
                "so none can be required; write a separate check for it"
            ],
        ),
        (
            "profiles: [{resumption: across_edge}]",
            ['5:27: unknown value "across_edge"; did you mean "across_edges"?'],
        ),
        ("profiles: [{groups: []}]", ["5:23: write at least 1 entry"]),
        (
            "profiles: [{client_certificate: {certificate: client.pem}}]",
            ['5:35: "key" is missing; write for example key: file:client.key', f"5:49: {SECRET}"],
        ),
        (
            "expect: {fingerprints: aa}",
            ["5:26: a SHA-256 fingerprint must have 64 digits; found 2"],
        ),
        (
            "expect: {spki: [zz]}",
            ["5:19: a SHA-256 fingerprint must have only hexadecimal digits and colons"],
        ),
        ("expect: {fingerprints: []}", ["5:26: write at least 1 entry"]),
        ("expect: {issuers: ['']}", ["5:22: must not be empty"]),
        ("expect: {not_before: yesterday}", [f"5:24: {MOMENT}"]),
        (
            "expect: {not_before: 20240531}",
            ["5:24: this must be text; write for example 2024-05-31"],
        ),
        (
            "expect: {not_before: 2024-05-01T10:00:00}",
            ["5:24: the time has no time zone; write 2024-05-01T10:00:00Z for UTC"],
        ),
        ("expect: {days_left: -1}", [f"5:23: {LIFE}"]),
        ("expect: {days_left: [14d, 21d]}", [f"5:23: {LIFE}"]),
        ("expect: {days_left: [14d, 30%, 1d]}", [f"5:23: {LIFE}"]),
        ("expect: {days_left: []}", [f"5:23: {LIFE}"]),
        ("expect: {days_left: {days: 14}}", [f"5:23: {LIFE}"]),
        ("expect: {days_left: true}", [f"5:23: {LIFE}"]),
        ("expect: {days_left: 130%}", [f"5:23: {LIFE}"]),
        ("expect: {days_left: 2w}", [f"5:23: {LIFE}"]),
        (
            "expect: {ocsp: always}",
            ['5:18: unknown value "always"; write one of: ignore, if_must_staple, require'],
        ),
        (
            "expect: {ct: always}",
            ['5:16: unknown value "always"; write one of: ignore, warn, require'],
        ),
        (
            "expect: {ct: ignore, ct_log_list: logs.json}",
            ["5:37: ct: ignore does not use a log list; remove ct_log_list or ct: ignore"],
        ),
        (
            "expect: {alpn: h3}",
            [
                '5:18: the profile "default" does not offer "h3", so no server can choose it; '
                "write one of: h2, http/1.1"
            ],
        ),
        (
            "expect: {alpn: h2}\n  profiles: [tls13, {name: old, alpn: [http/1.1]}]",
            [
                '5:18: the profile "old" does not offer "h2", so no server can choose it; '
                "write one of: http/1.1"
            ],
        ),
        ("trust: mozila", ['5:10: unknown value "mozila"; did you mean "mozilla"?']),
        (
            "trust: ca.pem",
            ['5:10: unknown value "ca.pem"; write mozilla, system or {file: ca.pem}'],
        ),
        (
            "trust: {file: roots.pem}",
            ["5:17: there is no file roots.pem; paths are relative to the configuration file"],
        ),
        (
            "trust: {file: ca.pem, roots: system}",
            ["5:25: file and roots cannot be used together; write one of them"],
        ),
        ("confirm: {attempts: 21}", ["5:23: must be at most 20"]),
        ("records: [https]", ['5:13: unknown value "https"; did you mean "HTTPS"?']),
        ("records: TLSA", ['5:12: unknown value "TLSA"; write one of: HTTPS, CAA']),
        (
            "records: HTTPS\n  starttls: smtp",
            ["5:12: HTTPS records do not apply to smtp; remove HTTPS"],
        ),
        (
            "records: HTTPS\n  caa_issuers: {Example Trust: ca.example}",
            ["6:16: CAA records are not looked up; write records: [CAA], or remove this key"],
        ),
        (
            "records: CAA\n  caa_issuers: {Example Trust: 'https://ca.example'}",
            ["6:32: write ca.example, not https://ca.example"],
        ),
        ("confirm: {spacing: 2m}", ["5:22: must be between 0 and 1m; found 2m"]),
        ("confirm: {flapping_score: 0}", ["5:29: must be at least 1"]),
        ("sni: 'shop.example:443'", ["5:8: a port is not allowed here; write shop.example"]),
        (
            "labels: {a-b: c}",
            ['5:12: "a-b" is not a valid label name; use letters, digits and underscores'],
        ),
        ("labels: {__x: c}", ['5:12: "__x": names that start with __ are reserved for Prometheus']),
    ],
)
def test_what_is_wrong_with_a_check(problems: Problems, fragment: str, expected: list[str]) -> None:
    assert problems(TEXT.format(fragment)) == [f"probe.yaml:{line}" for line in expected]


def test_a_wrong_profile_brings_no_problem_about_alpn_with_it(problems: Problems) -> None:
    assert problems(TEXT.format("profiles: [tls14]\n  expect: {alpn: h3}")) == [
        'probe.yaml:5:14: unknown value "tls14"; did you mean "tls13"?'
    ]


def test_a_check_that_says_nothing_is_what_the_model_says(loaded: Loader) -> None:
    spec = loaded(TEXT.format(""))
    assert spec.checks == (TlsCheck(name="a", targets="inline:a", providers=("live",)),)


def test_a_check_comes_out_whole(loaded: Loader, tmp_path: Path) -> None:
    text = """\
targets: {stores: [shop.example]}
providers: {cdn: {hostname: cdn.example}}
checks:
- name: a
  kind: tls
  targets: stores
  providers: cdn
  interval: 1m
  timeout: 5s
  port: 8443
  sni: Other.Example.
  starttls: smtp
  profiles:
  - tls12-ecdsa
  - name: own
    kind: tls12-rsa
    alpn: []
    min_version: TLSv1.2
    ciphers: ECDHE+AESGCM
    groups: [X25519, P-256]
    client_certificate: {certificate: file:client.pem, key: credential:client-key}
  - {min_version: TLSv1.3, alpn: [h2]}
  expect:
    days_left: 21d
    issuers: "Let's Encrypt"
    fingerprints: FINGERPRINT
    spki: [KEY]
    not_before: 2024-05-31
    ocsp: require
    ct: require
    ct_log_list: logs.json
  trust: {file: roots.pem}
  confirm:
    attempts: 0
    spacing: 250ms
    sample_interval: 2s
    sample_for: 1h
    sample_budget: 1.5
    flapping_score: 3
    forgive_after: 4
    clear_after: 5
  consensus: {grace: 0, across_providers: true, across_regions: false}
  edge_series: failing
  labels: {team: edge, tier: 1}
"""
    text = text.replace("FINGERPRINT", ":".join(["AA"] * 32)).replace("KEY", "bb" * 32)
    files = {"roots.pem": "-----BEGIN CERTIFICATE-----", "logs.json": log_list()}
    (check,) = loaded(text, files).checks
    assert check == TlsCheck(
        name="a",
        targets="stores",
        providers=("cdn",),
        interval=60.0,
        timeout=5.0,
        port=8443,
        sni="other.example",
        starttls="smtp",
        profiles=(
            ClientProfile("tls12-ecdsa", "tls12-ecdsa"),
            ClientProfile(
                "own",
                "tls12-rsa",
                alpn=(),
                min_version="TLSv1.2",
                ciphers="ECDHE+AESGCM",
                groups=("X25519", "P-256"),
                client_certificate=ClientCertificate(
                    SecretRef("file", str(tmp_path / "client.pem")),
                    SecretRef("credential", "client-key"),
                ),
            ),
            ClientProfile("default", "default", alpn=("h2",), min_version="TLSv1.3"),
        ),
        expect=ChainExpectations(
            days_left=DaysLeft(21.0, None),
            issuers=("Let's Encrypt",),
            fingerprints=("aa" * 32,),
            spki=("bb" * 32,),
            not_before=1717113600.0,
            ocsp="require",
            ct="require",
            ct_log_list=str(tmp_path / "logs.json"),
        ),
        trust=Trust("file", str(tmp_path / "roots.pem")),
        confirm=Confirmation(0, 0.25, 2.0, 3600.0, 1.5, 3.0, 4, 5),
        consensus=ConsensusRule(0.0, across_providers=True, across_regions=False),
        edge_series="failing",
        labels={"team": "edge", "tier": "1"},
    )


def test_defaults_hold_where_a_check_says_nothing(loaded: Loader) -> None:
    text = """\
defaults:
  interval: 15s
  timeout: 3s
  profiles: [tls13]
  trust: system
  confirm: {attempts: 2, spacing: 2s}
  consensus: {grace: 1h}
  edge_series: none
checks:
- {name: a, kind: tls, targets: [a.example]}
- {name: b, kind: tls, targets: [b.example], interval: 1m, timeout: 9s, profiles: [default],
   trust: mozilla, confirm: {spacing: 5s}, consensus: {across_providers: true}, edge_series: all}
"""
    a, b = loaded(text).checks
    assert a == TlsCheck(
        name="a",
        targets="inline:a",
        providers=("live",),
        interval=15.0,
        timeout=3.0,
        profiles=(ClientProfile("tls13", "tls13"),),
        trust=Trust("system"),
        confirm=Confirmation(attempts=2, spacing=2.0),
        consensus=ConsensusRule(grace=3600.0),
        edge_series="none",
    )
    assert b == TlsCheck(
        name="b",
        targets="inline:b",
        providers=("live",),
        interval=60.0,
        timeout=9.0,
        confirm=Confirmation(attempts=2, spacing=5.0),
        consensus=ConsensusRule(grace=3600.0, across_providers=True),
    )


def test_what_is_wrong_with_defaults_is_said_once_and_there(problems: Problems) -> None:
    text = """\
defaults: {profiles: [tls13, tls13], trust: {file: none.pem}}
checks:
- {name: a, kind: tls, targets: [a.example]}
- {name: b, kind: tls, targets: [b.example]}
"""
    assert problems(text) == [
        'probe.yaml:1:30: duplicate profile "tls13"; give one of them another name:',
        "probe.yaml:1:52: there is no file none.pem; paths are relative to the configuration file",
    ]


@pytest.mark.parametrize(
    ("shape", "model"), [(ConfirmShape, Confirmation), (ConsensusShape, ConsensusRule)]
)
def test_what_is_passed_on_by_name_has_the_model_s_names(
    shape: type[ConfirmShape] | type[ConsensusShape],
    model: type[Confirmation] | type[ConsensusRule],
) -> None:
    assert set(shape.model_fields) == {field.name for field in fields(model)}


def test_a_named_client_offers_the_protocols_that_it_offers(loaded: Loader) -> None:
    spec = loaded(TEXT.format("profiles: [chrome, openssl, {kind: openssl, name: h2, alpn: [h2]}]"))
    check = spec.checks[0]
    assert isinstance(check, TlsCheck)
    offered = {profile.name: profile.alpn for profile in check.profiles}
    assert offered == {"chrome": ("h2", "http/1.1"), "openssl": (), "h2": ("h2",)}
