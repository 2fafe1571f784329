"""The command of a failure works when it is pasted into a shell, and shows that failure."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping

import pytest
import trio

from probe.lab import chains
from probe.lab.ca import Pki
from probe.model.target import Edge
from probe.model.tls import ClientProfile, Starttls
from probe.probers.reproduce import s_client
from tests.support.ports import free_ports
from tests.support.programs import program, running

from .conftest import NAME, Probe, Shelf, said

pytestmark = pytest.mark.real


def paste(command: str) -> str:
    """Run it as a person would; everything it prints."""
    program("openssl")
    done = subprocess.run(
        ["sh", "-c", command],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=20,
        check=False,
        env={"PATH": os.environ["PATH"]},
    )
    return done.stdout + done.stderr


SITES = {
    "good": "ssl_certificate good.crt; ssl_certificate_key good.key;",
    "expired": "ssl_certificate expired.crt; ssl_certificate_key expired.key;",
    "reject": "ssl_reject_handshake on;",
    **{
        name: f"ssl_certificate {name}.crt; ssl_certificate_key {name}.key;"
        for name in ("wrong-name", "self-signed", "unknown-issuer", "missing-intermediate")
    },
}

_NUMBERS = {
    "expired": 10,
    "name_mismatch": 62,
    "self_signed": 18,
    "unknown_issuer": 19,
    "missing_intermediate": 20,
}
"""OpenSSL's own, from x509_vfy.h."""


@pytest.fixture(scope="module")
def ports(shelf: Shelf, pki: Pki) -> Iterator[Mapping[str, int]]:
    shelf.put("good", pki.credential(NAME))
    shelf.put("expired", chains.expired(pki, NAME))
    shelf.put("wrong-name", chains.wrong_name(pki, NAME))
    shelf.put("self-signed", chains.self_signed(pki, NAME))
    shelf.put("unknown-issuer", chains.unknown_issuer(pki, NAME))
    shelf.put("missing-intermediate", chains.missing_intermediate(pki, NAME))
    chosen = dict(zip(SITES, free_ports(len(SITES)), strict=True))
    blocks = "".join(
        f"server {{ listen 127.0.0.1:{chosen[name]} ssl http2; {extra} }}\n"
        for name, extra in SITES.items()
    )
    (shelf.folder / "reproduce.conf").write_text(
        "daemon off; master_process off; pid reproduce.pid; events { worker_connections 64; }\n"
        "http { access_log off; ssl_protocols TLSv1.2 TLSv1.3; client_body_temp_path body;\n"
        "proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi;\n"
        f"scgi_temp_path scgi; {blocks} }}\n"
    )
    command = [program("nginx"), "-p", shelf.folder, "-c", "reproduce.conf", "-e", "error.log"]
    with running(command, shelf.folder / "reproduce.log", ports=list(chosen.values())):
        yield chosen


@pytest.mark.parametrize(
    ("site", "reason", "verdict"),
    [
        ("expired", "expired", "certificate has expired"),
        ("wrong-name", "name_mismatch", "hostname mismatch"),
        ("self-signed", "self_signed", "self-signed certificate"),
        ("unknown-issuer", "unknown_issuer", "self-signed certificate in certificate chain"),
        ("missing-intermediate", "missing_intermediate", "unable to get local issuer certificate"),
    ],
)
async def test_what_the_judge_refuses_openssl_refuses_for_the_same_reason(
    site: str, reason: str, verdict: str, ports: Mapping[str, int], probe: Probe
) -> None:
    result = await probe(ports[site])
    assert said(result) == f"certificate/{reason}"
    shown = paste(result.command)
    assert f"verify error:num={_NUMBERS[reason]}:{verdict}" in shown
    assert "BEGIN CERTIFICATE" not in shown
    assert len(shown.splitlines()) < 30, "only lines worth reading"
    assert "NotAfter" in shown


async def test_the_command_of_a_failure_accepts_what_is_good(
    ports: Mapping[str, int], probe: Probe
) -> None:
    """Against a good server it shows no error: what it showed before was the server's fault."""
    result = await probe(ports["expired"])
    good = result.command.replace(str(ports["expired"]), str(ports["good"]))
    shown = paste(good)
    assert "verify return:1" in shown
    assert "error" not in shown


async def test_refused_name_shows_its_alert(ports: Mapping[str, int], probe: Probe) -> None:
    result = await probe(ports["reject"])
    assert said(result) == "tls/alert_unrecognized_name"
    assert "unrecognized name" in paste(result.command)


@pytest.mark.parametrize(
    ("profile", "shown"),
    [
        (ClientProfile(), "ALPN protocol: h2"),
        (ClientProfile(alpn=()), "No ALPN negotiated"),
        (ClientProfile(kind="tls13"), "New, TLSv1.3"),
        (ClientProfile(kind="tls12-ecdsa"), "New, TLSv1.2, Cipher is ECDHE-ECDSA-"),
        (ClientProfile(kind="tls12-rsa"), "handshake failure"),
        (ClientProfile(ciphers="ECDHE-ECDSA-AES256-GCM-SHA384", kind="tls12-ecdsa"), "AES256-GCM"),
    ],
)
def test_each_profile_is_reproduced(
    profile: ClientProfile, shown: str, ports: Mapping[str, int]
) -> None:
    command = s_client(Edge("127.0.0.1", ports["good"]), NAME, profile)
    assert shown in paste(command)


@pytest.mark.parametrize(
    ("protocol", "greeting"),
    [("smtp", b"220 "), ("imap", b"* OK "), ("pop3", b"+OK "), ("postgres", b""), ("ldap", b"")],
)
async def test_openssl_speaks_each_dialogue(
    protocol: Starttls, greeting: bytes, nursery: trio.Nursery
) -> None:
    """It takes the option and begins: what it says first after the greeting is the protocol's."""
    heard: list[bytes] = []

    async def script(stream: trio.SocketStream) -> None:
        async with stream:
            if greeting:
                await stream.send_all(greeting + b"ready\r\n")
            heard.append(await stream.receive_some(100))

    listeners = await nursery.start(trio.serve_tcp, script, 0)
    edge = Edge("127.0.0.1", listeners[0].socket.getsockname()[1])
    command = s_client(edge, NAME, ClientProfile(), protocol)
    await trio.to_thread.run_sync(paste, command)
    first = {"smtp": b"EHLO", "imap": b". CAPABILITY", "pop3": b"STLS", "ldap": b"0"}
    assert heard[0].startswith(first.get(protocol, b"\x00\x00\x00\x08"))
