"""The status page and the API: what they say, that they escape it, and that they stay small."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
from markupsafe import escape

from probe.model.failure import Failure, Phase, Reason
from probe.model.result import (
    Evidence,
    Failed,
    Inconclusive,
    Outcome,
    Passed,
    ResolveResult,
    Timestamps,
)
from probe.model.state import Diagnosis, EdgeStatus, Transition
from probe.model.target import Edge, EdgeKey, FlowKey, ProviderKey, Resolution
from probe.serve import CertificatesKey, CertificateSplit, Store, application
from probe.serve.http import web
from probe.serve.http.message import WebRequest
from probe.serve.memory.agent import SourceView
from probe.serve.page.html import date, days, lasting, milliseconds, status_page, target_page
from probe.serve.page.standing import Level
from probe.serve.page.status import status_of
from probe.serve.page.target_view import target_view

from .test_serving import ask, serving
from .world import ILL, START, UNRECOGNIZED, World, filled, flow_result, leaf, spec

NOW = START + 131.0
EVIL = "</pre><script>alert('1')</script><img src=x onerror=\"alert(2)\">"


def sentence(store: Store) -> str:
    return status_of(store, NOW).sentence


def test_the_2021_incident_in_one_sentence() -> None:
    assert sentence(filled(targets=300, cli_broken=False)) == (
        "2 of 4 addresses of cdn-b fail for 9 of 300 targets since 14:13:42 UTC"
        " — the edge does not know this name"
    )


def test_the_2023_incident_in_one_sentence() -> None:
    store = filled(broken_targets=0)
    assert sentence(store) == (
        "developer-cli (developer) fails since 14:13:50 UTC — the authorization layer"
    )


def test_all_well_in_one_sentence() -> None:
    store = filled(targets=300, broken_targets=0, cli_broken=False)
    assert sentence(store) == "All 2,400 edges pass, all 2 flows pass"
    assert status_of(store, NOW).level is Level.OK


def test_no_results_are_not_all_well() -> None:
    status = status_of(Store("sa-east", started_at=START), NOW)
    assert (status.level, status.sentence) == (Level.UNSURE, "No results yet")


def test_a_suspicion_accuses_nobody() -> None:
    store, world = filled(broken_targets=0, cli_broken=False), World()
    key = world.key("store-00003.example")
    store.record_edge(world.result(key, Failed(UNRECOGNIZED)), EdgeStatus.SUSPECT, START)
    status = status_of(store, NOW)
    assert status.level is Level.UNSURE
    assert status.sentence == "239 of 240 edges pass, all 2 flows pass; 1 edge suspect"
    (problem,) = status.problems
    assert not problem.confirmed


def test_what_cannot_be_judged_is_said_to_be_our_fault() -> None:
    store, world = filled(broken_targets=0, cli_broken=False), World()
    ours = Inconclusive(Failure(Phase.CONNECT, Reason.NO_ROUTE))
    blind = world.result(world.key("store-00003.example"), ours, shook=False)
    store.record_edge(blind, EdgeStatus.PASSING, START)
    status = status_of(store, NOW)
    assert status.level is Level.UNSURE
    assert status.sentence == (
        "239 of 240 edges pass, all 2 flows pass; 1 edge cannot be judged: fault of this agent"
    )
    assert [(view.reason, view.count) for view in status.blind] == [("no_route", 1)]


def test_a_flow_that_cannot_be_judged_is_not_said_to_pass() -> None:
    store = filled(broken_targets=0, cli_broken=False)
    key = FlowKey("developer-cli", "developer-cli", "live", "developer")
    ours = Inconclusive(Failure(Phase.AUTH, Reason.CREDENTIALS_REFUSED, "answered 401"))
    run = replace(flow_result(key, START), outcome=ours, steps=())
    store.record_flow(run, Diagnosis("inconclusive", "ours"), EdgeStatus.PASSING, START)
    assert sentence(store) == (
        "All 240 edges pass, 1 of 2 flows passes; 1 flow cannot be judged: fault of this agent"
    )


def test_a_flow_under_suspicion_is_not_said_to_pass() -> None:
    store = filled(broken_targets=0, cli_broken=False)
    key = FlowKey("developer-cli", "developer-cli", "live", "developer")
    run = flow_result(key, START, ("apps",))
    store.record_flow(run, Diagnosis("backend", "why"), EdgeStatus.SUSPECT, START)
    status = status_of(store, NOW)
    assert status.level is Level.UNSURE
    assert status.sentence == "All 240 edges pass, 1 of 2 flows passes; 1 flow suspect"


def test_what_failed_and_cannot_be_judged_now_is_said_so_in_every_place() -> None:
    """Headline, card and API agree: it failed, nothing passes, and now the fault is ours."""
    store = Store("sa-east", started_at=START)
    key = FlowKey("developer-cli", "developer-cli", "live", "developer")
    run = flow_result(key, START, ("whoami",))
    store.record_flow(run, Diagnosis("authorization", "why"), EdgeStatus.FAILING, START)
    ours = Inconclusive(Failure(Phase.AUTH, Reason.SECRET_MISSING, "env:TOKEN is not set"))
    blind = replace(flow_result(key, START + 30), outcome=ours, steps=())
    store.record_flow(blind, Diagnosis("inconclusive", "ours"), EdgeStatus.FAILING, START)
    status = status_of(store, NOW)
    assert (status.level, status.sentence) == (
        Level.TROUBLE,
        "developer-cli (developer) fails since 14:13:20 UTC"
        " — the status is not the expected one when it was last judged, now it cannot be",
    )
    (flow,) = status.flows
    assert (flow.state, flow.reason, flow.layer) == ("failing", "secret_missing", "inconclusive")
    (card,) = re.findall("<article.*?</article>", status_page(status), re.DOTALL)
    assert "Cannot be judged now: A secret of the agent is missing. env:TOKEN is not set" in card
    assert "It failed when it was last judged." in card
    assert "passing" not in card
    assert "To blame" not in card


def test_what_the_latest_attempt_could_not_judge_is_shown_nowhere_as_passing() -> None:
    store, world = Store("sa-east", started_at=START), World()
    key = world.key("shop.example")
    store.record_edge(world.result(key), EdgeStatus.PASSING, START)
    ours = Inconclusive(Failure(Phase.CONNECT, Reason.NO_ROUTE))
    store.record_edge(world.result(key, ours, shook=False), EdgeStatus.PASSING, START)
    view = target_view(store, "shop.example", NOW)
    assert view is not None
    assert (view.level, view.sentence) == (
        Level.UNSURE,
        "1 edge cannot be judged: fault of this agent",
    )
    assert [edge.state for edge in view.edges] == ["inconclusive"]
    assert [provider.state for provider in status_of(store, NOW).providers] == ["inconclusive"]


@pytest.mark.parametrize(
    ("second", "state"),
    [
        (EdgeStatus.PASSING, "passing"),
        (EdgeStatus.SUSPECT, "suspect"),
        (EdgeStatus.FLAPPING, "failing"),
        (None, "awaited"),
    ],
)
def test_a_provider_passes_when_all_of_it_does(second: EdgeStatus | None, state: str) -> None:
    store, world = Store("sa-east", started_at=START, clock=lambda: 0.0), World()
    one, two = (world.key("shop.example", number=number) for number in (1, 2))
    for key in (one, two):
        store.expect(key, 30.0)
    store.record_edge(world.result(one), EdgeStatus.PASSING, START)
    if second is not None:
        outcome = None if second is EdgeStatus.PASSING else Failed(UNRECOGNIZED)
        store.record_edge(world.result(two, outcome), second, START)
    (provider,) = status_of(store, NOW).providers
    assert provider.state == state
    assert ("✓</span> passing" in status_page(status_of(store, NOW))) == (state == "passing")


def test_a_provider_whose_names_dns_fails_for_does_not_pass() -> None:
    """Its last known addresses are still probed, and pass."""
    store, world = Store("sa-east", started_at=START), World()
    key = world.key("shop.example")
    store.record_resolution(world.resolved(key.through, [world.edge("cdn-a", 1)]))
    store.record_edge(world.result(key), EdgeStatus.PASSING, START)
    assert [provider.state for provider in status_of(store, NOW).providers] == ["passing"]
    servfail = Failure(Phase.RESOLVE, Reason.SERVFAIL)
    known = Resolution((world.edge("cdn-a", 1),), servfail)
    store.record_resolution(ResolveResult(key.through, START, known))
    status = status_of(store, NOW)
    assert [provider.state for provider in status.providers] == ["suspect"]
    assert status.standing.names.suspect == 1
    assert "✓</span> passing" not in status_page(status)


def test_one_edge_and_one_flow_are_counted_as_what_they_are() -> None:
    """A target in a TLS check and in a flow: each noun has its own number."""
    store, world = Store("sa-east", started_at=START), World()
    store.record_edge(world.result(world.key("shop.example")), EdgeStatus.PASSING, START)
    key = FlowKey("journey", "shop.example", "cdn-a", "")
    run = flow_result(key, START, ("apps",))
    store.record_flow(run, Diagnosis("backend", "why"), EdgeStatus.FAILING, START)
    view = target_view(store, "shop.example", NOW)
    assert view is not None
    assert (view.level, view.sentence) == (Level.TROUBLE, "1 of 1 flow fails")


def test_seconds_after_a_start_the_page_says_how_many_were_looked_at() -> None:
    store, world = Store("sa-east", started_at=START, clock=lambda: 0.0), World()
    edges = [world.key(f"store-{number}.example") for number in range(12_000)]
    for edge in edges:
        store.expect(edge, 30.0)
    for number in range(300):
        store.expect(ProviderKey("stores", f"store-{number}.example", "cdn-b"), 60.0)
    for edge in edges[:119]:
        store.record_edge(world.result(edge), EdgeStatus.PASSING, START)
    status = status_of(store, START + 3)
    assert (status.level, status.sentence) == (
        Level.UNSURE,
        "119 of 12,000 edges checked so far, all of them pass; 0 of 300 names checked so far",
    )
    assert (status.standing.edges.passing, status.standing.edges.awaited) == (119, 11_881)
    assert "<strong>119</strong> of 12,000 edges judged" in status_page(status)


def test_journeys_of_many_stores_are_one_sentence() -> None:
    store = Store("sa-east", started_at=START)
    for number in range(20):
        key = FlowKey("journey", f"store-{number}.example", "cdn-a", "")
        broken = number < 3
        run = flow_result(key, START, ("apps",) if broken else ())
        diagnosis = Diagnosis("backend", "why") if broken else Diagnosis()
        status = EdgeStatus.FAILING if broken else EdgeStatus.PASSING
        store.record_flow(run, diagnosis, status, START)
    assert sentence(store) == (
        "journey fails for 3 of 20 targets since 14:13:20 UTC — the backend layer"
    )


def test_a_name_without_an_address_is_in_the_sentence() -> None:
    store = filled(broken_targets=0, cli_broken=False)
    through = ProviderKey("stores", "store-00001.example", "cdn-a")
    world = World()
    store.forget([world.key(through.target, "cdn-a", number) for number in range(1, 5)])
    nxdomain = Failure(Phase.RESOLVE, Reason.NXDOMAIN, "192.0.2.53 says NXDOMAIN")
    store.record_resolution(ResolveResult(through, START, Resolution((), nxdomain, seconds=0.1)))
    assert sentence(store) == (
        "cdn-a has no address for store-00001.example since 14:13:20 UTC"
        " — the name does not exist in DNS"
    )
    view = target_view(store, through.target, NOW)
    assert view is not None
    assert view.level is Level.TROUBLE


def seen_by(store: Store, outcomes: dict[str, Outcome], number: int = 1) -> None:
    """An edge of cdn-b as several clients see it; failures are confirmed."""
    world = World()
    for client, outcome in outcomes.items():
        key = world.key("store-00000.example", "cdn-b", number, client)
        failing = isinstance(outcome, Failed)
        status = EdgeStatus.FAILING if failing else EdgeStatus.PASSING
        store.record_edge(world.result(key, outcome), status, START)


REFUSED = Failed(Failure(Phase.TLS, Reason.ALERT_HANDSHAKE_FAILURE))


def test_the_sentence_names_the_clients_that_fail_and_those_that_pass_there() -> None:
    store = filled(broken_targets=0, cli_broken=False)
    seen_by(store, {"java": REFUSED, "android": REFUSED, "chrome": Passed()})
    said = "fails for android and java, passes for chrome and default"
    assert sentence(store) == (
        "1 of 4 addresses of cdn-b fails for store-00000.example since 14:13:20 UTC"
        f" — the edge refuses the handshake: {said}"
    )
    status = status_of(store, NOW)
    assert f"It {said}." in status_page(status)
    assert status.problems[0].passes_for == ("chrome", "default")


def test_no_client_is_said_to_pass_that_was_not_seen_to_pass_wherever_another_fails() -> None:
    store = filled(broken_targets=0, cli_broken=False)
    ours = Inconclusive(Failure(Phase.TLS, Reason.LOCAL_RESOURCE))
    seen_by(store, {"java": REFUSED, "chrome": Passed(), "go": Passed(), "safari": ours})
    seen_by(store, {"java": REFUSED, "go": Passed()}, number=2)  # chrome has not looked there
    seen_by(store, {"curl": Passed()}, number=3)
    (problem,) = status_of(store, NOW).problems
    assert (problem.fails_for, problem.passes_for) == (("java",), ("default", "go"))
    silent = World().key("store-00000.example", "cdn-b", 2, "go")
    store.census.judge(silent, EdgeStatus.UNSEEN, START, None)
    (problem,) = status_of(store, NOW).problems
    assert problem.passes_for == ("default",)


def test_where_one_client_looks_none_is_named() -> None:
    status = status_of(filled(), NOW)
    assert (status.problems[0].fails_for, status.cards[0].clients) == (("default",), "")


def test_yesterdays_times_carry_their_date() -> None:
    text = status_of(filled(cli_broken=False), NOW + 86_400).sentence
    assert "since 2026-09-21 14:13:42 UTC" in text


# ---------------------------------------------------------------- escaping


def hostile() -> Store:
    """A store in which every text that comes from outside is an attack."""
    store = Store(EVIL, started_at=START)
    name, provider = f"{EVIL}.example", f"cdn{EVIL}"
    edge = Edge("192.0.2.1", 443, cnames=(EVIL,))
    key = EdgeKey("stores", name, provider, edge.label, EVIL)
    bad = replace(leaf(name), subject=EVIL, issuer=EVIL, key=EVIL, dns_names=(EVIL,))
    world = World(leaves={(name, provider): bad})
    failure = Failure(Phase.CERTIFICATE, Reason.EXPIRED, EVIL)
    result = replace(world.result(key, Failed(failure)), command=EVIL, browser=EVIL)
    store.record_edge(result, EdgeStatus.FAILING, START)
    dns = Resolution((edge,), Failure(Phase.RESOLVE, Reason.SERVFAIL, EVIL), notes=(EVIL,))
    store.record_resolution(ResolveResult(key.through, START, dns))
    split = CertificatesKey("stores", name, provider, EVIL)
    store.record_split(CertificateSplit(split, 2, (key,), START, alarming=True))
    flow = FlowKey("stores", name, provider, EVIL)
    evidence = Evidence(EVIL, 500, {EVIL: EVIL}, EVIL, EVIL, EVIL)
    run = flow_result(flow, START, ("apps",), Failure(Phase.EXPECT, Reason.STATUS, EVIL))
    steps = tuple(
        replace(step, step=EVIL, layer=EVIL, evidence=replace(evidence, trace_id=""))
        for step in run.steps
    )
    diagnosis = Diagnosis(EVIL, EVIL, (EVIL,), fails_open=True)
    store.record_flow(replace(run, steps=steps), diagnosis, EdgeStatus.FAILING, START)
    store.note(Transition(key, EVIL, EVIL, START, START, failure, EVIL, EVIL))
    store.agent.build(version=EVIL, python=EVIL, openssl=EVIL)
    store.agent.health = lambda: ILL
    store.agent.reloaded(success=False, at=START, problem=EVIL)
    store.agent.sources = lambda: (SourceView(EVIL, EVIL, False, problem=EVIL),)
    blind = world.result(key._replace(client="x"), Inconclusive(replace(failure, detail=EVIL)))
    store.record_edge(blind, EdgeStatus.UNKNOWN, START)
    return store


class Seen(HTMLParser):
    """Collects elements and attributes, as a browser would build them."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.unclosed: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in {"meta", "link", "br", "input"}:
            self.unclosed.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.unclosed.pop() == tag, f"</{tag}> closes another element"


