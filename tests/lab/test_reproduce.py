"""Each printed command, pasted into a shell, fails as the attempt did; by the system's OpenSSL.

That of Debian 12 has no post-quantum group: where a fault is about that, the command says so.
"""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import replace

import pytest
import trio

from probe.certificates import Judge
from probe.connection.contexts import TlsContexts
from probe.lab.faults.kinds import Chain, Negotiation, Wire
from probe.lab.faults.table import TABLE, Given, Row
from probe.lab.world import World
from probe.model.failure import Phase, Reason
from probe.model.result import Failed, Passed, TlsResult
from probe.model.target import Edge, EdgeKey, Target
from probe.model.tls import ClientProfile, ProfileName
from probe.probers.tls import TlsProber
from tests.support.programs import program, run

from .test_fault_table import CLIENTS, STORE, name_of, no_secrets, tls_check

pytestmark = pytest.mark.real

TOO_LONG = 1.5
"""Seconds after which an edge that says nothing is left; anything else has ten times as many."""

ALERTS = {
    Reason.ALERT_HANDSHAKE_FAILURE: "handshake failure",
    Reason.ALERT_PROTOCOL_VERSION: "protocol version",
    Reason.ALERT_UNRECOGNIZED_NAME: "unrecognized name",
    Reason.ALERT_INTERNAL_ERROR: "internal error",
}
"""Alerts by their words in what OpenSSL prints."""

CHAINS = {
    "expired": "certificate has expired",
    "wrong_name": "hostname mismatch",
    "missing_intermediate": "unable to get local issuer certificate",
    "weak_key": "certificate key too weak",
    "unparsable": ":error:",
    "ocsp_missing": "OCSP response: no response sent",
}
"""Of the wrong chains a few, with what OpenSSL prints of them."""

ROWS = [
    row
    for row in TABLE
    if isinstance(row.fault, Negotiation | Wire | Chain)
    and row.phase is not None
    and not row.warning
    and (row.reason in ALERTS or not row.name.startswith("alert_"))
    and row.name not in ("slow_drip", "endless", "absurd_chain")  # seconds of the same
    and (row.phase is not Phase.CERTIFICATE or row.name in CHAINS)
]


async def probed(row: Row, world: World, profile: ClientProfile) -> TlsResult:
    prober = TlsProber(TlsContexts(no_secrets), Judge(), time.time, own_names=lambda _: ())
    place = world.info.seen("sa-east", "cdn-b")[0]
    edge = Edge(place.ip, place.port, written=True)
    key = EdgeKey("table", STORE, "cdn-b", edge.label, profile.name)
    silent = row.reason is Reason.TIMEOUT
    check = replace(tls_check(row, world), timeout=TOO_LONG if silent else 10 * TOO_LONG)
    return await prober.probe(key, edge, Target(STORE), check, profile)


def paste(command: str, most: float = 10 * TOO_LONG) -> tuple[str, bool]:
    """What it prints, and whether it went on for longer than so many seconds."""
    program("openssl")
    words = ["timeout", str(most), "sh", "-c", command]
    done = subprocess.run(
        words,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=60,
        check=False,
        env={"PATH": os.environ["PATH"]},
    )
    return done.stdout + done.stderr, done.returncode == 124


def agreed(printed: str) -> bool:
    """Whether it did a handshake to its end."""
    ended = "Verify return code:" in printed and "Cipher is (NONE)" not in printed
    return ended and ":error:" not in printed


def has_post_quantum() -> bool:
    return run("openssl", "version") >= "OpenSSL 3.5"


async def assert_shown(result: TlsResult, chain: str) -> None:
    assert isinstance(result.outcome, Failed), result.outcome
    failure = result.outcome.failure
    most = TOO_LONG if failure.reason is Reason.TIMEOUT else 10 * TOO_LONG
    printed, endless = await trio.to_thread.run_sync(paste, result.command, most)
    where = f"{result.command}\n{printed}"
    if failure.phase is Phase.CERTIFICATE:
        assert CHAINS[chain] in printed, where
    elif failure.reason is Reason.ALPN_MISMATCH:
        assert "No ALPN negotiated" in printed, where
    elif failure.reason is Reason.TIMEOUT:
        assert endless, where
    else:
        assert not agreed(printed), where
        assert not endless, where
        assert ALERTS.get(failure.reason, "") in printed, where


@pytest.mark.parametrize("row", ROWS, ids=name_of)
async def test_the_command_shows_the_fault(row: Row, world: World) -> None:
    await world.inject(row.name)
    result = await probed(row, world, CLIENTS.get(row.given, ClientProfile()))
    assert isinstance(result.outcome, Failed) or row.given not in CLIENTS
    if not isinstance(result.outcome, Failed):
        return  # asks for an expectation that is not set here, and the command is about TLS
    if row.name in ("long_hello_lost", "no_post_quantum") and not has_post_quantum():
        printed, _ = await trio.to_thread.run_sync(paste, result.command)
        assert "3.5" in printed
        return
    await assert_shown(result, row.name)


FAILS: dict[str, set[ProfileName]] = {
    "post_quantum_alone": {"android", "java", "curl", "openssl"},
    "long_hello_lost": {"chrome", "firefox", "safari", "go"},
    "p521_key": {"chrome", "safari", "android"},
    "tls10_only": {"chrome", "firefox", "safari", "android", "java", "go", "curl", "openssl"},
}
"""Faults of an edge, and the named clients that fail there. The others pass."""

EVERYBODY = FAILS["tls10_only"]


@pytest.mark.parametrize("name", FAILS)
async def test_named_clients_fail_where_the_real_ones_do_and_the_command_shows_it(
    name: str, world: World
) -> None:
    row = next(row for row in TABLE if row.name == name)
    await world.inject(name)
    for kind in sorted(EVERYBODY):
        result = await probed(row, world, ClientProfile(kind, kind))
        assert isinstance(result.outcome, Failed if kind in FAILS[name] else Passed), kind
        if not isinstance(result.outcome, Failed):
            continue
        assert bool(result.browser) == (kind == "chrome")
        if name == "long_hello_lost" and not has_post_quantum():
            printed, endless = await trio.to_thread.run_sync(paste, result.command)
            assert "only OpenSSL 3.5 and later have them: X25519MLKEM768" in printed
            assert agreed(printed)
            assert not endless
        else:
            await assert_shown(result, row.name)


def test_the_rows_are_as_many_as_they_were() -> None:
    """None is lost from the comparison without somebody who looks."""
    assert len(ROWS) >= 24
    assert {row.given for row in ROWS} >= {Given.POST_QUANTUM, Given.ANDROID, Given.RSA_CLIENT}
