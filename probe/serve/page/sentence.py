"""How it stands, in one word and one sentence: rules over counts of states. Pure.

The sentence never claims more than was seen. "Pass" is said of what passed when it was last
judged, lately, and of nothing else; what fails comes first; what cannot be judged, what nobody
looks at any more and what nobody has looked at yet is always said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime

from probe.model.reasons import title_of
from probe.serve.page.card_view import CardView
from probe.serve.page.flow_view import FlowProblem
from probe.serve.page.standing import Level, Overview, StateCounts
from probe.state.diagnosis import INCONCLUSIVE


def level_of(standing: Overview) -> Level:
    """Whether anything confirmed fails; else whether everything was seen to pass."""
    counts = [count for _, count in standing.kinds]
    if any(count.confirmed for count in counts):
        return Level.TROUBLE
    whole = all(count.passing == count.total for count in counts) and not standing.unread
    return Level.OK if whole and (standing.edges.total or standing.flows.total) else Level.UNSURE


def sentence_of(standing: Overview, now: float, failures: Sequence[str] = ()) -> str:
    """The gravest things in words; or what passes, of how many; then all that was not seen.

    Args:
        standing: the raw states.
        now: wall time.
        failures: what fails, in words, gravest first; without any, failures are counted.
    """
    said = _failures(standing, failures)
    if not said and not any(counts.looked_at + counts.unseen for _, counts in standing.kinds):
        awaited = _enumerated(standing, lambda counts: counts.awaited)
        said = [f"no results yet: {awaited} to check" if awaited else "no results yet"]
    else:
        said += [*_quiet(standing, quiet=not said), *_not_seen(standing, now)]
    if standing.unread:
        said.append(f"{_some(standing.unread, 'target source')} cannot be read")
    text = "; ".join(said) or "no results yet"
    return text if failures else text[:1].upper() + text[1:]  # names keep their case


def _failures(standing: Overview, failures: Sequence[str]) -> list[str]:
    if failures:
        more = len(failures) - 2
        return [*failures[:2], *([f"and {more} more"] if more > 0 else [])]
    failing = {noun: counts for noun, counts in standing.kinds if counts.confirmed}
    names = failing.pop("name", None)
    said = []
    if failing:
        who = [_of(counts.confirmed, counts.total, noun) for noun, counts in failing.items()]
        many = sum(counts.confirmed for counts in failing.values()) > 1
        said.append(f"{' and '.join(who)} {'fail' if many else 'fails'}")
    if names:
        said.append(f"no address is known for {_of(names.confirmed, names.total, 'name')}")
    return said


def _quiet(standing: Overview, *, quiet: bool) -> list[str]:
    """What passes, while nothing fails; how far the first look is, in any case."""
    parts = [_progress(noun, counts, quiet=quiet) for noun, counts in standing.kinds]
    said = [part for part in parts if part]
    if any(counts.awaited for _, counts in standing.kinds):
        return said
    return [", ".join(said)] if said else []


def _progress(noun: str, counts: StateCounts, *, quiet: bool) -> str:
    passing, total, claims = counts.passing, counts.total, quiet and noun != "name"
    if counts.awaited:
        looked = counts.looked_at
        text = f"{looked:,} of {total:,} {_noun(noun, total)} checked so far"
        if not (claims and passing):
            return text
        if passing < looked:
            return f"{text}, {passing:,} of them {_passes(passing)}"
        return f"{text}, {'all of them pass' if looked > 1 else 'it passes'}"
    if not (claims and passing):
        return ""
    if passing < total:
        return f"{_of(passing, total, noun)} {_passes(passing)}"
    return f"the {noun} passes" if total == 1 else f"all {total:,} {noun}s pass"


def _not_seen(standing: Overview, now: float) -> Iterable[str]:
    """Everything that neither passes nor fails."""
    suspect = _enumerated(standing, lambda counts: counts.suspect, ("edge", "flow"))
    if suspect:
        yield f"{suspect} suspect"
    if standing.names.suspect:
        names = _some(standing.names.suspect, "name")
        yield f"DNS fails for {names} whose last known edges are probed"
    blind = _enumerated(standing, lambda counts: counts.inconclusive)
    if blind:
        yield f"{blind} cannot be judged{' yet' if standing.unclear else ': fault of this agent'}"
    unseen = _enumerated(standing, lambda counts: counts.unseen)
    if unseen:
        since = standing.unseen_since
        when = "" if since is None else f" since {clock(since, now)} or later"
        yield f"no result for {unseen}{when or ' recently'}"


def _enumerated(
    standing: Overview,
    number: Callable[[StateCounts], int],
    nouns: Sequence[str] = ("edge", "flow", "name"),
) -> str:
    """``3 edges, 1 flow and 2 names``; empty when there are none."""
    numbers = [(number(counts), noun) for noun, counts in standing.kinds if noun in nouns]
    parts = [_some(some, noun) for some, noun in numbers if some]
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def clock(at: float, now: float) -> str:
    """A time of day in UTC, with the date when it is not today's."""
    moment, today = datetime.fromtimestamp(at, UTC), datetime.fromtimestamp(now, UTC)
    if moment.date() == today.date():
        return f"{moment:%H:%M:%S} UTC"
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _of(some: int, whole: int, word: str) -> str:
    return f"{some:,} of {whole:,} {_noun(word, whole)}"