def pages(store: Store, name: str) -> list[str]:
    view = target_view(store, name, NOW)
    assert view is not None
    return [status_page(status_of(store, NOW)), target_page(view)]


def test_no_text_from_outside_becomes_markup() -> None:
    store = hostile()
    for page in pages(store, f"{EVIL}.example"):
        assert page.count(str(escape(EVIL))) > 8
        seen = Seen()
        seen.feed(page)
        assert seen.tags.count("script") == 1
        assert "img" not in seen.tags
        assert not [name for name, _ in seen.attributes if name.startswith("on")]
        assert seen.unclosed == []


def test_the_pages_need_nothing_inline_and_nothing_from_elsewhere() -> None:
    for page in pages(filled(), "store-00000.example"):
        seen = Seen()
        seen.feed(page)
        assert seen.unclosed == []
        assert "style" not in seen.tags
        assert not [name for name, _ in seen.attributes if name in {"style", "onclick", "onload"}]
        links = [value or "" for name, value in seen.attributes if name in {"href", "src"}]
        assert links
        assert all(link.startswith(("/", "data:,")) for link in links)


@pytest.mark.parametrize("path", ["/", "/target/store-00000.example", "/api/v1/status"])
async def test_a_strict_policy_goes_with_every_page(path: str) -> None:
    async with serving(filled()) as address:
        head, _ = await ask(address, path)
        style, css = await ask(address, "/static/style.css")
        nothing, _ = await ask(address, "/static/..%2fpage.py")
    policy = re.search(r"content-security-policy: (.*)\r", head, re.IGNORECASE)
    assert policy
    assert "default-src 'none'" in policy[1]
    assert "unsafe" not in policy[1]
    assert "x-content-type-options: nosniff" in head.lower()
    assert style.startswith("HTTP/1.1 200")
    assert b"prefers-color-scheme: dark" in css
    assert nothing.startswith("HTTP/1.1 404")


