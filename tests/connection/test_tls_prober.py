"""The whole prober: one attempt in, one immutable result out, whatever the server does."""

from __future__ import annotations

import socket
import ssl
import time
from dataclasses import FrozenInstanceError, replace
from datetime import timedelta
from pathlib import Path

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL import SSL

from probe.certificates import Judge
from probe.connection import tcp
from probe.connection.contexts import TlsContexts
from probe.flow.known import KnownSecrets
from probe.lab import chains
from probe.lab.ca import Credential, LeafShape, Pki
from probe.model.failure import Failure, Phase, Reason
from probe.model.result import Clock, Failed, Inconclusive, Passed, TlsResult
from probe.model.secret import SecretRef
from probe.model.spec import TlsCheck
from probe.model.target import Edge, EdgeKey, Target
from probe.model.tls import ChainExpectations, ClientCertificate, ClientProfile, Trust
from probe.probers.tls import TlsProber
from tests.support.record_layer import Server, plain_alert
from tests.support.tls_server import says, server_context, start, tls

from .conftest import NAME, no_secrets

CHECK = TlsCheck("stores", targets="stores", providers=("cdn-a",), timeout=5.0)


class Probe:
    """A prober that trusts the lab's root."""

    def __init__(self, root: Path, **parts: object) -> None:
        self.check = replace(CHECK, trust=Trust("file", str(root)))
        self.prober = TlsProber(
            TlsContexts(no_secrets),
            Judge(),
            time.time,
            own_names=lambda provider: chains.PROVIDER_NAMES if provider == "cdn-a" else (),
            **parts,  # type: ignore[arg-type]
        )

    async def __call__(
        self,
        edge: Edge,
        *,
        target: Target = Target(NAME),  # noqa: B008 - immutable
        profile: ClientProfile = ClientProfile(),  # noqa: B008 - immutable
        **changes: object,
    ) -> TlsResult:
        check = replace(self.check, **changes)  # type: ignore[arg-type]
        key = EdgeKey(check.name, target.name, "cdn-a", edge.label, profile.name)
        return await self.prober.probe(key, edge, target, check, profile)


@pytest.fixture
def probe(pki: Pki, tmp_path: Path) -> Probe:
    root = tmp_path / "root.pem"
    root.write_bytes(pki.roots_pem())
    return Probe(root)


def failure_of(result: TlsResult) -> Failure:
    assert isinstance(result.outcome, Failed)
    return result.outcome.failure


async def test_a_healthy_edge(
    probe: Probe, pki: Pki, tmp_path: Path, nursery: trio.Nursery
) -> None:
    edge = await start(nursery, tls(server_context(tmp_path, pki.credential(NAME))))
    begun = time.time()
    result = await probe(edge)
    assert result.outcome == Passed()
    assert result.key.edge == edge.label
    assert begun <= result.at <= time.time()
    assert result.handshake is not None
    assert result.handshake.leaf is not None
    assert result.handshake.leaf.dns_names == (NAME,)
    assert result.handshake.verified_not_after is not None
    assert result.command == ""
    assert result.browser == ""
    timings = result.timings
    assert timings.connect is not None
    assert timings.tls is not None
    assert timings.total == timings.connect + timings.tls
    assert timings.starttls is None
    with pytest.raises(FrozenInstanceError):
        result.command = "x"  # type: ignore[misc]


async def test_a_syn_that_is_never_answered(probe: Probe) -> None:
    """A listener whose queue is full drops further SYNs, as a filtered port does."""
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for filler in (first, second):
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        result = await probe(Edge("127.0.0.1", full.getsockname()[1], written=True), timeout=0.2)
    failure = failure_of(result)
    assert (failure.phase, failure.reason) == (Phase.CONNECT, Reason.TIMEOUT)
    assert result.timings.connect is None
    assert result.timings.total >= 0.2


async def test_a_deadline_that_has_passed(probe: Probe, nursery: trio.Nursery) -> None:
    async def script(_stream: trio.SocketStream) -> None:
        await trio.sleep_forever()

    failure = failure_of(await probe(await start(nursery, script), timeout=-1.0))
    assert (failure.phase, failure.reason) == (Phase.CONNECT, Reason.TIMEOUT)


@pytest.mark.parametrize(("starttls", "phase"), [(None, Phase.TLS), ("smtp", Phase.STARTTLS)])
async def test_silence_is_filed_under_the_phase_that_it_falls_into(
    probe: Probe, nursery: trio.Nursery, starttls: str | None, phase: Phase
) -> None:
    async def script(_stream: trio.SocketStream) -> None:
        await trio.sleep_forever()

    result = await probe(await start(nursery, script), timeout=0.2, starttls=starttls)
    failure = failure_of(result)
    assert (failure.phase, failure.reason) == (phase, Reason.TIMEOUT)
    assert "no end in 0." in failure.detail
    assert result.timings.connect is not None
    assert result.timings.tls is None


