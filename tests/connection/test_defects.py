"""Our own code raises somewhere in an attempt: it costs that result, and says where."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NoReturn

import pytest
import trio

from probe.certificates import Judge
from probe.connection.contexts import TlsContexts
from probe.lab.ca import Pki
from probe.model.failure import Phase, Reason
from probe.model.result import Inconclusive, Passed, TlsResult
from probe.model.spec import TlsCheck
from probe.model.target import Edge, EdgeKey, Target
from probe.model.tls import ClientProfile, Trust
from probe.probers.tls import TlsProber
from tests.support.tls_server import server_context, start, tls

from .conftest import NAME, no_secrets

MODULE = "probe.probers.tls"


def planted(*_: object, **__: object) -> NoReturn:
    raise IndexError("s3cr3t from a server\x1b[2J")


async def group(*_: object, **__: object) -> NoReturn:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(planted_soon)
        nursery.start_soon(planted_soon)
    raise AssertionError


async def planted_soon() -> None:
    planted()


SEAMS = [
    ("probe.connection.contexts.TlsContexts.get", planted, Phase.CONNECT),
    (f"{MODULE}.connect", planted, Phase.CONNECT),
    (f"{MODULE}.connect", group, Phase.CONNECT),
    ("probe.connection.tcp._connected", group, Phase.CONNECT),
    ("probe.connection.tls.SSL.Connection.request_ocsp", planted, Phase.TLS),
    ("probe.connection.tls._send_flight", group, Phase.TLS),
    (f"{MODULE}.handshake", group, Phase.CONNECT),
    ("probe.connection.tls.TlsStream.settle", planted, Phase.TLS),
    ("probe.certificates.Judge.judge", planted, Phase.CERTIFICATE),
    (f"{MODULE}.facts_of", planted, Phase.CERTIFICATE),
    (f"{MODULE}.outcome_of", planted, Phase.CERTIFICATE),
]


async def probed(edge: Edge, pki: Pki, tmp_path: Path) -> TlsResult:
    root = tmp_path / "root.pem"
    root.write_bytes(pki.roots_pem())
    check = TlsCheck("stores", "stores", ("cdn",), timeout=5.0, trust=Trust("file", str(root)))
    key = EdgeKey("stores", NAME, "cdn", edge.label, "default")
    prober = TlsProber(TlsContexts(no_secrets), Judge(), time.time)
    return await prober.probe(key, edge, Target(NAME), check, ClientProfile())


@pytest.mark.parametrize(("where", "raises", "phase"), SEAMS)
async def test_a_defect_is_a_result_with_its_key(
    where: str,
    raises: object,
    phase: Phase,
    pki: Pki,
    tmp_path: Path,
    nursery: trio.Nursery,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    edge = await start(nursery, tls(server_context(tmp_path, pki.credential(NAME))))
    assert (await probed(edge, pki, tmp_path)).outcome == Passed()
    monkeypatch.setattr(where, raises)
    result = await probed(edge, pki, tmp_path)
    assert isinstance(result.outcome, Inconclusive)
    assert result.key.edge == edge.label
    assert result.edge == edge
    assert time.time() - 60 < result.at <= time.time()
    failure = result.outcome.failure
    assert (failure.phase, failure.reason) == (phase, Reason.DEFECT)
    where = f"tests/connection/test_defects.py:{LINE}"
    assert failure.detail.startswith(f"IndexError at {where} planted")
    assert "s3cr3t" not in failure.detail


LINE = planted.__code__.co_firstlineno + 1


async def test_cancellation_and_ctrl_c_pass(
    pki: Pki, tmp_path: Path, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    edge = await start(nursery, tls(server_context(tmp_path, pki.credential(NAME))))
    with trio.CancelScope() as scope:
        scope.cancel()
        await probed(edge, pki, tmp_path)
    assert scope.cancelled_caught

    def interrupted(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(f"{MODULE}.connect", interrupted)
    with pytest.raises(KeyboardInterrupt):
        await probed(edge, pki, tmp_path)
