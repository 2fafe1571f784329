"""Which region sees what fail, through which provider, and since when."""

from __future__ import annotations

from boards import look
from boards.board import ALERTS, CHECKS, PROVIDERS, REGIONS, RELOADS, Board, Mark, to
from boards.panel import Face, Shown, lines, matrix, number, table, timeline
from boards.query import CHECK, THROUGH, Query, now

_BAD = 'state=~"failing|flapping"'
_FAILING = f"max by (region, check, provider) (probe_provider_targets_failing{{{THROUGH}}} > 0)"
_SHARE = (
    "max by (region, provider) (label_replace("
    f'probe_provider_targets_failing_ratio{{{THROUGH}}}, "provider", "direct", "provider", ""))'
)
_ALERTS = 'ALERTS{alertname=~"Probe.+",alertstate="firing",severity!="none"}'
_FLOW = "region, check, provider, persona, target"
_SINCE = Face("dateTimeFromNow")
_OK = look.words({0: ("ok", look.GOOD)})
_NOTHING = look.words({0: ("nothing", look.GOOD)})

FAILS = Mark(
    "Failing",
    _FAILING,
    "{{provider}} fails in {{region}}",
    look.SOMETIMES,
    ("region", "check", "provider"),
)


def board(docs: str) -> Board:
    """The dashboard; ``docs`` is where the runbooks are found."""
    overview = Board(
        "probe-overview",
        "Regional probe: overview",
        "What fails now, where and since when.",
        (REGIONS, CHECKS, PROVIDERS),
        (FAILS, ALERTS, RELOADS),
    )
    overview.row("Now", *_numbers(), _holes(), _course())
    overview.row("What fails", _providers(), _flows(), _alerts(docs), _reasons())
    overview.row("How fast it was found", _latency(), _intervals())
    return overview


def _numbers() -> tuple[Shown, ...]:
    face = Face(steps=look.from_zero(look.GOOD), mappings=_NOTHING)
    eyes = Face(
        steps=((None, look.BAD), (1, look.GOOD)), mappings=look.words({0: ("none", look.BAD)})
    )
    flows = f"max by ({_FLOW}) (probe_flow_state{{{THROUGH},{_BAD}}})"
    since = f"time() - min(probe_provider_failing_since_timestamp_seconds{{{THROUGH}}})"
    return (
        number(
            "Fails now",
            "Pairs of region and provider in which a target is failing or flapping, confirmed.",
            Query(f"count(max by (region, provider) ({_FAILING})) or vector(0)"),
            size=(5, 4),
            face=face,
        ),
        number(
            "For so long",
            "Since the first of the present failures began.",
            Query(since, quiet=True),
            size=(5, 4),
            face=Face("dtdurations", ((None, look.BAD),), nothing="nothing fails"),
        ),
        number(
            "Flows failing",
            "Flows and personas that are failing or flapping, in any region.",
            Query(f"count({flows}) or vector(0)"),
            size=(5, 4),
            face=face,
        ),
        number(
            "Alerts",
            "Firing ones of this probe, as Prometheus evaluates them.",
            Query(f"count({_ALERTS}) or vector(0)"),
            size=(5, 4),
            face=face,
        ),
        number(
            "Regions that see",
            "Regions with an agent that trusts its own view. Where it is missing, nobody looks.",
            Query("count(max by (region) (probe_vantage_healthy) == 1) or vector(0)"),
            size=(4, 4),
            face=eyes,
        ),
    )


def _holes() -> Shown:
    links = {
        "Provider in this region": to(
            "probe-provider", region="${__data.fields[0]}", provider="${__field.name}"
        )
    }
    face = Face("percentunit", look.from_zero(look.GOOD), _OK, links, nothing="not probed")
    return matrix(
        "Regions × providers, now",
        "Share of the provider's targets that fail in the region, confirmed. However small the "
        "share, its cell stands out: a hole in one region never disappears in an average.",
        now(_SHARE),
        rows="region",
        columns="provider",
        size=(8, 9),
        face=face,
    )


def _course() -> Shown:
    return timeline(
        "Regions × providers, over time",
        "The same share over time, a row for each region and provider.",
        Query(_SHARE, "{{region}} · {{provider}}"),
        size=(16, 9),
        face=Face("percentunit", look.from_zero(look.GOOD), _OK),
    )


