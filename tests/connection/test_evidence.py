"""Evidence for people: the browser's error, and a command that pastes."""

from __future__ import annotations

import shlex

import pytest

from probe.model.failure import Failure, Phase, Reason
from probe.model.secret import SecretRef
from probe.model.target import Edge
from probe.model.tls import ClientCertificate, ClientProfile
from probe.probers.reproduce import s_client
from probe.probers.tls import browser_error as shown

EDGE = Edge("192.0.2.1", 8443)


@pytest.mark.parametrize("reason", [one for one in Reason if one.value.startswith("alert_")])
def test_every_alert_shows_the_user_something(reason: Reason) -> None:
    assert shown(Failure(Phase.TLS, reason)).startswith("ERR_")


def test_a_missing_intermediate_that_browsers_can_fetch_shows_nothing() -> None:
    failure = Failure(Phase.CERTIFICATE, Reason.MISSING_INTERMEDIATE)
    assert shown(failure) == "ERR_CERT_AUTHORITY_INVALID"
    assert shown(failure, issuer_url=True) == ""


@pytest.mark.parametrize(
    "failure",
    [
        Failure(Phase.CERTIFICATE, Reason.UNEXPECTED_ISSUER),
        Failure(Phase.CERTIFICATE, Reason.OLDER_THAN_EXPECTED),
        Failure(Phase.TLS, Reason.ALPN_MISMATCH),
        Failure(Phase.STARTTLS, Reason.STARTTLS_REFUSED),
        Failure(Phase.CONNECT, Reason.NO_ROUTE),
    ],
)
def test_what_browsers_do_not_mind_or_never_see_shows_nothing(failure: Failure) -> None:
    assert shown(failure) == ""


@pytest.mark.parametrize(
    ("profile", "words"),
    [
        (ClientProfile(), "-alpn h2,http/1.1"),
        (ClientProfile(), "-sigalgs ecdsa_secp256r1_sha256:rsa_pss_rsae_sha256:"),
        (ClientProfile(kind="tls13", alpn=()), "-tls1_3"),
        (ClientProfile(min_version="TLSv1.3"), "-tls1_3"),
        (ClientProfile(kind="tls12-ecdsa"), "-tls1_2 -cipher ECDHE-ECDSA-AES128-GCM-SHA256:"),
        (ClientProfile(kind="tls12-rsa"), "-tls1_2 -cipher ECDHE-RSA-AES128-GCM-SHA256:"),
        (ClientProfile(ciphers="AES128-SHA"), "-cipher AES128-SHA"),
        (ClientProfile(groups=("X25519", "P-256")), "-groups X25519:P-256"),
    ],
)
def test_the_command_offers_what_the_profile_offers(profile: ClientProfile, words: str) -> None:
    assert words in s_client(EDGE, "www.example", profile)


def test_signature_algorithms_are_named_where_the_handshake_failed() -> None:
    for phase, reason, matter in (
        (Phase.TLS, Reason.ALERT_HANDSHAKE_FAILURE, True),
        (Phase.TLS, Reason.RESET, True),
        (Phase.TLS, Reason.ALERT_UNRECOGNIZED_NAME, False),
        (Phase.CERTIFICATE, Reason.EXPIRED, False),
    ):
        failure = Failure(phase, reason)
        command = s_client(EDGE, "www.example", ClientProfile(), failure=failure)
        assert ("-sigalgs" in command) == matter, failure
    assert "-sigalgs" not in s_client(EDGE, "www.example", ClientProfile("tls13", "tls13"))


def test_the_command_goes_to_the_edge_whatever_dns_says() -> None:
    command = s_client(Edge("2001:db8::1", 443), "www.example", ClientProfile(), "smtp")
    words = shlex.split(command.removesuffix(" </dev/null"))
    assert words[:6] == [
        "openssl", "s_client", "-connect", "[2001:db8::1]:443", "-servername", "www.example",
    ]  # fmt: skip
    assert words[6:8] == ["-starttls", "smtp"]


def test_an_address_gets_no_server_name() -> None:
    assert " -noservername " in s_client(EDGE, "192.0.2.1", ClientProfile())


def test_hostile_names_stay_words() -> None:
    command = s_client(EDGE, "$(reboot);'x", ClientProfile(ciphers="A; rm -rf /"))
    words = shlex.split(command.removesuffix(" </dev/null"))
    assert words[words.index("-servername") + 1] == "$(reboot);'x"
    assert words[words.index("-cipher") + 1] == "A; rm -rf /"


def test_client_certificates_stand_as_placeholders() -> None:
    reference = ClientCertificate(SecretRef("file", "/run/cert"), SecretRef("env", "KEY"))
    command = s_client(EDGE, "www.example", ClientProfile(client_certificate=reference))
    assert '-cert "$CLIENT_CERTIFICATE" -key "$CLIENT_KEY"' in command
    assert "/run/cert" not in command
