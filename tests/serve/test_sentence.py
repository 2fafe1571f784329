"""The sentence never claims more than was seen: read back, it says the raw states and no others."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probe.model.failure import Failure, Phase, Reason
from probe.model.result import Failed, Inconclusive, Outcome, Passed
from probe.model.state import EdgeStatus
from probe.model.target import EdgeKey, FlowKey, ProviderKey, Target
from probe.serve.census import Through
from probe.serve.page.sentence import level_of, sentence_of
from probe.serve.page.standing import (
    Level,
    Overview,
    StateCounts,
    standing_of,
    standing_of_target,
    state_of,
    states_of,
)
from probe.serve.page.status import status_of

from .test_unseen import FLOW, NAME, NAMELESS, OURS, Watched
from .world import START, UNRECOGNIZED

STATES = ("passing", "suspect", "failing", "flapping", "inconclusive", "unseen", "awaited")
NOUNS = ("edge", "flow", "name")
COUNTS = st.builds(
    StateCounts, **dict.fromkeys(STATES, st.sampled_from([0] * 4 + [1, 1, 2, 3, 1200, 12_000]))
)
STANDINGS = st.builds(
    Overview,
    edges=COUNTS,
    flows=COUNTS,
    names=COUNTS,
    unread=st.sampled_from([0, 0, 0, 1, 2]),
    unseen_since=st.just(START),
    unclear=st.booleans(),
)
NUMBER = r"(?:(\d[\d,]*) of )?(\d[\d,]*) (edge|flow|name)(s?)"


def read(sentence: str) -> dict[tuple[str, str], tuple[int, int | None]]:
    """What a sentence claims: for each noun and claim a number, and of how many it says."""
    claims: dict[tuple[str, str], tuple[int, int | None]] = {}
    pieces: list[str] = []
    for clause in (sentence[:1].lower() + sentence[1:]).split("; "):
        if "checked so far" in clause:
            pieces.append(clause)
        else:
            pieces += clause.split(", ") if " pass" in clause else [clause]
    for piece in pieces:
        claim = next((name for name, words in CLAIMS.items() if re.search(words, piece)), "nothing")
        for some, whole, noun, plural in re.findall(NUMBER, piece.replace("all ", "")):
            number = int((some or whole).replace(",", ""))
            of = int(whole.replace(",", ""))
            assert bool(plural) == (of != 1), f"{of} {noun}{plural}"
            assert (noun, claim) not in claims, f"said twice: {sentence}"
            claims[noun, claim] = (number, of if some or "all" in piece else None)
            if claim == "looked at":
                claims |= _passing(noun, number, piece)
        single = re.fullmatch(r"the (edge|flow) passes", piece)
        if single:
            claims[single[1], "pass"] = (1, 1)
    return claims


CLAIMS = {
    "looked at": "checked so far",
    "fail": r" fails?$|^no address is known for",
    "pass": r" pass(es)?$",
    "suspect": r" suspect$|^DNS fails for|^dNS fails for",
    "inconclusive": " cannot be judged(: fault of this agent| yet)$",
    "unseen": "^no result for",
    "awaited": " to check$",
}


def _passing(
    noun: str, looked: int, piece: str
) -> Mapping[tuple[str, str], tuple[int, int | None]]:
    some = re.search(r"(all|it|[\d,]+)(?: of them)? pass(?:es)?$", piece)
    if some is None:
        return {}
    number = looked if some[1] in ("all", "it") else int(some[1].replace(",", ""))
    return {(noun, "pass"): (number, None)}


def check(standing: Overview, sentence: str) -> None:
    """Every claim is true, and everything that was not seen to pass is said."""
    claims = read(sentence)
    for noun, counts in standing.kinds:
        true = {
            "looked at": counts.looked_at,
            "fail": counts.confirmed,
            "pass": counts.passing,
            "suspect": counts.suspect,
            "inconclusive": counts.inconclusive,
            "unseen": counts.unseen,
            "awaited": counts.awaited,
        }
        assert not counts.awaited or {(noun, "looked at"), (noun, "awaited")} & claims.keys()
        for claim, number in true.items():
            said, of = claims.pop((noun, claim), (None, None))
            if said is None:
                assert not number or claim in ("pass", "looked at", "awaited"), (claim, number)
            else:
                assert said == number, (noun, claim, sentence)
                assert of in (None, counts.total), sentence
    assert not claims, f"claims nobody can check: {claims}"
    failing = any(counts.confirmed for _, counts in standing.kinds)
    if failing:
        assert re.match(r"^[^;]*(fails?|no address)|No address", sentence), "named before all else"
        assert " pass" not in sentence
    assert ("cannot be read" in sentence) == bool(standing.unread)


def check_level(standing: Overview, level: Level) -> None:
    """``ok`` only when everything was judged lately and passes."""
    counts = [counts for _, counts in standing.kinds]
    if any(count.failing or count.flapping for count in counts):
        assert level is Level.TROUBLE
        return
    everything = [
        name for count in counts for name in STATES for _ in range(min(getattr(count, name), 2))
    ]
    known = standing.edges.total + standing.flows.total > 0
    fine = known and set(everything) == {"passing"} and not standing.unread
    assert level is (Level.OK if fine else Level.UNSURE)


@settings(max_examples=500, deadline=None)
@given(standing=STANDINGS)
def test_the_sentence_read_back_says_the_raw_states_and_no_others(standing: Overview) -> None:
    check(standing, sentence_of(standing, START + 60))
    check_level(standing, level_of(standing))


@given(standing=STANDINGS)
def test_what_fails_comes_first_whatever_else_is_known(standing: Overview) -> None:
    words = ["cdn-b fails", "login fails", "one", "two"]
    sentence = sentence_of(standing, START + 60, words)
    assert sentence.startswith("cdn-b fails; login fails; and 2 more")
    assert " pass" not in sentence
    for _, counts in standing.kinds:
        assert not counts.inconclusive or f"{counts.inconclusive:,} " in sentence
        assert not counts.unseen or f"{counts.unseen:,} " in sentence


@pytest.mark.parametrize(
    ("standing", "level", "sentence"),
    [
        (Overview(), "unsure", "No results yet"),
        (Overview(edges=StateCounts(1)), "ok", "The edge passes"),
        (
            Overview(edges=StateCounts(3), flows=StateCounts(1)),
            "ok",
            "All 3 edges pass, the flow passes",
        ),
        (
            Overview(edges=StateCounts(inconclusive=3)),
            "unsure",
            "3 edges cannot be judged: fault of this agent",
        ),
        (Overview(flows=StateCounts(suspect=1)), "unsure", "1 flow suspect"),
        (
            Overview(edges=StateCounts(1), flows=StateCounts(failing=1)),
            "trouble",
            "1 of 1 flow fails",
        ),
        (
            Overview(
                edges=StateCounts(1, failing=1), flows=StateCounts(flapping=2), names=StateCounts(2)
            ),
            "trouble",
            "1 of 2 edges and 2 of 2 flows fail",
        ),
        (
            Overview(edges=StateCounts(119, awaited=11_881), names=StateCounts(40, awaited=260)),
            "unsure",
            "119 of 12,000 edges checked so far, all of them pass; 40 of 300 names checked so far",
        ),
        (
            Overview(edges=StateCounts(10, failing=1, awaited=89)),
            "trouble",
            "1 of 100 edges fails; 11 of 100 edges checked so far",
        ),
        (
            Overview(flows=StateCounts(1, inconclusive=1), unclear=True),
            "unsure",
            "1 of 2 flows passes; 1 flow cannot be judged yet",
        ),
        (
            Overview(edges=StateCounts(5), unread=1),
            "unsure",
            "All 5 edges pass; 1 target source cannot be read",
        ),
        (
            Overview(edges=StateCounts(5), names=StateCounts(1, suspect=1)),
            "unsure",
            "All 5 edges pass; DNS fails for 1 name whose last known edges are probed",
        ),
    ],
)
def test_words(standing: Overview, level: str, sentence: str) -> None:
    assert sentence_of(standing, START) == sentence
    assert level_of(standing) == level


# ---------------------------------------------------------------- from the results themselves

WORLD = Watched().world
KEYS: tuple[EdgeKey | FlowKey | ProviderKey, ...] = (
    *(WORLD.key(NAME, provider, number) for provider in ("cdn-a", "cdn-b") for number in (1, 2)),
    FLOW,
    FLOW._replace(persona="internal"),
    ProviderKey("stores", NAME, "cdn-a"),
    ProviderKey("stores", NAME, "cdn-b"),
)
INTERVAL, LIMIT = 30.0, 90.0
HAPPENS = st.tuples(
    st.sampled_from([0.0, 0.0, 20.0, 50.0, 100.0]),
    st.sampled_from(KEYS),
    st.sampled_from(["expected", "passed", "passed", "inconclusive", "suspect", "failing",
                     "flapping", "fails open", "forgotten"]),
)  # fmt: skip


class Truth:
    """What happened to one key, as the world saw it."""

    def __init__(self, key: object, now: float) -> None:
        self.name = isinstance(key, ProviderKey)
        self.seen, self.status, self.blind, self.open = now, "", False, False

    def state(self, now: float) -> str:
        """The state that follows."""
        if self.status in ("failing", "flapping") or self.open:
            return self.status if self.status == "flapping" else "failing"
        if self.status == "suspect" and not self.name:
            return "suspect"  # failed when it was last judged
        if self.blind:
            return "inconclusive"
        return "unseen" if now - self.seen >= LIMIT else self.status or "awaited"


def _happen(it: Watched, truths: dict[object, Truth], key: object, what: str) -> None:
    """One thing happens, to the store and to the truth."""
    assert isinstance(key, EdgeKey | FlowKey | ProviderKey)
    if what == "forgotten":
        gone = [key]
        if isinstance(key, ProviderKey):
            gone += [one for one in KEYS if isinstance(one, EdgeKey) and one.through == key]
        it.store.forget([key])
        for one in gone:
            truths.pop(one, None)
        return
    it.store.expect(key, INTERVAL)
    truth = truths.setdefault(key, Truth(key, it.now))
    if what == "expected":
        return
    if what == "inconclusive":
        truth.blind = True
    else:
        truth.seen, truth.blind = it.now, False
        truth.open = what == "fails open" and isinstance(key, FlowKey)
        truth.status = {"passed": "passing", "fails open": "suspect"}.get(what, what)
    _record(it, truth, key, what)


def _record(it: Watched, truth: Truth, key: object, what: str) -> None:
    if isinstance(key, ProviderKey):
        if truth.status == "flapping":
            truth.status = "failing"  # a name has an address or has none
        failure = OURS if truth.blind else None if what == "passed" else NAMELESS
        it.through = key
        it.resolved(failure, edges=0 if truth.status == "failing" else 2)
        return
    outcome: Outcome = Failed(UNRECOGNIZED)
    if what in ("passed", "inconclusive"):
        outcome = Passed() if what == "passed" else Inconclusive(OURS)
    status = EdgeStatus(truth.status or "unknown")
    if isinstance(key, FlowKey):
        it.flow_of(key, outcome, status, fails_open=truth.open)
    elif isinstance(key, EdgeKey):
        it.edge(key, outcome, status)


@settings(max_examples=120, deadline=None)
@given(happens=st.lists(HAPPENS, max_size=40))
def test_page_and_target_say_what_happened(
    happens: list[tuple[float, EdgeKey | FlowKey | ProviderKey, str]],
) -> None:
    it, truths = Watched(), dict[object, Truth]()
    it.store.forget([it.one, it.two])
    for pause, key, what in happens:
        it.now += pause
        _happen(it, truths, key, what)
        if int(it.now) % 3:
            list(it.store.sweep())
    list(it.store.sweep())
    states = Counter((type(key), truth.state(it.now)) for key, truth in truths.items())
    counted = {
        kind: StateCounts(**{name: states[kind, name] for name in STATES})
        for kind in (EdgeKey, FlowKey, ProviderKey)
    }
    standing = standing_of(it.store, states_of(it.store))
    assert standing.edges == counted[EdgeKey]
    assert standing.flows == counted[FlowKey]
    assert standing.names == counted[ProviderKey]
    status = status_of(it.store, START + it.now)
    check_level(standing, status.level)
    for provider in status.providers:
        through = Through(provider.check, provider.provider)
        members = it.store.census.providers[through].members
        known = {state_of(it.store, key) for key in members}
        assert (provider.state == "passing") == (known == {"passing"})
        assert provider.state in known | ({"failing"} if "flapping" in known else set())
        assert provider.inconclusive == sum(key in members for key in it.store.blind)
    assert sum(view.count for view in status.blind) == len(it.store.blind)
    failing = any(counts.confirmed for counts in counted.values())
    if failing:
        assert " pass" not in status.sentence
    else:
        check(standing, status.sentence)
    of_all = [standing_of_target(it.store, [one]) for one in it.store.targets.values()]
    for kind in ("edges", "flows", "names"):
        whole = sum((Counter(_raw(getattr(one, kind))) for one in of_all), Counter[str]())
        assert +whole == +Counter(_raw(getattr(standing, kind)))


def _raw(counts: StateCounts) -> dict[str, int]:
    return {name: getattr(counts, name) for name in STATES}


def test_a_refusal_of_which_nobody_knows_whose_fault_it_is_is_not_called_ours() -> None:
    it = Watched()
    it.store.forget([it.one, it.two])
    it.store.set_targets("developer-cli", [Target("developer-cli")])
    unclear = Failure(Phase.AUTH, Reason.REFUSAL_UNCLEAR, "answered 401")
    it.flow_of(FLOW, Inconclusive(unclear), EdgeStatus.UNKNOWN)
    status = status_of(it.store, START)
    assert status.sentence == "1 flow cannot be judged yet"
    (flow,) = status.flows
    assert flow.state == "inconclusive"