def test_no_state_is_told_by_colour_alone() -> None:
    for page in pages(filled(), "store-00000.example"):
        marked = r'class="state ([a-z]+)"><span aria-hidden="true">(.)</span> (\S+)<'
        states = re.findall(marked, page)
        assert states
        assert all(sign.strip() and word for _, sign, word in states)


# ---------------------------------------------------------------- size


def test_hundreds_of_failing_edges_stay_a_short_page() -> None:
    store = filled(targets=150, broken_targets=150, broken_edges=4)
    page = status_page(status_of(store, NOW))
    assert len(page) < 40_000
    assert "and 145 more" in page
    assert "cdn-b" in page
    assert "4 of 4 addresses of cdn-b fail for 150 of 150 targets" in page


# ---------------------------------------------------------------- the API


async def status_json(store: Store, query: str = "") -> dict[str, Any]:
    async with serving(store) as address:
        head, body = await ask(address, f"/api/v1/status{query}")
    assert head.startswith("HTTP/1.1 200")
    assert "content-type: application/json" in head.lower()
    answer: dict[str, Any] = json.loads(body)
    return answer


async def test_scripts_read_the_same_as_people() -> None:
    status = await status_json(filled())
    assert status["region"] == "sa-east"
    assert status["totals"]["edges"] == 240
    assert status["totals"]["edges_failing"] == status["edges_total"] == 18
    edge = status["edges"][0]
    assert edge["provider"] == "cdn-b"
    assert (edge["phase"], edge["reason"]) == ("tls", "alert_unrecognized_name")
    assert edge["command"].startswith("openssl s_client")
    assert edge["since"] == START + 22.0
    problem = status["problems"][0]
    assert (problem["targets_total"], problem["of_targets"]) == (9, 30)
    assert problem["edges"] == sorted({edge["edge"] for edge in status["edges"]})
    flow = status["flows"][0]
    assert (flow["layer"], flow["persona"]) == ("authorization", "developer")
    outcomes = {step["step"]: step["outcome"] for step in flow["steps"]}
    assert outcomes["login"] == "passed"
    assert outcomes["whoami"] == "failed"
    assert {provider["provider"] for provider in status["providers"]} == {"live", "cdn-a", "cdn-b"}
    assert status["changes"][0]["after"] == "authorization"
    assert status["sources"][0]["up"] is True
    assert status["agent"]["vantage_healthy"] is True