async def test_a_deadline_while_the_last_word_is_waited_for_fails_nothing(
    probe: Probe, pki: Pki, tmp_path: Path, nursery: trio.Nursery
) -> None:
    """A server that asked for a certificate may refuse its absence; silence is no refusal."""
    context = server_context(tmp_path, pki.credential(NAME))
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0
    context.verify_mode = ssl.CERT_OPTIONAL
    context.load_verify_locations(cadata=pki.roots_pem().decode())
    result = await probe(await start(nursery, tls(context)), timeout=0.15)
    assert result.outcome == Passed()


async def test_facts_of_the_same_chain_are_shared_between_attempts(
    probe: Probe, pki: Pki, tmp_path: Path, nursery: trio.Nursery
) -> None:
    """Ten thousand edges with one certificate hold one set of facts."""
    edge = await start(nursery, tls(server_context(tmp_path, pki.credential(NAME))))
    first, second = (await probe(edge)).handshake, (await probe(edge)).handshake
    assert first is not None
    assert second is not None
    assert first.leaf is second.leaf
    assert first.version is second.version


@pytest.mark.parametrize(
    ("make", "reason", "browser"),
    [
        (chains.wrong_name, Reason.NAME_MISMATCH, "ERR_CERT_COMMON_NAME_INVALID"),
        (chains.default_certificate, Reason.DEFAULT_CERTIFICATE, "ERR_CERT_COMMON_NAME_INVALID"),
        (chains.expired, Reason.EXPIRED, "ERR_CERT_DATE_INVALID"),
        (chains.not_yet_valid, Reason.NOT_YET_VALID, "ERR_CERT_DATE_INVALID"),
        (chains.self_signed, Reason.SELF_SIGNED, "ERR_CERT_AUTHORITY_INVALID"),
        (chains.unknown_issuer, Reason.UNKNOWN_ISSUER, "ERR_CERT_AUTHORITY_INVALID"),
        (chains.missing_intermediate, Reason.MISSING_INTERMEDIATE, "ERR_CERT_AUTHORITY_INVALID"),
    ],
)
async def test_facts_stay_when_the_verdict_is_bad(
    make: chains.ChainMaker,
    reason: Reason,
    browser: str,
    probe: Probe,
    pki: Pki,
    tmp_path: Path,
    nursery: trio.Nursery,
) -> None:
    """Peers lose the certificate exactly when it is needed."""
    edge = await start(nursery, tls(server_context(tmp_path, make(pki, NAME))))
    result = await probe(edge)
    failure = failure_of(result)
    assert (failure.phase, failure.reason) == (Phase.CERTIFICATE, reason)
    assert result.handshake is not None
    assert result.handshake.leaf is not None
    assert result.browser == browser
    assert f"-connect {edge.label} -servername {NAME}" in result.command
    assert result.timings.tls is not None


async def test_no_handshake_no_facts(probe: Probe, nursery: trio.Nursery) -> None:
    edge = await start(nursery, says(plain_alert(112)))
    result = await probe(edge)
    assert failure_of(result).reason is Reason.ALERT_UNRECOGNIZED_NAME
    assert result.browser == "ERR_SSL_UNRECOGNIZED_NAME_ALERT"
    assert result.handshake is None
    assert result.timings.connect is not None
    assert result.timings.tls is None
    assert result.timings.total > 0


async def test_refused_has_no_timings_but_the_total(probe: Probe) -> None:
    result = await probe(Edge("127.0.0.1", 1, written=True))
    assert failure_of(result) == Failure(Phase.CONNECT, Reason.REFUSED, "127.0.0.1:1: ECONNREFUSED")
    assert (result.timings.connect, result.timings.tls) == (None, None)
    assert result.browser == "ERR_CONNECTION_REFUSED"


async def test_unparsable_certificate_keeps_what_was_agreed(
    probe: Probe, pki: Pki, nursery: trio.Nursery
) -> None:
    """The leaf's outermost length is wrong: OpenSSL gives up inside the handshake."""
    der = pki.credential(NAME).chain[0].tbs_certificate_bytes

    async def script(stream: trio.SocketStream) -> None:
        server = Server(pki.credential(NAME), SSL.TLS1_2_VERSION)
        flight = server.take(await stream.receive_some(65536))
        assert der in flight
        await stream.send_all(flight.replace(der, b"\x31" + der[1:]))
        await stream.receive_some(65536)

    result = await probe(await start(nursery, script))
    failure = failure_of(result)
    assert (failure.phase, failure.reason) == (Phase.CERTIFICATE, Reason.UNPARSABLE)
    assert result.handshake is not None
    assert result.handshake.version == "TLS 1.2"
    assert result.handshake.chain == ()


