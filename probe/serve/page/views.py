"""The shapes of ``/api/v1/status``: what the page shows and scripts read.

Times are seconds since the epoch. Lists are bounded; ``…_total`` says how many there are.
"""

from __future__ import annotations

from dataclasses import dataclass

from probe.serve.memory.agent import SourceView
from probe.serve.page.card_view import CardView
from probe.serve.page.cause_view import CauseView
from probe.serve.page.flow_view import FlowProblem, FlowView
from probe.serve.page.standing import Level, Overview


@dataclass(frozen=True, slots=True)
class Totals:
    """Numbers over everything that the agent probes; ``Overview`` has each state's.

    Attributes:
        edges: as probed, one per target, provider, address and client profile; like flows,
            only those of which something is known now.
        edges_failing: failing or flapping, confirmed.
        edges_suspect: failed, being confirmed.
        inconclusive: edges, flows and names whose latest result is our own fault.
        unseen: edges, flows and names that nobody has judged for three intervals; what fails
            and what cannot be judged included.
    """

    checks: int
    targets: int
    edges: int
    edges_failing: int
    edges_suspect: int
    flows: int
    flows_failing: int
    names_failing: int
    inconclusive: int
    attempts: int
    failed_attempts: int
    unseen: int


@dataclass(frozen=True, slots=True)
class ProblemView:
    """What fails now for one provider and one reason.

    Attributes:
        edges: distinct addresses; ``of_edges`` is how many the provider has.
        targets: names, the first ones; ``of_targets`` is how many the provider serves.
        state: the gravest of ``failing``, ``flapping``, ``suspect``.
        example: a target that it is seen on.
        browser: what a browser shows its user.
        command: paste into a shell to see the same.
        unseen: members that failed when they were last seen, and are no longer looked at.
        unseen_since: when the first of these was last judged.
        unnamed: addresses among ``edges`` that DNS no longer names.
        fails_for: client profiles as which it fails.
        passes_for: those that were seen to pass at every edge and target of it.
        causes: what it depends on, as experiments told; those of most edges first.
        investigating: such experiments are under way.
        planned: how many of its targets a maintenance window covers now.
    """

    check: str
    provider: str
    phase: str
    reason: str
    state: str
    since: float
    edges: tuple[str, ...]
    edges_total: int
    of_edges: int
    targets: tuple[str, ...]
    targets_total: int
    of_targets: int
    example: str
    detail: str
    browser: str
    command: str
    unseen: int = 0
    unseen_since: float | None = None
    unnamed: tuple[str, ...] = ()
    fails_for: tuple[str, ...] = ()
    passes_for: tuple[str, ...] = ()
    causes: tuple[CauseView, ...] = ()
    investigating: bool = False
    planned: int = 0

    @property
    def confirmed(self) -> bool:
        """Failing or flapping, not merely suspect."""
        return self.state != "suspect"


@dataclass(frozen=True, slots=True)
class EdgeView:
    """One edge that does not pass.

    Attributes:
        unseen: since when nobody has judged it, once that is too long.
        unnamed: since when DNS no longer names it.
        cause: what its failure depends on, as experiments told; empty while that is not known.
        because: the same in a sentence.
    """

    check: str
    target: str
    provider: str
    edge: str
    client: str
    state: str
    since: float
    phase: str
    reason: str
    detail: str
    browser: str
    command: str
    at: float
    unseen: float | None
    unnamed: float | None
    cause: str = ""
    because: str = ""


@dataclass(frozen=True, slots=True)
class NameView:
    """A name resolution that fails now; edges known from before are still probed."""

    check: str
    target: str
    provider: str
    reason: str
    detail: str
    since: float
    edges: int


@dataclass(frozen=True, slots=True)
class SplitView:
    """Edges that present different leaves for one target and key type."""

    check: str
    target: str
    provider: str
    key_type: str
    distinct: int
    minority: tuple[str, ...]
    minority_total: int
    since: float | None
    alarming: bool