async def test_an_ill_vantage_says_why_and_what_it_cannot_judge() -> None:
    store = filled()
    store.agent.health = lambda: ILL
    agent = (await status_json(store))["agent"]
    assert agent["vantage_causes"] == ["clock", "dns"]
    assert agent["vantage_evidence"] == [
        "clock: slow",
        "dns: dead",
        "network cannot be judged: nothing to compare with",
    ]


async def test_the_list_of_edges_is_as_long_as_asked_for() -> None:
    store = filled()
    assert len((await status_json(store, "?edges=5"))["edges"]) == 5
    assert len((await status_json(store, "?edges=0"))["edges"]) == 0


async def test_pages_of_edges_follow_each_other_without_gap_or_repetition() -> None:
    store = filled()
    whole = await status_json(store)
    assert whole["edges_next"] is None
    seen: list[Any] = []
    after: Any = ""
    while after is not None:
        answer = await status_json(store, f"?edges=7&after={after}")
        assert len(answer["edges"]) <= 7
        seen += answer["edges"]
        after = answer["edges_next"]
    assert seen == whole["edges"]
    assert len(seen) == 18


@pytest.mark.parametrize("cursor", ["x", "W10", "bnVsbA", "WzEsMl0", "%00", "W1tdXQ"])
async def test_a_cursor_of_the_clients_own_making_is_refused(cursor: str) -> None:
    async with serving(filled(targets=1)) as address:
        head, body = await ask(address, f"/api/v1/status?after={cursor}")
    assert head.startswith("HTTP/1.1 400")
    assert b"edges_next" in body