async def test_sni_override_is_sent_and_judged(
    probe: Probe, pki: Pki, tmp_path: Path, nursery: trio.Nursery
) -> None:
    names: list[str | None] = []
    context = server_context(tmp_path, pki.credential("other.example"))
    context.sni_callback = lambda _tls, name, _context: names.append(name)
    edge = await start(nursery, tls(context))
    assert isinstance((await probe(edge, sni="other.example")).outcome, Passed)
    assert failure_of(await probe(edge)).reason is Reason.NAME_MISMATCH
    assert names == ["other.example", NAME]


async def test_ip_target(probe: Probe, pki: Pki, tmp_path: Path, nursery: trio.Nursery) -> None:
    credential = Credential((pki.leaf(["127.0.0.1"]), pki.issuer.certificate), pki.leaf_key)
    edge = await start(nursery, tls(server_context(tmp_path, credential)))
    assert isinstance((await probe(edge, target=Target("127.0.0.1"))).outcome, Passed)


@pytest.mark.parametrize("chosen", ["http/1.1", None])
async def test_alpn_that_was_expected_and_not_chosen(
    chosen: str | None, probe: Probe, pki: Pki, tmp_path: Path, nursery: trio.Nursery
) -> None:
    context = server_context(tmp_path, pki.credential(NAME))
    if chosen is not None:
        context.set_alpn_protocols([chosen])
    edge = await start(nursery, tls(context))
    result = await probe(edge, expect=ChainExpectations(alpn="h2"))
    failure = failure_of(result)
    assert (failure.phase, failure.reason) == (Phase.TLS, Reason.ALPN_MISMATCH)
    assert result.handshake is not None
    assert result.handshake.alpn == chosen
    assert result.browser == ""


@pytest.mark.parametrize("version", [SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION])
async def test_stapled_answer_reaches_the_judge(
    version: int, probe: Probe, pki: Pki, nursery: trio.Nursery
) -> None:
    async def script(stream: trio.SocketStream) -> None:
        server = Server(chains.ocsp_revoked(pki, NAME), version)
        while data := await stream.receive_some(65536):
            await stream.send_all(server.take(data))

    result = await probe(await start(nursery, script))
    assert failure_of(result).reason is Reason.OCSP_REVOKED
    assert result.handshake is not None
    assert result.handshake.ocsp == "revoked"


async def test_starttls_then_tls(
    probe: Probe, pki: Pki, tmp_path: Path, nursery: trio.Nursery
) -> None:
    secure = tls(server_context(tmp_path, pki.credential(NAME)))

    async def script(stream: trio.SocketStream) -> None:
        assert await stream.receive_some(8) == b"\x00\x00\x00\x08\x04\xd2\x16\x2f"
        await stream.send_all(b"S")
        await secure(stream)

    result = await probe(await start(nursery, script), starttls="postgres")
    assert result.outcome == Passed()
    timings = result.timings
    assert timings.connect is not None
    assert timings.starttls is not None
    assert timings.tls is not None
    assert timings.total == timings.connect + timings.starttls + timings.tls


async def test_starttls_refused(probe: Probe, nursery: trio.Nursery) -> None:
    result = await probe(await start(nursery, says(b"N")), starttls="postgres")
    failure = failure_of(result)
    assert (failure.phase, failure.reason) == (Phase.STARTTLS, Reason.STARTTLS_REFUSED)
    assert "-starttls postgres" in result.command
    assert result.browser == ""


async def test_our_own_fault_is_inconclusive_and_blames_nobody(probe: Probe) -> None:
    reference = SecretRef("env", "KEY")
    profile = ClientProfile(client_certificate=ClientCertificate(reference, reference))
    result = await probe(Edge("127.0.0.1", 1, written=True), profile=profile)
    assert isinstance(result.outcome, Inconclusive)
    assert result.outcome.failure.reason is Reason.SECRET_MISSING
    assert result.command == ""


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_missing_client_certificate_keeps_the_facts_and_the_judgement(
    probe: Probe, pki: Pki, tmp_path: Path, nursery: trio.Nursery, version: ssl.TLSVersion
) -> None:
    """Who has no client certificate still learns when the server's own ends, or ended."""
    ended = timedelta(days=-1)
    shape = LeafShape(not_before=timedelta(days=-30), not_after=ended)
    credential = Credential((pki.leaf([NAME], shape=shape), pki.issuer.certificate), pki.leaf_key)
    context = server_context(tmp_path, credential)
    context.maximum_version = version
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=pki.roots_pem().decode())
    result = await probe(await start(nursery, tls(context)))
    assert isinstance(result.outcome, Failed)
    refused, expired = result.outcome.failure, result.outcome.others
    assert refused.reason is Reason.ALERT_CERTIFICATE_REQUIRED
    assert [failure.reason for failure in expired] == [Reason.EXPIRED]
    assert result.handshake is not None
    assert result.handshake.leaf is not None
    assert result.handshake.leaf.not_after < time.time()
    assert result.browser == "ERR_BAD_SSL_CLIENT_AUTH_CERT"


