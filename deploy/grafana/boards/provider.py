"""One provider: which of its edges fail, for which targets and why."""

from __future__ import annotations

from boards import look
from boards.board import ALERTS, CHECKS, REGIONS, RELOADS, Board, Variable, to
from boards.overview import FAILS
from boards.panel import Face, Shown, lines, matrix, number, table
from boards.query import CHECK, THROUGH, Query, now, quantile

_BAD = 'state=~"failing|flapping"'
_EDGES = f"probe_edge_state{{{THROUGH},{_BAD}}}"
_ONE = Variable(
    "provider",
    "Provider",
    'probe_provider_targets{region=~"$region",check=~"$check"}',
    one=True,
)
_OK = look.words({0: ("ok", look.GOOD)})


def board() -> Board:
    """The dashboard."""
    provider = Board(
        "probe-provider",
        "Regional probe: provider",
        "One provider's edges: which fail, for which domains, for what reason.",
        (REGIONS, CHECKS, _ONE),
        (FAILS, ALERTS, RELOADS),
    )
    provider.row("Now", *_numbers(), _edges(), _targets())
    provider.row("Now and then", _intermittent(), _reasons())
    provider.row("Why", _causes(), _investigations())
    provider.row("Latency and DNS", _latency(), _dns())
    return provider


def _numbers() -> tuple[Shown, ...]:
    face = Face(steps=look.from_zero(look.GOOD), mappings=look.words({0: ("none", look.GOOD)}))
    both = f"sum(max by (region, check, provider) (probe_provider_{{}}{{{{{THROUGH}}}}}))"
    return (
        number(
            "Targets failing",
            "Summed over regions and checks.",
            Query(both.format("targets_failing")),
            size=(6, 4),
            face=face,
        ),
        number(
            "Targets", "Summed over regions and checks.", Query(both.format("targets")), size=(6, 4)
        ),
        number(
            "Edges failing",
            "Addresses that fail for any target, summed over regions and checks.",
            Query(both.format("edges_failing")),
            size=(6, 4),
            face=face,
        ),
        number(
            "Edges", "Addresses, summed over regions.", Query(both.format("edges")), size=(6, 4)
        ),
    )


def _edges() -> Shown:
    return matrix(
        "Failing edges × regions",
        "Targets that fail on each edge, confirmed.",
        now(f"count by (edge, region) (max by (edge, region, target) ({_EDGES}))", quiet=True),
        rows="edge",
        columns="region",
        size=(10, 9),
        face=Face(steps=((None, look.BAD),), nothing="–"),
    )


def _targets() -> Shown:
    link = {"All edges of this domain": to("probe-target", target="${__value.text}")}
    since = f"probe_edge_state_since_timestamp_seconds{{{THROUGH}}}"
    return table(
        "Domains that fail",
        "The first hundred, with the edges that fail for them.",
        now(f"topk(100, count by (region, target) ({_EDGES}))", quiet=True),
        now(f"min by (region, target) ({since}) * 1000", quiet=True),
        size=(14, 9),
        columns={
            "target": "Domain",
            "region": "Region",
            "Value #A": "Edges",
            "Value #B": "Since",
        },
        faces={"Since": Face("dateTimeFromNow"), "Domain": Face(links=link)},
        face=Face(nothing="nothing fails"),
    )


def _intermittent() -> Shown:
    by = "region, edge"
    failed, all_ = (
        f"sum by ({by}) (increase(probe_edge_{kind}_total{{{THROUGH}}}[5m]))"
        for kind in ("failed_attempts", "attempts")
    )
    return lines(
        "Edges that fail now and then",
        "Share of attempts on each edge that failed within 5 minutes. Counted attempt by attempt, "
        "also those between two scrapes.",
        Query(f"topk(20, {failed} / {all_} > 0)", "{{region}} · {{edge}}", quiet=True),
        size=(12, 8),
        face=Face("percentunit", nothing="every attempt passes"),
    )


def _reasons() -> Shown:
    failures = f"rate(probe_provider_failures_total{{{THROUGH}}}[5m])"
    return lines(
        "Failed attempts by reason",
        "Attempts a second, by region.",
        Query(
            f"sum by (region, phase, reason) ({failures})",
            "{{region}}: {{phase}}/{{reason}}",
            quiet=True,
        ),
        face=Face("cps", nothing="every attempt passes"),
    )


def _causes() -> Shown:
    return table(
        "What failures depend on",
        "Edges that fail, by the cause that experiments found; the agent's page has the sentence.",
        now(
            f"max by (region, check, cause) (probe_edge_cause{{{THROUGH}}})",
            quiet=True,
        ),
        columns={"cause": "Cause", "region": "Region", "check": "Check", "Value": "Edges"},
        face=Face(nothing="nothing fails that was investigated"),
    )


def _investigations() -> Shown:
    count = f"increase(probe_agent_investigations_total{{{CHECK}}}[1h])"
    return lines(
        "Investigations by cause",
        "Within an hour, over all providers of the check.",
        Query(f"sum by (region, cause) ({count})", "{{region}}: {{cause}}", quiet=True),
        face=Face(nothing="none"),
    )


def _latency() -> Shown:
    histogram = "probe_phase_latency_seconds"
    return lines(
        "Latency by phase, p99",
        "Of attempts that were measured on time, by region.",
        Query(quantile(0.99, histogram, THROUGH, "region, phase"), "{{region}}: {{phase}}"),
        face=Face("s"),
    )


def _dns() -> Shown:
    return lines(
        "Names that DNS does not answer, and names without a known address",
        "Known edges are kept and probed while DNS fails. Empty where addresses are fixed.",
        Query(
            f"count by (region) (probe_resolve_success{{{THROUGH}}} == 0)",
            "{{region}}: not answered",
            quiet=True,
        ),
        Query(
            f"count by (region) (probe_resolve_edges{{{THROUGH}}})", "{{region}}: names asked for"
        ),
        face=Face(nothing="no DNS"),
    )
