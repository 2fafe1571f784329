"""The ClientHello that leaves, byte for byte, against what the profiles promise."""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path

import pytest
import trio
from cryptography.hazmat.primitives.asymmetric import ec

from probe.connection.contexts import CHROME_SIGNATURES
from probe.connection.failures import AttemptFailed
from probe.lab.ca import Credential, Pki
from probe.lab.hello import handshake_bytes, read_hello
from probe.model.failure import Reason
from probe.model.tls import ClientProfile, ProfileName
from tests.support.tls_server import server_context, start, tls

from .conftest import NAME, Client

_SIGNATURE_ALGORITHMS, _SUPPORTED_GROUPS = 13, 10  # RFC 8446 section 4.2
_CODES = {  # RFC 8446 section 4.2.3
    "rsa_pkcs1_sha256": 0x0401,
    "rsa_pkcs1_sha384": 0x0501,
    "rsa_pkcs1_sha512": 0x0601,
    "ecdsa_secp256r1_sha256": 0x0403,
    "ecdsa_secp384r1_sha384": 0x0503,
    "rsa_pss_rsae_sha256": 0x0804,
    "rsa_pss_rsae_sha384": 0x0805,
    "rsa_pss_rsae_sha512": 0x0806,
}
_ED25519 = 0x0807


def extensions(hello: bytes) -> dict[int, bytes]:
    """The extensions of a ClientHello by number (RFC 8446 section 4.1.2)."""
    body = handshake_bytes(hello)[4:]
    at = 2 + 32
    for size in (1, 2, 1):  # session, cipher suites, compression methods
        at += size + int.from_bytes(body[at : at + size], "big")
    at += 2
    found = {}
    while at < len(body):
        number, size = struct.unpack_from("!HH", body, at)
        found[number] = body[at + 4 : at + 4 + size]
        at += 4 + size
    return found


def codes(vector: bytes) -> list[int]:
    """The numbers of a vector with a length of two octets."""
    (size,) = struct.unpack_from("!H", vector)
    return list(struct.unpack_from(f"!{size // 2}H", vector, 2))


async def hello_of(client: Client, nursery: trio.Nursery, profile: ClientProfile) -> bytes:
    """What a server on loopback receives first."""
    sent = []

    async def script(stream: trio.SocketStream) -> None:
        sent.append((await read_hello(stream)).raw)

    edge = await start(nursery, script)
    with contextlib.suppress(AttemptFailed):
        await client.stream(edge, profile=profile)
    return sent[0]


@pytest.mark.parametrize("groups", [(), ("X25519", "P-256")])
async def test_the_default_profile_offers_the_signatures_of_chrome_in_its_order(
    groups: tuple[str, ...], client: Client, nursery: trio.Nursery
) -> None:
    found = extensions(await hello_of(client, nursery, ClientProfile(groups=groups)))
    wanted = [_CODES[name] for name in CHROME_SIGNATURES]
    assert codes(found[_SIGNATURE_ALGORITHMS]) == wanted
    assert len(wanted) == 8


async def test_the_profiles_of_other_clients_offer_what_openssl_offers(
    client: Client, nursery: trio.Nursery
) -> None:
    profile = ClientProfile("tls13", "tls13", groups=("X25519", "P-256"))
    found = extensions(await hello_of(client, nursery, profile))
    assert _ED25519 in codes(found[_SIGNATURE_ALGORITHMS])
    assert codes(found[_SUPPORTED_GROUPS]) == [0x001D, 0x0017]


@pytest.mark.parametrize("kind", ["default", "tls13"])
async def test_a_certificate_that_browsers_do_not_take_fails_the_default_profile_alone(
    kind: ProfileName, client: Client, pki: Pki, tmp_path: Path, nursery: trio.Nursery
) -> None:
    key = ec.generate_private_key(ec.SECP521R1())
    credential = Credential((pki.leaf([NAME], key=key), pki.issuer.certificate), key)
    edge = await start(nursery, tls(server_context(tmp_path, credential)))
    profile = ClientProfile(kind, kind)
    if kind == "default":
        failure = await client.failure(edge, profile=profile)
        assert failure.reason is Reason.ALERT_HANDSHAKE_FAILURE
    else:
        (await client.stream(edge, profile=profile)).close()
