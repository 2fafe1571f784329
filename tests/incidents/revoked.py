"""Revocation lists in a simulated day: late, out of reach, and with a certificate that is served.

The judge and what it knows of lists are the agent's own, and so are the times between two looks.
The lists are real ones, signed by an authority of ours.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import cache

from probe.certificates import Judge, Roots
from probe.certificates.crl import read_list
from probe.certificates.lists import RevocationLists
from probe.certificates.verdict import Finding, Verdict
from probe.model.failure import Failure, Reason
from probe.model.state import Confirmation
from probe.model.tls import ChainExpectations, Trust
from probe.revocation.timing import after_failure, after_success
from tests.certificates.authority import NOW, Made, intermediate, root
from tests.certificates.revoking import entry, named, revocation_list

from .series import Series
from .virtual import DAY, INTERVAL, Course, Span, walk

LISTS = 4
"""That served certificates name."""

HOUR = 3600.0
NEVER = Span(0, 0)
EVERY, LASTS = 6 * HOUR, 8 * HOUR
"""A list is published so often, and says that it holds for so long."""

FRESH = 300.0
"""Seconds for which caches may keep it."""

_GONE = Finding(Reason.CRL_UNAVAILABLE, "the list cannot be fetched", fatal=False)


@dataclass(frozen=True, slots=True)
class Story:
    """One list's day, and what an edge serves that names it.

    Attributes:
        late: when it is past its end, because the authority publishes no other.
        away: when its server gives nothing.
        revokes: the second from which it names a certificate; None when it names none.
        served: when the edge serves that certificate; at other times it serves a good one.
    """

    url: str
    late: Span | None = None
    away: tuple[Span, ...] = ()
    revokes: float | None = None
    served: Span = NEVER


def stories(number: int, seed: int, dice: random.Random) -> Iterator[Story]:
    """Give the day of every list, as one region meets it.

    Its server is out of this region's reach for an hour at most, every day. One day in three an
    authority publishes up to five hours late; one in five a server is gone for hours, for all.
    """
    everywhere = random.Random(f"lists {number} {seed}")
    late, gone = everywhere.random() < 1 / 3, everywhere.random() < 1 / 5
    for n in range(LISTS):
        end = EVERY + LASTS
        missed = Span(end, end + everywhere.uniform(600, 5 * HOUR))
        start = everywhere.uniform(0, DAY - 5 * HOUR)
        long = Span(start, start + everywhere.uniform(3 * HOUR, 5 * HOUR))
        start = dice.uniform(0, DAY - HOUR)
        short = Span(start, start + dice.uniform(300, HOUR))
        yield Story(
            _url(n), missed if late and n == 0 else None, (short, long)[: 1 + (gone and n == 1)]
        )


def edge_serves_revoked(span: Span) -> Story:
    """One edge goes back to a certificate that was revoked, long ago."""
    return Story(_url(LISTS), revokes=0.0, served=span)


def list_names_served(span: Span) -> Story:
    """The certificate that one edge serves is revoked; it serves another one when the span ends."""
    return Story(_url(LISTS + 1), revokes=span.start, served=Span(0, span.end))


def listed(series: Series, region: str, dice: random.Random, told: Iterable[Story]) -> list[Course]:
    """Write what an agent says of its lists; return an edge of each, attempt by attempt."""
    courses = []
    for story in told:
        agent, troubles = _Agent(story), dict[Reason, list[float]]()

        def meets(
            now: float, agent: _Agent = agent, troubles: dict[Reason, list[float]] = troubles
        ) -> Failure | None:
            agent.look(now)
            for standing in agent.lists.standings(_wall(now)):
                if standing.trouble is not None:
                    troubles.setdefault(standing.trouble, []).append(now)
            return next(iter(agent.judged(now).failures), None)

        courses.append(walk(meets, dice.uniform(0, INTERVAL), DAY, Confirmation()))
        for reason, times in troubles.items():
            labels = f'region="{region}",instance="{region}",reason="{reason}",url="{story.url}"'
            for at in times:
                span = Span(at, at + INTERVAL)
                series.span(f"probe_agent_crl_trouble{{{labels}}}", span, 1, None)
    return courses


class _Agent:
    """What one agent knows of one list, and when it asks again."""

    def __init__(self, story: Story) -> None:
        self.lists = RevocationLists()
        self._story = story
        self._due: float | None = None
        self._failures = 0
        top, self._issuer = _authorities()
        self._judge = Judge(lambda _: Roots.of([top.der]), lists=self.lists)

    def judged(self, now: float) -> Verdict:
        """Judge what the edge serves; nothing is waited for."""
        bad = self._story.served.start <= now < self._story.served.end
        chain = (_leaves(self._story.url)[bad].der, self._issuer.der)
        question = self._judge.judge(
            chain, "shop.example", _wall(now), trust=Trust(), expect=ChainExpectations()
        )
        try:
            question.send(None)
        except StopIteration as done:
            verdict: Verdict = done.value
            return verdict
        raise AssertionError("the judge waited")

    def look(self, now: float) -> None:
        """Ask for the list whenever the agent had done so until now; at once when it is new."""
        if self._due is None and self._story.url in self.lists.known:
            self._due = now
        while self._due is not None and self._due <= now:
            self._due += self._looked(self._due)

    def _looked(self, now: float) -> float:
        url = self._story.url
        if any(span.start <= now < span.end for span in self._story.away):
            self._failures += 1
            self.lists.take(url, _wall(now), _GONE)
            return after_failure(self._failures)
        self._failures = 0
        held = read_list(_published(self._story, now), [self._issuer.der])
        self.lists.take(url, _wall(now), held)
        return after_success(FRESH, held.next_update, _wall(now))


def _published(story: Story, now: float) -> bytes:
    """Return the list that the server gives at a second of the day."""
    begins = now // EVERY * EVERY
    if story.late is not None and now < story.late.end:
        begins = min(begins, story.late.start - LASTS)
    if story.revokes is None or now < story.revokes:
        return _signed(story.url, begins, names=False)
    return _signed(story.url, max(begins, story.revokes), names=True)


@cache
def _signed(url: str, begins: float, *, names: bool) -> bytes:
    _, issuer = _authorities()
    entries = [entry(_leaves(url)[True])] if names else []
    start = NOW + timedelta(seconds=int(begins))
    return revocation_list(issuer, *entries, begins=start, lasts=timedelta(seconds=LASTS))


@cache
def _authorities() -> tuple[Made, Made]:
    top = root()
    return top, intermediate(top)


@cache
def _leaves(url: str) -> tuple[Made, Made]:
    """Make a certificate that is never revoked, and one that may be."""
    issuer = _authorities()[1]
    return named(issuer, url), named(issuer, url)


def _url(number: int) -> str:
    return f"http://crl.example/{number}.crl"


def _wall(now: float) -> float:
    return NOW.timestamp() + now
