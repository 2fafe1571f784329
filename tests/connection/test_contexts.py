"""TlsContexts: shared, each profile offers what it says, client certificates come by reference."""

from __future__ import annotations

import ssl
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import pytest
import trio
from cryptography.x509.oid import ExtendedKeyUsageOID

from probe.connection.contexts import TlsContexts
from probe.connection.failures import AttemptFailed
from probe.connection.tls import Incomplete
from probe.lab.ca import Credential, LeafShape, Pki
from probe.model.failure import Phase, Reason
from probe.model.secret import Secret, SecretError, SecretRef
from probe.model.target import Edge
from probe.model.tls import ClientCertificate, ClientProfile, GroupName
from tests.support.tls_server import Secure, reset, server_context, start, tls, write_pem

from .conftest import NAME, Client

REFERENCES = ClientCertificate(SecretRef("file", "client.pem"), SecretRef("file", "client.key"))


class Shelf:
    """Secrets by name, replaceable as a rotation does."""

    def __init__(self, **secrets: str) -> None:
        self.secrets = secrets

    def __call__(self, ref: SecretRef) -> Secret:
        try:
            return Secret(self.secrets[ref.name.removeprefix("client.")])
        except KeyError:
            raise SecretError(f"{ref} is missing") from None


def shelf(pki: Pki, folder: Path, name: str) -> Shelf:
    shape = LeafShape(purposes=(ExtendedKeyUsageOID.CLIENT_AUTH,))
    credential = Credential((pki.leaf([name], shape=shape), pki.issuer.certificate), pki.leaf_key)
    chain, key = write_pem(folder, credential, "client")
    return Shelf(pem=chain.read_text(), key=key.read_text())


def test_equal_settings_share_one_context(contexts: TlsContexts) -> None:
    first = contexts.get(ClientProfile(name="a"))
    assert contexts.get(ClientProfile(name="a")) is first
    assert contexts.get(ClientProfile(name="b")) is first
    assert contexts.get(ClientProfile(name="a", alpn=("http/1.1",))) is not first
    assert contexts.get(ClientProfile(name="a", min_version="TLSv1.3")) is not first


def test_ciphers_that_nobody_has_are_our_fault(contexts: TlsContexts) -> None:
    with pytest.raises(AttemptFailed) as caught:
        contexts.get(ClientProfile(ciphers="NO-SUCH-CIPHER"))
    assert caught.value.failure.ours


@pytest.mark.parametrize("group", get_args(GroupName))
def test_groups_that_a_configuration_may_name_are_known(contexts: TlsContexts, group: str) -> None:
    contexts.get(ClientProfile(groups=(group,)))  # raises for an unknown one


def test_groups_that_nobody_has_are_our_fault_and_leave_nothing_behind(
    contexts: TlsContexts,
) -> None:
    with pytest.raises(AttemptFailed) as caught:
        contexts.get(ClientProfile(groups=("X25519", "NO-SUCH-GROUP")))
    assert caught.value.failure.ours
    assert "NO-SUCH-GROUP" in caught.value.failure.detail
    contexts.get(ClientProfile(groups=("X25519",)))  # raises if an error lay in OpenSSL's queue


async def test_groups_that_no_offered_version_can_use_are_our_fault(
    client: Client, nursery: trio.Nursery
) -> None:
    async def script(stream: trio.SocketStream) -> None:
        await stream.receive_some()

    profile = ClientProfile("tls13", "tls13", groups=("brainpoolP256r1",))
    failure = await client.failure(await start(nursery, script), profile=profile)
    assert failure.ours, failure


@pytest.mark.parametrize(
    ("groups", "agreed"),
    [((), "X25519MLKEM768|X25519"), (("P-384", "X25519"), "secp384r1"), (("P-256",), "secp256r1")],
)
async def test_groups_are_offered_in_order_and_no_other(
    groups: tuple[str, ...],
    agreed: str,
    client: Client,
    pki: Pki,
    tmp_path: Path,
    nursery: trio.Nursery,
) -> None:
    """The first one gets a key share, and a server takes the one that it need not ask for."""
    edge = await start(nursery, tls(server_context(tmp_path, pki.credential(NAME))))
    stream = await client.stream(edge, profile=ClientProfile(groups=groups))
    stream.close()
    assert (stream.presented.group or "").lower() in agreed.lower().split("|")


def test_a_client_certificate_is_read_by_reference_and_again_when_it_rotates(
    pki: Pki, tmp_path: Path
) -> None:
    secrets = shelf(pki, tmp_path, "one.example")
    contexts = TlsContexts(secrets)
    profile = ClientProfile(client_certificate=REFERENCES)
    first = contexts.get(profile)
    assert contexts.get(profile) is first
    secrets.secrets = shelf(pki, tmp_path, "two.example").secrets
    assert contexts.get(profile) is not first


