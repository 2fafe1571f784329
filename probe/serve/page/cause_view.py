"""Why edges fail, as the page and the API say it: only what still holds. Pure.

A failure is shown whatever becomes of its cause: what goes wrong in here costs the cause alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from probe.model.cause import Experiment, Investigation
from probe.model.failure import trace
from probe.model.target import EdgeKey
from probe.serve.census import ProviderCensus, Through, TroubleGroup
from probe.serve.memory.store import Store

CAUSES, EXPERIMENTS = 3, 40
"""Most causes of one problem, and most experiments shown of each."""


@dataclass(frozen=True, slots=True)
class CauseView:
    """What a failure depends on, and the experiments that told.

    Attributes:
        because: a sentence, without a full stop.
        share: share of attempts that fail, 0 to 1; None when all do.
        left: causes that could not be told apart, when undetermined.
        spent: handshakes that were made for it.
        ended: when it was settled, seconds since the epoch.
    """

    cause: str
    because: str
    share: float | None
    left: tuple[str, ...]
    spent: int
    ended: float
    experiments: tuple[Experiment, ...]


@dataclass(frozen=True, slots=True)
class Explained:
    """What is known of why a group of edges fails.

    Attributes:
        causes: of most edges first; empty while nothing is known.
        investigating: experiments are under way.
    """

    causes: tuple[CauseView, ...] = ()
    investigating: bool = False


NOTHING = Explained()


def why_of(
    store: Store, through: Through, census: ProviderCensus, group: TroubleGroup
) -> Explained:
    """Say why a group of edges fails, as far as it is known and holds."""
    if not group.confirmed:
        return NOTHING

    def fits(key: EdgeKey) -> bool:
        trouble = census.troubles.get(key)
        return trouble is not None and trouble.why == group.why and key.target in group.targets

    try:
        found = store.causes.explaining(through, fits, CAUSES)
        running = store.causes.under_way(through, *group.why)
        return Explained(tuple(_view(one) for one in found), running)
    except Exception as error:
        store.agent.on_defect("report", trace(error))
        return NOTHING


def cause_of(store: Store, key: EdgeKey) -> tuple[str, str]:
    """Return an edge's cause and its sentence; empty texts while there is none."""
    try:
        found = store.causes.of(key)
        return ("", "") if found is None else (found.cause.value, found.sentence)
    except Exception as error:
        store.agent.on_defect("report", trace(error))
        return ("", "")


def _view(found: Investigation) -> CauseView:
    return CauseView(
        cause=found.cause.value,
        because=found.sentence,
        share=found.share,
        left=tuple(cause.value for cause in found.left),
        spent=found.spent,
        ended=found.ended,
        experiments=found.experiments[:EXPERIMENTS],
    )