def _providers() -> Shown:
    since = "probe_provider_failing_since_timestamp_seconds"
    reasons = f"probe_provider_targets_failing_by_reason{{{THROUGH}}}"
    reason = f"max by (region, check, provider, phase, reason) ({reasons})"
    link = {
        "Edges and reasons": to(
            "probe-provider",
            region="${__data.fields.Region}",
            provider="${__data.fields.Provider}",
            check="${__data.fields.Check}",
        )
    }
    return table(
        "Providers that fail now, and since when",
        "With the commonest reason.",
        now(_FAILING, quiet=True),
        now(f"min by (region, check, provider) ({since}{{{THROUGH}}}) * 1000", quiet=True),
        now(f"topk by (region, check, provider) (1, {reason})", quiet=True),
        size=(24, 7),
        columns={
            "region": "Region",
            "provider": "Provider",
            "check": "Check",
            "Value #A": "Targets",
            "Value #B": "Since",
            "phase": "Phase",
            "reason": "Reason",
            "Value #C": "For this reason",
        },
        faces={"Since": _SINCE, "Provider": Face(links=link)},
        face=Face(nothing="nothing fails"),
    )


def _flows() -> Shown:
    link = {
        "Steps and layers": to(
            "probe-flow", region="${__data.fields.Region}", check="${__data.fields.Flow}"
        )
    }
    blame = f'probe_flow_diagnosis{{{THROUGH},layer!~"none|inconclusive"}}'
    since = f"probe_flow_state_since_timestamp_seconds{{{THROUGH}}}"
    return table(
        "Flows that fail now, and the layer to blame",
        "A flow is what a customer's program does, call by call.",
        now(f"max by ({_FLOW}, layer) ({blame})", quiet=True),
        now(f"min by ({_FLOW}) ({since}) * 1000", quiet=True),
        columns={
            "region": "Region",
            "check": "Flow",
            "persona": "As",
            "layer": "Layer to blame",
            "Value #B": "Since",
        },
        faces={"Since": _SINCE, "Flow": Face(links=link)},
        face=Face(nothing="nothing fails"),
    )


def _alerts(docs: str) -> Shown:
    link = {"What to do": f"{docs}/runbooks/${{__value.text}}.md"}
    return table(
        "Alerts firing",
        "A click on the name leads to its runbook.",
        now(f"max by (alertname, severity, region, provider, target) ({_ALERTS})", quiet=True),
        columns={
            "alertname": "Alert",
            "severity": "Severity",
            "region": "Region",
            "provider": "Provider",
            "target": "Target",
        },
        faces={"Alert": Face(links=link)},
        face=Face(nothing="no alert"),
    )


def _reasons() -> Shown:
    reasons = f"probe_provider_targets_failing_by_reason{{{THROUGH}}}"
    return lines(
        "Targets failing, by reason",
        "By region, provider and reason of the latest failure.",
        Query(
            f"max by (region, provider, phase, reason) ({reasons})",
            "{{region}} · {{provider}}: {{phase}}/{{reason}}",
            quiet=True,
        ),
        size=(24, 7),
        face=Face(nothing="nothing fails"),
    )


def _latency() -> Shown:
    pair, flow = "region, check, provider", _FLOW
    began = f"min by ({pair}) (probe_provider_failing_since_timestamp_seconds{{{THROUGH}}})"
    flow_began = f"min by ({flow}) (probe_flow_state_since_timestamp_seconds{{{THROUGH}}})"
    return lines(
        "From the first failed attempt to the alert",
        "Seconds from the first failed attempt of what fails now until Prometheus had the alert "
        "active. Before the first failed attempt lies at most the check's interval.",
        Query(
            f'max by ({pair}) (ALERTS_FOR_STATE{{alertname="ProbeProviderFailing"}}) - {began}',
            "{{provider}} in {{region}}",
            quiet=True,
        ),
        Query(
            f'max by ({flow}) (ALERTS_FOR_STATE{{alertname="ProbeFlowFailing"}}) - {flow_began}',
            "{{check}} {{persona}} in {{region}}",
            quiet=True,
        ),
        size=(16, 7),
        face=Face("s", nothing="nothing fails"),
    )


def _intervals() -> Shown:
    info = f"probe_check_info{{{CHECK}}}"
    return table(
        "Intervals",
        "How often each check looks at the same edge or runs the flow: what detection can at best "
        "be.",
        now(f"max by (region, check, kind, interval_seconds) ({info})"),
        size=(8, 7),
        columns={
            "region": "Region",
            "check": "Check",
            "kind": "Kind",
            "interval_seconds": "Every so many seconds",
        },
    )