def broken_shelves(pki: Pki, folder: Path) -> dict[str, Shelf]:
    good = shelf(pki, folder, "one.example").secrets
    _, other_key = write_pem(folder, pki.credential("one.example", "rsa"), "other")
    return {
        "missing": Shelf(),
        "no PEM": Shelf(pem="hello", key=good["key"]),
        "no key": Shelf(pem=good["pem"], key="hello"),
        "not a pair": Shelf(pem=good["pem"], key=other_key.read_text()),
    }


@pytest.mark.parametrize("case", ["missing", "no PEM", "no key", "not a pair"])
def test_an_unusable_client_certificate_is_our_fault_and_stays_secret(
    case: str, pki: Pki, tmp_path: Path
) -> None:
    secrets = broken_shelves(pki, tmp_path)[case]
    with pytest.raises(AttemptFailed) as caught:
        TlsContexts(secrets).get(ClientProfile(client_certificate=REFERENCES))
    failure = caught.value.failure
    assert failure.reason is Reason.SECRET_MISSING
    assert failure.ours
    assert "file:client." in failure.detail
    for value in secrets.secrets.values():
        for line in value.splitlines():
            assert line.startswith("-----") or line not in failure.detail
    assert caught.value.__cause__ is None or isinstance(caught.value.__cause__, SecretError)


# ---------------------------------------------------------------- what each profile offers


@pytest.mark.parametrize(
    ("profile", "kind", "reason"),
    [
        (ClientProfile(kind="tls12-ecdsa"), "rsa", Reason.ALERT_HANDSHAKE_FAILURE),
        (ClientProfile(kind="tls12-rsa"), "ecdsa", Reason.ALERT_HANDSHAKE_FAILURE),
        (ClientProfile(kind="tls12-ecdsa"), "ecdsa", None),
        (ClientProfile(kind="tls12-rsa"), "rsa", None),
        (ClientProfile(kind="tls13"), "rsa", None),
        (ClientProfile(), "ecdsa", None),
        (ClientProfile(kind="tls12-rsa", ciphers="AES128-GCM-SHA256"), "rsa", None),
    ],
)
async def test_an_edge_that_holds_one_certificate_fails_only_some_clients(
    profile: ClientProfile,
    kind: str,
    reason: Reason | None,
    client: Client,
    pki: Pki,
    tmp_path: Path,
    nursery: trio.Nursery,
) -> None:
    context = server_context(tmp_path, pki.credential(NAME, kind))
    context.set_ciphers("ALL")  # Python leaves RSA key exchange out
    edge = await start(nursery, tls(context))
    if reason is not None:
        failure = await client.failure(edge, profile=profile)
        assert (failure.phase, failure.reason) == (Phase.TLS, reason)
        return
    stream = await client.stream(edge, profile=profile)
    stream.close()
    version = "TLS 1.2" if profile.kind.startswith("tls12") else "TLS 1.3"
    assert stream.presented.version == version
    if profile.ciphers is not None:
        assert stream.presented.cipher == profile.ciphers


async def test_a_minimum_version_refuses_older_servers(
    client: Client, pki: Pki, tmp_path: Path, nursery: trio.Nursery
) -> None:
    context = server_context(tmp_path, pki.credential(NAME))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    edge = await start(nursery, tls(context))
    failure = await client.failure(edge, profile=ClientProfile(min_version="TLSv1.3"))
    assert failure.reason is Reason.ALERT_PROTOCOL_VERSION


async def test_alpn_is_offered_in_order(
    client: Client, pki: Pki, tmp_path: Path, nursery: trio.Nursery
) -> None:
    context = server_context(tmp_path, pki.credential(NAME))
    context.set_alpn_protocols(["http/1.1", "h2"])
    edge = await start(nursery, tls(context))
    chosen = []
    for offered in (("h2", "http/1.1"), ("h2",), ("spdy/9",), ()):
        stream = await client.stream(edge, profile=ClientProfile(alpn=offered))
        stream.close()
        chosen.append(stream.presented.alpn)
    assert chosen == ["http/1.1", "h2", None, None]


# ---------------------------------------------------------------- client certificates on the wire


def asking(pki: Pki, folder: Path, *, version: ssl.TLSVersion, tickets: int) -> ssl.SSLContext:
    context = server_context(folder, pki.credential(NAME))
    context.maximum_version = version
    context.num_tickets = tickets
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=pki.roots_pem().decode())
    return context


VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
MISSING = "the server asked for a client certificate, none was sent: "


async def settled(
    client: Client,
    edge: Edge,
    profile: ClientProfile = ClientProfile(),  # noqa: B008 - immutable
) -> AttemptFailed:
    """What an attempt raises, at the latest when the server has had time to refuse."""

    async def attempt() -> None:
        stream = await client.stream(edge, profile=profile)
        with closing(stream.wire):
            assert stream.presented.client_certificate_asked
            await stream.settle()

    with pytest.raises(AttemptFailed) as caught:
        await attempt()
    return caught.value


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_missing_client_certificate_is_named_whatever_the_alert_of_the_version(
    version: ssl.TLSVersion, client: Client, pki: Pki, tmp_path: Path, nursery: trio.Nursery
) -> None:
    """TLS 1.3 refuses after the handshake, TLS 1.2 says handshake_failure (RFC 5246, 7.4.6)."""
    edge = await start(nursery, tls(asking(pki, tmp_path, version=version, tickets=2)))
    failure = (await settled(client, edge)).failure
    assert (failure.phase, failure.reason) == (Phase.TLS, Reason.ALERT_CERTIFICATE_REQUIRED)
    assert failure.detail.startswith(MISSING)


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_client_certificate_that_the_server_does_not_know_is_not_called_missing(
    version: ssl.TLSVersion, pki: Pki, tmp_path: Path, nursery: trio.Nursery
) -> None:
    context = asking(pki, tmp_path, version=version, tickets=2)
    client = Client(TlsContexts(shelf(Pki(datetime.now(UTC)), tmp_path, "agent.example")))
    edge = await start(nursery, tls(context))
    profile = ClientProfile(client_certificate=REFERENCES)
    failure = (await settled(client, edge, profile)).failure
    assert failure.reason in {Reason.ALERT_UNKNOWN_CA, Reason.ALERT_DECRYPT_ERROR}
    assert failure.detail.startswith("the server asked for a client certificate, ours was sent: ")


@pytest.mark.parametrize("then", ["close", "reset"])
async def test_a_server_that_leaves_instead_of_refusing_is_told_with_what_it_asked_for(
    then: str, client: Client, pki: Pki, tmp_path: Path, nursery: trio.Nursery
) -> None:
    """TLS 1.2: what it had presented is kept."""
    context = asking(pki, tmp_path, version=ssl.TLSVersion.TLSv1_2, tickets=0)

    async def script(stream: trio.SocketStream) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        server = context.wrap_bio(incoming, outgoing, server_side=True)
        incoming.write(await stream.receive_some(65536))
        with pytest.raises(ssl.SSLWantReadError):
            server.do_handshake()
        await stream.send_all(outgoing.read())
        await stream.receive_some(65536)
        if then == "reset":
            reset(stream)

    error = await settled(client, await start(nursery, script))
    assert isinstance(error, Incomplete)
    assert error.presented.certificates
    assert error.presented.version == "TLS 1.2"
    assert error.failure.reason is (Reason.RESET if then == "reset" else Reason.CLOSED)
    assert error.failure.detail.startswith(MISSING)


@pytest.mark.parametrize("tickets", [0, 2])
async def test_an_accepted_client_certificate_passes(
    tickets: int, pki: Pki, tmp_path: Path, nursery: trio.Nursery
) -> None:
    """With session tickets the server shows at once that it is content; without, it is silent."""
    context = asking(pki, tmp_path, version=ssl.TLSVersion.TLSv1_3, tickets=tickets)
    client = Client(TlsContexts(shelf(pki, tmp_path, "agent.example")))
    edge = await start(nursery, tls(context))
    stream = await client.stream(edge, profile=ClientProfile(client_certificate=REFERENCES))
    with closing(stream.wire):
        assert stream.presented.client_certificate_asked
        await stream.settle()


async def test_a_server_that_closes_without_a_word_is_found_too(
    client: Client, pki: Pki, tmp_path: Path, nursery: trio.Nursery
) -> None:
    context = asking(pki, tmp_path, version=ssl.TLSVersion.TLSv1_3, tickets=0)
    context.verify_mode = ssl.CERT_OPTIONAL

    async def script(stream: trio.SocketStream) -> None:
        await Secure(stream, context).shake()

    stream = await client.stream(await start(nursery, script))
    with closing(stream.wire), pytest.raises(AttemptFailed) as caught:
        await stream.settle()
    assert caught.value.failure.reason is Reason.CLOSED
    assert caught.value.failure.detail.startswith(MISSING)