def _some(number: int, word: str) -> str:
    return f"{number:,} {_noun(word, number)}"


def _noun(word: str, number: int) -> str:
    return word if number == 1 else f"{word}{'es' if word.endswith('s') else 's'}"


def _passes(number: int) -> str:
    return "passes" if number == 1 else "pass"


# ---------------------------------------------------------------- what fails, in words


NAMED = 3
"""Most targets that a sentence names; with more, it counts them."""


def in_words(cards: Iterable[CardView], flows: Iterable[FlowProblem], now: float) -> list[str]:
    """What fails, confirmed: flows first, then edges and names; each gravest first."""
    said = [_flow(flow, now) for flow in flows]
    return said + [card_in_words(card, now) for card in cards if card.confirmed]


def card_in_words(card: CardView, now: float) -> str:
    """What fails, where, since when and why: one sentence without a full stop."""
    what = _everywhere(card) if card.everywhere else _provider(card)
    text = f"{what} since {clock(card.since, now)} — {_lower(card.reason)}"
    if card.clients:
        text = f"{text}: {card.clients}"
    return text + _unlooked(card, now)


def _everywhere(card: CardView) -> str:
    verb = "fail" if card.addresses_total else "have"
    if card.targets_total == 1:
        verb = "fails" if card.addresses_total else "has"
    return f"{_targets(card)} {verb} {_places(card)}"


def _provider(card: CardView) -> str:
    whom, through = _targets(card), _listed(card.providers)
    if not card.addresses_total:
        return f"{through} has no address for {whom}"
    addresses = _of(card.addresses_total, card.of_addresses, "address")
    verb = "fails" if card.addresses_total == 1 else "fail"
    return f"{addresses} of {through} {verb} for {whom}"


def _places(card: CardView) -> str:
    through = _listed(card.providers)
    some, whole = card.addresses_total, card.of_addresses
    if not some:
        return f"no address through {through}"
    if some < whole:
        return f"on {_of(some, whole, 'address')} of {through}"
    return f"on {'its only address' if whole == 1 else f'all {whole:,} addresses'} of {through}"


def where(card: CardView) -> str:
    """Where it fails, as the beginning of a sentence."""
    text = _places(card)
    if not card.everywhere and card.addresses_total:
        text = f"on {_of(card.addresses_total, card.of_addresses, 'address')}"
    return text[:1].upper() + text[1:]


def _targets(card: CardView) -> str:
    """The names of few, the number of many."""
    if card.targets_total <= NAMED:
        return _listed(card.targets)
    return _of(card.targets_total, card.of_targets, "target")


def _listed(names: Sequence[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def _lower(reason: str) -> str:
    """The title of a reason, within a sentence."""
    title = title_of(reason)
    return title[:1].lower() + title[1:]


def _flow(flow: FlowProblem, now: float) -> str:
    who = f"{flow.check} ({', '.join(flow.personas)})" if flow.personas else flow.check
    verb = "fails open" if flow.fails_open else "fails"
    if flow.of_targets > 1:
        verb = f"{verb} for {_of(flow.targets_total, flow.of_targets, 'target')}"
    if flow.fails_open:
        what = "a call that must be refused succeeded"
    elif flow.layer == INCONCLUSIVE:
        what = f"{_lower(flow.reason)} when it was last judged, now it cannot be"
    else:
        what = f"the {flow.layer} layer" if flow.layer else _lower(flow.reason)
    return f"{who} {verb} since {clock(flow.since, now)} — {what}" + _unlooked(flow, now)


def _unlooked(problem: CardView | FlowProblem, now: float) -> str:
    if problem.unseen_since is None:
        return ""
    return f" ({problem.unseen:,} no result since {clock(problem.unseen_since, now)})"