@dataclass(frozen=True, slots=True)
class BlindView:
    """Inconclusive results by check and reason: the fault is ours."""

    check: str
    phase: str
    reason: str
    count: int
    detail: str


@dataclass(frozen=True, slots=True)
class UnseenView:
    """What of one provider nobody has judged for three intervals.

    Attributes:
        count: edges, flows and names; ``of`` is how many are to be judged.
        since: when the first of them was last judged.
        example: one of them: its edge, its persona, or its target's name.
    """

    check: str
    provider: str
    count: int
    of: int
    targets: tuple[str, ...]
    targets_total: int
    since: float
    example: str


@dataclass(frozen=True, slots=True)
class ProviderView:
    """One provider as one check uses it.

    ``inconclusive`` and ``unseen`` count edges, flows and names.

    Attributes:
        state: the gravest state of any of them; ``awaited`` while one was never looked at.
    """

    check: str
    provider: str
    state: str
    edges: int
    edges_failing: int
    targets: int
    targets_failing: int
    inconclusive: int
    unseen: int
    attempts: int
    failed_attempts: int
    since: float | None


@dataclass(frozen=True, slots=True)
class WindowView:
    """A maintenance window that is open now; what is empty restricts nothing.

    Attributes:
        covered: targets of this agent that it covers.
    """

    start: float
    end: float
    reason: str
    checks: tuple[str, ...]
    providers: tuple[str, ...]
    targets: tuple[str, ...]
    covered: int

    @property
    def scope(self) -> str:
        """What it is for, in words."""
        parts = (
            ("check", self.checks),
            ("provider", self.providers),
            ("target", self.targets),
        )
        return "; ".join(
            f"{word}{'s' if len(names) > 1 else ''} {', '.join(names)}"
            for word, names in parts
            if names
        )


@dataclass(frozen=True, slots=True)
class CheckView:
    """One check of the configuration."""

    name: str
    kind: str
    interval: float
    providers: tuple[str, ...]
    labels: dict[str, str]


@dataclass(frozen=True, slots=True)
class ChangeView:
    """One change of state; ``edge``, ``client`` and ``persona`` where they apply."""

    check: str
    target: str
    provider: str
    before: str
    after: str
    since: float
    at: float
    phase: str
    reason: str
    detail: str
    command: str
    note: str
    edge: str = ""
    client: str = ""
    persona: str = ""


@dataclass(frozen=True, slots=True)
class AgentView:
    """The agent on itself.

    Attributes:
        vantage_healthy: None before the first judgement.
        vantage_evidence: what makes it ill, and what cannot be judged, with the reasons.
        regions: other agents are named, and their page is ``/regions``.
    """

    version: str
    started_at: float
    ready: bool
    config_digest: str
    reload_success: bool | None
    reload_at: float | None
    reload_problem: str
    vantage_healthy: bool | None
    vantage_causes: tuple[str, ...]
    vantage_evidence: tuple[str, ...] = ()
    regions: bool = False


@dataclass(frozen=True, slots=True)
class StatusView:
    """Everything that the page shows.

    Attributes:
        cards: what fails, one a cause.
        problems: the same by provider and reason, for scripts.
    """

    region: str
    now: float
    level: Level
    sentence: str
    totals: Totals
    standing: Overview
    cards: tuple[CardView, ...]
    cards_total: int
    problems: tuple[ProblemView, ...]
    problems_total: int
    edges: tuple[EdgeView, ...]
    edges_total: int
    flow_problems: tuple[FlowProblem, ...]
    flows: tuple[FlowView, ...]
    flows_total: int
    names: tuple[NameView, ...]
    names_total: int
    splits: tuple[SplitView, ...]
    splits_total: int
    blind: tuple[BlindView, ...]
    unseen: tuple[UnseenView, ...]
    providers: tuple[ProviderView, ...]
    checks: tuple[CheckView, ...]
    changes: tuple[ChangeView, ...]
    sources: tuple[SourceView, ...]
    agent: AgentView
    maintenance: tuple[WindowView, ...] = ()