async def test_the_status_is_sent_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many edges fail, no answer is rendered as a whole."""
    monkeypatch.setattr(web, "SLICE", 2000)
    sent: list[int] = []

    async def handler(store: Store) -> bytes:
        request = WebRequest("GET", "/api/v1/status", {"edges": "10000"}, host="localhost")
        found, _ = application(store)(request)
        answer = await found(request)
        assert not isinstance(answer.body, bytes)
        pieces = [piece async for piece in answer.body]
        sent.extend(map(len, pieces[1:]))
        return b"".join(pieces)

    status = json.loads(await handler(filled(targets=40, broken_targets=40, broken_edges=4)))
    assert len(status["edges"]) == status["totals"]["edges_failing"] == 160
    assert len(sent) > 20
    assert max(sent) < 4000


@pytest.mark.parametrize("asked", ["x", "-1", "99999", "1e3", "%D9%A3"])
async def test_an_odd_number_of_edges_is_refused(asked: str) -> None:
    async with serving(filled(targets=1)) as address:
        head, _ = await ask(address, f"/api/v1/status?edges={asked}")
    assert head.startswith("HTTP/1.1 400")


def test_while_an_edge_flaps_its_evidence_stays() -> None:
    """A passing attempt in between must not hide why the edge is flapping."""
    store, world = Store("sa-east", started_at=START), World()
    store.configure(spec())
    key = world.key("shop.example")
    store.record_edge(world.result(key, Failed(UNRECOGNIZED)), EdgeStatus.FLAPPING, START)
    store.record_edge(world.result(key, Passed()), EdgeStatus.FLAPPING, START)
    (edge,) = status_of(store, NOW).edges
    assert (edge.state, edge.reason) == ("flapping", "alert_unrecognized_name")
    store.record_edge(world.result(key, Passed()), EdgeStatus.PASSING, START)
    assert status_of(store, NOW).edges == ()


def test_the_page_of_a_target_shows_every_edge_and_which_leaf_it_serves() -> None:
    view = target_view(filled(), "store-00000.example", NOW)
    assert view is not None
    assert view.sentence == "2 of 8 edges fail"
    assert [edge.state for edge in view.edges] == ["failing"] * 2 + ["passing"] * 6
    assert [(one.letter, one.edges) for one in view.leaves] == [("A", 4), ("B", 2)]
    assert target_view(filled(targets=1), "nobody.example", NOW) is None


def test_the_page_of_a_target_says_what_logs_confirmed_of_its_certificate() -> None:
    store, world = Store("sa-east", started_at=START), World()
    store.configure(spec())
    result = world.result(world.key("shop.example"), Passed())
    assert result.handshake is not None
    for timestamps, said in (
        (Timestamps(3, 0, 3, 2, checked=False), "3 of distinct logs (signatures not checked)"),
        (Timestamps(1, 0, 1, 2, checked=True), "1 of distinct logs checked with the list of logs"),
    ):
        seen = replace(result, handshake=replace(result.handshake, timestamps=timestamps))
        store.record_edge(seen, EdgeStatus.PASSING, START)
        view = target_view(store, "shop.example", NOW)
        assert view is not None
        assert f"{said}, browsers need 2" in target_page(view)


@pytest.mark.parametrize(
    ("days_on", "said"), [(29, None), (31, "due"), (46, "late"), (58, "urgent")]
)
def test_the_page_of_a_target_says_what_is_to_be_renewed(days_on: int, said: str | None) -> None:
    """Its certificates live for 90 days, and 60 are left at the start."""
    view = target_view(filled(), "store-00000.example", START + days_on * 86_400)
    assert view is not None
    page = target_page(view)
    stages = {stage for stage in ("due", "late", "urgent") if f"renewal {stage} since" in page}
    assert stages == ({said} if said else set())


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (lasting(0.4), "0 s"),
        (lasting(109), "1 min 49 s"),
        (lasting(3600), "1 h"),
        (lasting(11_100), "3 h 5 min"),
        (lasting(90_000), "1 d 1 h"),
        (lasting(-5), "0 s"),
        (milliseconds(0.0421), "42 ms"),
        (milliseconds(None), ""),
        (date(START), "2026-09-21"),
        (days(59.5 * 86_400), "in 59 days"),
        (days(-86_400 * 3), "3 days ago"),
    ],
)
def test_numbers_for_people(shown: str, expected: str) -> None:
    assert shown == expected
