"""Failures of only a part of the calls, counted by what differs on the server's side: pure.

Where every call takes another machine, cluster or release, one of them being ill shows as a
share of failures. Counted by address and by the response headers that name the part, the ill
one stands out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from probe.model.result import Failed, Passed, StepResult

ADDRESS = "address"


@dataclass(frozen=True, slots=True)
class Share:
    """What came of the calls that one part served.

    Attributes:
        fact: ``address``, or a header's name.
        value: which part.
        calls: how many it served.
        failures: how many of them failed.
    """

    fact: str
    value: str
    calls: int
    failures: int


def spread(results: Iterable[StepResult], headers: Iterable[str]) -> tuple[Share, ...]:
    """Calls and failures by address and by each header, most failures first.

    Args:
        results: attempts of one or several runs; inconclusive and skipped ones do not count.
        headers: the check's ``instance_headers``.
    """
    counts: dict[tuple[str, str], list[int]] = {}
    wanted = [name.lower() for name in headers]
    for result in results:
        if not isinstance(result.outcome, (Passed, Failed)):
            continue
        facts = {name: result.evidence.headers.get(name) for name in wanted}
        facts[ADDRESS] = result.edge.label if result.edge is not None else None
        for fact, value in facts.items():
            if value is not None:
                count = counts.setdefault((fact, value), [0, 0])
                count[0] += 1
                count[1] += isinstance(result.outcome, Failed)
    shares = [Share(*key, *count) for key, count in counts.items()]
    return tuple(sorted(shares, key=lambda one: (-one.failures, one.fact, one.value)))


def telling(shares: Iterable[Share]) -> tuple[Share, ...]:
    """The parts that explain the failures: they fail, while others of the same fact do not.

    A fact with one value, or whose every value fails, explains nothing.
    """
    by_fact: dict[str, list[Share]] = {}
    for share in shares:
        by_fact.setdefault(share.fact, []).append(share)
    return tuple(
        share
        for group in by_fact.values()
        if any(not one.failures for one in group)
        for share in group
        if share.failures
    )
