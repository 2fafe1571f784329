"""Every key type at the gate: RSA is asked of each edge once, and what was not checked is said."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, cast

import pytest
import trio
from trio.testing import MockClock

from probe.agent.gate import CheckRequest
from probe.agent.key_types import KeyTypes, rsa_profile
from probe.agent.parts import Parts
from probe.agent.rounds import Round
from probe.lab.board import Where
from probe.lab.info import Layout, store_names
from probe.lab.process import RemoteLab, open_lab_process
from probe.model.failure import Failure, Phase, Reason
from probe.model.flow import ApiCheck
from probe.model.result import (
    CertificateFacts,
    Failed,
    Handshake,
    Inconclusive,
    Outcome,
    Passed,
    Timings,
    TlsResult,
)
from probe.model.secret import SecretRef
from probe.model.spec import Listen, Provider, Spec, TargetList, TlsCheck
from probe.model.target import Edge, EdgeKey, Resolution, Target
from probe.model.tls import ClientCertificate, ClientProfile
from probe.report import RowVerdict, exit_code, rows_of

from .test_check import check

CHECK = TlsCheck("stores", "stores", ("cdn-b",))
EDGES = tuple(Edge(f"192.0.2.{n}", 443) for n in (1, 2, 3, 4))
RSA: Final = "tls12-rsa"
OLDER = "older_than_expected"


def refusal(reason: Reason = Reason.ALERT_HANDSHAKE_FAILURE, phase: Phase = Phase.TLS) -> Failed:
    return Failed(Failure(phase, reason, "after ClientHello"))


def handshake(key_type: str) -> Handshake:
    leaf = CertificateFacts("aa" * 32, "", "", "", "", 0.0, 1e9, (), (), key_type, key_type)
    return Handshake("TLS 1.2", "", (leaf,))


def result(edge: Edge, client: str, outcome: Outcome, shown: str = "") -> TlsResult:
    key = EdgeKey("stores", "shop.example", "cdn-b", edge.label, client)
    return TlsResult(key, edge, 0.0, outcome, Timings(), handshake(shown) if shown else None)


def healthy(shown: str = "ecdsa") -> list[TlsResult]:
    return [result(edge, "default", Passed(), shown) for edge in EDGES]


def asked(*outcomes: Outcome) -> list[TlsResult]:
    return [
        result(edge, RSA, outcome, "rsa" if outcome == Passed() or _certificate(outcome) else "")
        for edge, outcome in zip(EDGES, outcomes, strict=True)
    ]


def _certificate(outcome: Outcome) -> bool:
    return isinstance(outcome, Failed) and outcome.failure.phase is Phase.CERTIFICATE


def rows(results: list[TlsResult]) -> list[Any]:
    types = KeyTypes.of((CHECK,))
    return [*rows_of(types.judged(results)), *types.unchecked(results)]


OLD = Failed(Failure(Phase.CERTIFICATE, Reason.OLDER_THAN_EXPECTED))
UNNAMED = Failed(Failure(Phase.CERTIFICATE, Reason.UNEXPECTED_FINGERPRINT, "aa is not expected"))
HANGS = Failed(Failure(Phase.TLS, Reason.TIMEOUT))
OURS = Inconclusive(Failure(Phase.CONNECT, Reason.NO_ROUTE))


@pytest.mark.parametrize(
    ("outcomes", "status", "failing"),
    [
        ([Passed()] * 4, 0, ()),
        ([Passed(), Passed(), Passed(), OLD], 1, (4,)),
        ([Passed(), refusal(), Passed(), Passed()], 1, (2,)),
        ([OLD, refusal(), refusal(), refusal()], 1, (1, 2, 3, 4)),
        ([refusal()] * 4, 0, ()),
        ([refusal(), refusal(Reason.RESET), refusal(Reason.CLOSED), refusal()], 0, ()),
        ([refusal(Reason.ALERT_PROTOCOL_VERSION)] * 4, 0, ()),
        ([refusal(), refusal(), refusal(), HANGS], 1, (4,)),
        ([refusal(Reason.ALERT_INTERNAL_ERROR)] * 4, 1, (1, 2, 3, 4)),
        ([refusal(Reason.RESET, Phase.CONNECT)] + [refusal()] * 3, 1, (1,)),
        ([refusal(), refusal(), refusal(), OURS], 3, ()),
    ],
    ids=lambda value: None if isinstance(value, int) else "",
)
def test_if_any_edge_answers_rsa_all_must(
    outcomes: list[Outcome], status: int, failing: tuple[int, ...]
) -> None:
    found = rows(healthy() + asked(*outcomes))
    assert exit_code(found) == status
    failed = {row.edge for row in found if row.verdict is RowVerdict.FAIL}
    assert failed == {EDGES[n - 1].label for n in failing}


def test_a_provider_without_rsa_is_fine_and_the_row_says_what_was_not_checked() -> None:
    found = rows(healthy() + asked(*[refusal()] * 4))
    assert [row.verdict for row in found] == [RowVerdict.PASS] * 4 + [RowVerdict.SKIPPED]
    (note,) = found[-1].notes
    assert note == "RSA is refused by all 4 edges: no RSA certificate was there to check"
    assert (found[-1].what, found[-1].reason) == (RSA, "alert_handshake_failure")
    old = rows(healthy() + asked(*[refusal(Reason.ALERT_PROTOCOL_VERSION)] * 4))
    assert "RSA over TLS 1.3 was not asked for" in old[-1].notes[0]
    some = rows(healthy() + asked(refusal(), refusal(), refusal(), OURS))
    assert "refused by 3 of 4 edges" in some[-1].notes[0]


def test_a_refusal_beside_answers_says_who_answers() -> None:
    found = rows(healthy() + asked(Passed(), refusal(), Passed(), Passed()))
    (row,) = [row for row in found if row.verdict is RowVerdict.FAIL]
    assert row.detail.endswith("; 3 other edges answer RSA, for example 192.0.2.1:443")
    found = rows(healthy() + asked(Passed(), refusal(), refusal(), refusal()))
    (*_, row) = [row for row in found if row.verdict is RowVerdict.FAIL]
    assert row.detail.endswith("; another edge answers RSA: 192.0.2.1:443")


def test_a_fingerprint_that_is_not_named_says_how_to_name_it() -> None:
    found = rows(healthy() + asked(*[UNNAMED] * 4))
    assert all("one more --expect-fingerprint" in row.detail for row in found[1::2])


def test_what_showed_no_ecdsa_is_said() -> None:
    mixed = [*healthy()[:2], *healthy("rsa")[2:]]
    (row,) = [r for r in rows(mixed + asked(*[Passed()] * 4)) if r.verdict is RowVerdict.SKIPPED]
    assert row.what == "tls12-ecdsa"
    assert "2 of 4 edges showed none (192.0.2.3:443, 192.0.2.4:443)" in row.notes[0]
    pinned = replace(CHECK, profiles=(ClientProfile(), ClientProfile("e", "tls12-ecdsa")))
    assert not KeyTypes.of((pinned,)).unchecked(mixed)


def test_a_check_that_asks_for_rsa_itself_is_asked_no_more_and_judged_as_ever() -> None:
    own = replace(CHECK, profiles=(ClientProfile(), ClientProfile("old-clients", RSA)))
    types = KeyTypes.of((own,))
    assert not types.asked
    results = asked(*[refusal()] * 4)
    assert types.judged(results) == results
    assert not types.unchecked(results)
    assert rsa_profile(ApiCheck("cli", ())) is None


def test_the_profile_keeps_what_belongs_to_the_check() -> None:
    key = ClientCertificate(SecretRef("file", "c.pem"), SecretRef("file", "k.pem"))
    first = ClientProfile("a", "tls13", ("h2",), "TLSv1.3", None, key, ("X25519MLKEM768",))
    expected = ClientProfile(RSA, RSA, ("h2",), client_certificate=key)
    assert rsa_profile(replace(CHECK, profiles=(first,))) == expected
    odd = replace(CHECK, profiles=(ClientProfile(RSA, "default"),))
    assert getattr(rsa_profile(odd), "name", "") == "tls12-rsa-asked"


@pytest.mark.parametrize(
    ("words", "gate"),
    [
        ({}, False),
        ({"providers": ["cdn-b"]}, False),
        ({"wait": "1s"}, True),
        ({"not_before": "2026-01-01"}, True),
        ({"fingerprints": ["aa" * 32]}, True),
        ({"wait": "1s", "key_types": "configured"}, False),
        ({"key_types": "every"}, True),
    ],
)
def test_who_waits_or_says_what_is_right_uses_a_gate(words: dict[str, Any], gate: bool) -> None:
    assert CheckRequest.parse(**words).every_key_type is gate


class World:
    """Four edges without RSA; from ``ready`` on with it."""

    def __init__(self, ready: float) -> None:
        self.ready = ready
        self.tried: Counter[str] = Counter()

    async def find(self, *_: Any) -> Resolution:
        return Resolution(EDGES)

    async def probe(self, key: EdgeKey, edge: Edge, *_: Any) -> TlsResult:
        self.tried[key.client] += 1
        with_rsa = edge == EDGES[0] or trio.current_time() >= self.ready
        outcome = Passed() if key.client != RSA or with_rsa else refusal()
        return result(edge, key.client, outcome, "rsa" if key.client == RSA and with_rsa else "")


@pytest.mark.parametrize("ready", [20.0, 1e9])
async def test_the_gate_waits_until_every_edge_answers_rsa(
    autojump_clock: MockClock, ready: float
) -> None:
    world = World(trio.current_time() + ready)
    targets = (Target("shop.example"),)
    lists = {"stores": TargetList("stores", static=targets)}
    spec = Spec("lab", Listen(), {"cdn-b": Provider("cdn-b")}, lists, (CHECK,))
    types = KeyTypes.of((CHECK,))
    parts = cast("Parts", SimpleNamespace(finder=world, tls=world))
    round_ = Round(parts, spec, {"stores": targets}, attempts=5, key_types=types)
    results = await round_.wait(60)
    assert exit_code(rows_of(types.judged(results))) == (0 if ready < 60 else 1)
    assert world.tried["default"] == 5 * world.tried[RSA], "RSA is asked once where others are five"


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[RemoteLab]:
    """Two stores, whose edges hold both certificates."""
    layout = Layout(domains=store_names(2), ttl=1, with_rsa=True)
    async with open_lab_process(tmp_path, layout) as running:
        yield running


async def test_the_gate_finds_the_edge_that_keeps_its_old_rsa_certificate(
    config: Path, lab: RemoteLab
) -> None:
    old, without = lab.info.place("cdn-b/gru"), lab.info.place("cdn-b/scl")
    await lab.inject(
        "stale_rsa_twin", Where(frozenset({"store-001.example"}), frozenset({old.name}))
    )
    await lab.inject(
        "no_rsa_twin", Where(frozenset({"store-002.example"}), frozenset({without.name}))
    )
    day = f"{datetime.now(UTC) - timedelta(days=20):%Y-%m-%d}"
    words = ("--provider", "cdn-b", "--expect-not-before", day, "-o", "json")
    done = await check(config, *words)
    assert done.returncode == 1, done.stdout + done.stderr
    document = json.loads(done.stdout)
    assert document["summary"] == {"pass": 14, "fail": 2, "inconclusive": 0, "skipped": 0}
    first, second = (row for row in document["results"] if row["verdict"] == "fail")
    assert (first["edge"], first["what"], first["reason"]) == (old.label, RSA, OLDER)
    assert f"-connect {old.label}" in first["command"]
    assert (second["edge"], second["target"]) == (without.label, "store-002.example")
    assert "3 other edges answer RSA" in second["detail"]
    configured = await check(config, *words, "--key-types", "configured")
    assert configured.returncode == 0, "what the gate said without RSA"