@pytest.mark.parametrize("kernel", [True, False])
async def test_lag_of_the_agent_stands_beside_timings_that_it_can_spoil(
    kernel: bool,
    pki: Pki,
    tmp_path: Path,
    nursery: trio.Nursery,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The kernel's times are true however late the loop runs; those of our own clock are not."""
    if not kernel:
        monkeypatch.setattr(tcp, "ANCILLARY_SPACE", 0)
    (tmp_path / "root.pem").write_bytes(pki.roots_pem())
    probe = Probe(tmp_path / "root.pem", lag=lambda: 7.0)
    edge = await start(nursery, tls(server_context(tmp_path, pki.credential(NAME))))
    timings = (await probe(edge)).timings
    assert (timings.lag < 5.0) == (timings.clock is Clock.KERNEL)
    if not kernel:
        assert timings.clock is Clock.APPLICATION
    silent = await start(nursery, says(b"", then="silent"))
    assert (await probe(silent, timeout=0.1)).timings.lag >= 7.0  # it ended by our own clock


async def test_cancellation_passes(probe: Probe, nursery: trio.Nursery) -> None:
    edge = await start(nursery, says(b"", then="silent"))
    with trio.move_on_after(0.05) as scope:
        await probe(edge)
    assert scope.cancelled_caught


async def test_cancellation_passes_also_when_the_deadline_does(
    probe: Probe, nursery: trio.Nursery
) -> None:
    async def stall_then_cancel(scope: trio.CancelScope) -> None:
        await trio.sleep(0.02)
        time.sleep(0.1)  # noqa: ASYNC251 - the deadline passes unseen: blocking is the point
        scope.cancel()

    edge = await start(nursery, says(b"", then="silent"))
    with trio.CancelScope() as scope:
        nursery.start_soon(stall_then_cancel, scope)
        await probe(edge, timeout=0.1)
    assert scope.cancelled_caught


@settings(max_examples=80, deadline=None)
@given(
    noise=st.one_of(st.binary(max_size=600), st.binary(max_size=60).map(b"\x16\x03\x03".__add__))
)
async def test_whatever_a_server_sends_there_is_a_result_in_time(noise: bytes) -> None:
    """No exception, no unknown reason, no overrun; the judge is not even asked."""
    prober = TlsProber(TlsContexts(no_secrets), Judge(), time.time)
    async with trio.open_nursery() as nursery:
        edge = await start(nursery, says(noise))
        target, profile = Target(NAME), ClientProfile()
        key = EdgeKey("c", NAME, "p", edge.label, profile.name)
        with trio.fail_after(30):
            result = await prober.probe(key, edge, target, replace(CHECK, timeout=2.0), profile)
        nursery.cancel_scope.cancel()
    failure = failure_of(result)
    assert failure.reason is not Reason.UNKNOWN
    assert failure.phase is Phase.TLS
    assert result.browser


async def test_a_certificate_that_shows_a_secret_is_named_nowhere(
    probe: Probe, pki: Pki, tmp_path: Path, nursery: trio.Nursery
) -> None:
    """A server that got a token of another check writes it into its certificate."""
    known = KnownSecrets()
    screened = Probe(Path(probe.check.trust.file or ""), known=known)
    token = "zq7vkx93mwtb4nls"
    credential = pki.credential(f"{token}.example")
    edge = await start(nursery, tls(server_context(tmp_path, credential)))
    before = await screened(edge)
    assert token in repr(before), "what is no secret is shown"
    known.learn(token.upper())
    after = await screened(edge)
    assert token not in repr(after)
    assert failure_of(after).reason is failure_of(before).reason
    assert before.handshake is not None
    assert after.handshake is not None
    assert after.handshake.leaf is not None
    assert after.handshake.leaf.dns_names[0].startswith("(withheld: ")
    assert after.handshake.chain[1] == before.handshake.chain[1], "which shows none"
    named = await screened(edge, target=Target(f"{token}.example"))
    assert named.handshake == before.handshake, "what the configuration names is no secret"
