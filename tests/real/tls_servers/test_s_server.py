"""OpenSSL's own test server, for what web servers cannot be talked into."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from probe.lab import chains, ocsp
from probe.lab.ca import Credential, Pki
from probe.model.tls import ClientProfile, ProfileName
from tests.support.ports import free_ports
from tests.support.programs import program, running

from .conftest import NAME, Probe, Shelf, said

pytestmark = pytest.mark.real


@contextmanager
def s_server(shelf: Shelf, stem: str, *options: str) -> Iterator[int]:
    """One server; it takes one connection after the other, until the block ends."""
    port = free_ports(1)[0]
    command = [
        program("openssl"), "s_server", "-accept", f"127.0.0.1:{port}", "-quiet",
        "-cert", shelf.folder / f"{stem}.crt", "-key", shelf.folder / f"{stem}.key",
        "-cert_chain", shelf.folder / f"{stem}.crt", *options,
    ]  # fmt: skip
    with running(command, shelf.folder / f"s_server-{port}.log", ports=[port]):
        yield port


@pytest.fixture(scope="module", autouse=True)
def credentials(shelf: Shelf, pki: Pki) -> None:
    good = pki.credential(NAME)
    staple = ocsp.answer(good.chain[0], pki.issuer, pki.now)
    shelf.put("good", Credential(good.chain, good.key, staple))
    shelf.put("rsa", pki.credential(NAME, "rsa"))
    shelf.put("other", pki.credential("other.example"))
    shelf.put("wrong_key", chains.wrong_key(pki, NAME))


@pytest.mark.parametrize(
    ("stem", "options", "kind", "verdict"),
    [
        ("good", (), "default", "passed"),
        ("good", ("-tls1_3",), "tls13", "passed"),
        ("good", ("-tls1_3",), "tls12-ecdsa", "tls/alert_protocol_version"),
        ("good", ("-tls1_2",), "tls13", "tls/alert_protocol_version"),
        ("good", ("-tls1", "-cipher", "ALL:@SECLEVEL=0"), "default", "tls/alert_protocol_version"),
        ("rsa", ("-tls1_2", "-cipher", "AES256-SHA256"), "default", "tls/alert_handshake_failure"),
        ("rsa", ("-tls1_2", "-cipher", "AES128-GCM-SHA256"), "tls12-rsa", "passed"),
        ("good", ("-groups", "P-384"), "tls13", "passed"),  # by way of a HelloRetryRequest
        ("wrong_key", (), "tls13", "tls/bad_signature"),
        ("wrong_key", (), "tls12-ecdsa", "tls/bad_signature"),
        ("good", ("-Verify", "1"), "tls13", "tls/alert_certificate_required"),
        ("good", ("-alpn", "h2"), "default", "passed"),
        # Before TLS 1.3 a server may warn of an unknown name and go on (RFC 6066, section 3).
        ("good", ("-servername", "elsewhere.example"), "tls12-ecdsa", "passed"),
        (
            "good",
            ("-servername", "elsewhere.example", "-servername_fatal"),
            "default",
            "tls/alert_unrecognized_name",
        ),
    ],
)  # fmt: skip
async def test_verdict(
    stem: str,
    options: tuple[str, ...],
    kind: ProfileName,
    verdict: str,
    shelf: Shelf,
    probe: Probe,
) -> None:
    if "-servername" in options:
        second = ("-cert2", f"{shelf.folder}/other.crt", "-key2", f"{shelf.folder}/other.key")
        options = (*options, *second)
    with s_server(shelf, stem, *options) as port:
        result = await probe(port, profile=ClientProfile(name=kind, kind=kind))
    assert said(result) == verdict, result


@pytest.mark.parametrize("kind", ["tls13", "tls12-ecdsa"])
async def test_stapled_answer(kind: ProfileName, shelf: Shelf, probe: Probe) -> None:
    with s_server(shelf, "good", "-status_file", f"{shelf.folder}/good.ocsp") as port:
        result = await probe(port, profile=ClientProfile(kind=kind))
    assert result.handshake is not None
    assert result.handshake.ocsp == "good"
