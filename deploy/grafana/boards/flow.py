"""Flows: which step fails in which region, and which layer is to blame."""

from __future__ import annotations

from boards import look
from boards.board import ALERTS, REGIONS, RELOADS, Board, Mark, Variable
from boards.panel import Face, Shown, lines, matrix, table, timeline
from boards.query import Query, now, quantile, state_number

_CHECK = Variable("check", "Flow", 'probe_flow_runs_total{region=~"$region"}', one=True)
_PERSONAS = Variable("persona", "As", 'probe_flow_runs_total{check="$check"}')
_TARGETS = Variable("target", "Target", 'probe_flow_runs_total{check="$check"}')
_LATENCY = 'region=~"$region",check="$check"'
_HERE = f'{_LATENCY},persona=~"$persona",target=~"$target"'
_RUN = "region, persona, target"
_NAME = "{{region}} {{persona}} {{target}}"
_PASSED = look.words({0: ("failed", look.BAD), 1: ("passed", look.GOOD)})
_YES = look.words({0: ("no", look.GOOD), 1: ("yes", look.BAD)})
_BLAMED = f'probe_flow_diagnosis{{{_HERE},layer!~"none|inconclusive"}}'

FAILS = Mark(
    "Failing",
    f'max by (region, persona, target) (probe_flow_state{{{_HERE},state=~"failing|flapping"}})',
    "{{target}} fails in {{region}} {{persona}}",
    look.SOMETIMES,
    ("region", "persona", "target"),
)


def board() -> Board:
    """The dashboard."""
    flow = Board(
        "probe-flow",
        "Regional probe: API flows",
        "Calls as a customer's program makes them: steps, personas, the layer to blame.",
        (REGIONS, _CHECK, _PERSONAS, _TARGETS),
        (FAILS, ALERTS, RELOADS),
    )
    flow.row("Now", _steps(), _personas(), _diagnosis(), _permissions())
    flow.row("Over time", _course(), _blame())
    flow.row("What failures depend on", _causes(), _investigations())
    flow.row("Why", _failures(), _codes(), _instances())
    flow.row("Latency and token", _duration(), _step_latency(), _token(), _phases())
    return flow


def _steps() -> Shown:
    step = f"min by (region, layer, step) (probe_step_success{{{_HERE}}})"
    return matrix(
        "Steps × regions, now",
        "The latest run, the worst of personas and targets. Each step proves the layer before "
        "its name.",
        now(f'label_join({step}, "what", ": ", "layer", "step")'),
        rows="what",
        columns="region",
        size=(9, 9),
        face=Face(mappings=_PASSED, nothing="not run"),
    )


def _personas() -> Shown:
    return matrix(
        "Personas × regions, now",
        "Where one persona passes and another fails, the platform is up and its permissions are "
        "not.",
        now(
            f"label_replace(min by (region, persona) (probe_flow_up{{{_HERE}}}), "
            '"persona", "(one)", "persona", "")'
        ),
        rows="persona",
        columns="region",
        size=(5, 9),
        face=Face(mappings=_PASSED, nothing="not run"),
    )


def _diagnosis() -> Shown:
    since = f"probe_flow_state_since_timestamp_seconds{{{_HERE}}}"
    return table(
        "The layer to blame, now",
        "From all steps of a run together: a step that fails is not always the one at fault.",
        now(f"max by ({_RUN}, layer) ({_BLAMED})", quiet=True),
        now(f"min by ({_RUN}) ({since}) * 1000", quiet=True),
        size=(10, 9),
        columns={
            "region": "Region",
            "persona": "As",
            "target": "Target",
            "layer": "Layer",
            "Value #B": "Since",
        },
        faces={"Since": Face("dateTimeFromNow")},
        face=Face(nothing="no layer to blame"),
    )


def _permissions() -> Shown:
    return table(
        "Permissions",
        "Whether a call that must be refused succeeded, and whether the latest runs passed for "
        "some personas and failed for others.",
        now(f"max by (region, target) (probe_flow_fails_open{{{_HERE}}})"),
        now(
            "max by (region, target) "
            f'(probe_flow_personas_diverge{{{_LATENCY},target=~"$target"}} > 0)',
            quiet=True,
        ),
        size=(24, 5),
        columns={
            "region": "Region",
            "target": "Target",
            "Value #A": "Fails open",
            "Value #B": "Personas diverge",
        },
        faces={"Fails open": Face(mappings=_YES), "Personas diverge": Face(mappings=_YES)},
    )


def _course() -> Shown:
    return timeline(
        "States",
        "What is believed after confirmation, by region, persona and target.",
        Query(state_number("probe_flow_state", _HERE, _RUN), _NAME),
        size=(12, 8),
        face=Face(mappings=look.states()),
    )


def _blame() -> Shown:
    return timeline(
        "Layers to blame",
        "A row for each region and layer that was to blame within the time range.",
        Query(f"max by (region, layer) ({_BLAMED})", "{{region}} · {{layer}}", quiet=True),
        size=(12, 8),
        face=Face(
            steps=((None, look.BAD),),
            mappings=look.words({1: ("to blame", look.BAD)}),
            nothing="no layer to blame",
        ),
    )


def _causes() -> Shown:
    return table(
        "Causes, now",
        "Flows of all personas and targets that fail, by the cause that experiments found; the "
        "agent's page has the sentence.",
        now(f"max by (region, provider, cause) (probe_flow_cause{{{_LATENCY}}})", quiet=True),
        columns={"cause": "Cause", "region": "Region", "provider": "Provider", "Value": "Flows"},
        face=Face(nothing="nothing fails that was investigated"),
    )


def _investigations() -> Shown:
    count = f"increase(probe_agent_investigations_total{{{_LATENCY}}}[1h])"
    return lines(
        "Investigations by cause",
        "Within an hour.",
        Query(f"sum by (region, cause) ({count})", "{{region}}: {{cause}}", quiet=True),
        face=Face(nothing="none"),
    )


def _failures() -> Shown:
    failures = f"probe_step_failures_total{{{_HERE}}}"
    return lines(
        "Failed steps by reason",
        "Results a second.",
        Query(
            f"sum by (region, layer, step, phase, reason) (rate({failures}[5m]))",
            "{{region}} · {{layer}}: {{step}} {{phase}}/{{reason}}",
            quiet=True,
        ),
        face=Face("cps", nothing="no step failed"),
    )


def _codes() -> Shown:
    return table(
        "Status codes, now",
        "Of the latest run; of a call that failed, where one did. `Skipped`: a value that the "
        "step needs is missing. `Slow`: passed, slower than it may be.",
        now(
            f"max by (region, step, layer) (probe_step_status_code{{{_HERE}}}"
            f" and probe_step_success{{{_HERE}}} == 0)"
            f" or max by (region, step, layer) (probe_step_status_code{{{_HERE}}})"
        ),
        now(f"max by (region, step, layer) (probe_step_degraded{{{_HERE}}})", quiet=True),
        now(f"max by (region, step, layer) (probe_step_skipped{{{_HERE}}})", quiet=True),
        size=(6, 8),
        columns={
            "region": "Region",
            "step": "Step",
            "layer": "Layer",
            "Value #A": "Code",
            "Value #B": "Slow",
            "Value #C": "Skipped",
        },
        faces={"Slow": Face(mappings=_YES), "Skipped": Face(mappings=_YES)},
        face=Face("none"),
    )


def _instances() -> Shown:
    by = "header, instance, step"
    failed, all_ = (
        f"sum by ({by}) (increase(probe_step_instance_{kind}_total{{{_LATENCY}}}[15m]))"
        for kind in ("failed_attempts", "attempts")
    )
    return table(
        "Failures by server-side part",
        "Share of results within 15 minutes that failed, by the address or header that says which "
        "part answered. One bad part among many shows here.",
        now(f"topk(50, {failed} / {all_} > 0)", quiet=True),
        size=(6, 8),
        columns={"header": "Header", "instance": "Part", "step": "Step", "Value": "Fails"},
        face=Face("percentunit", nothing="none stands out"),
    )


def _duration() -> Shown:
    histogram = "probe_flow_latency_seconds"
    by = "region, persona"
    here = f'{_LATENCY},persona=~"$persona"'
    return lines(
        "Duration of the flow",
        "p50 solid, p95 dashed. A dot is one run: it leads to its trace.",
        Query(quantile(0.5, histogram, here, by), "{{region}} {{persona}} p50", exemplars=True),
        Query(quantile(0.95, histogram, here, by), "{{region}} {{persona}} p95"),
        face=Face("s"),
    )


def _step_latency() -> Shown:
    histogram = "probe_step_latency_seconds"
    return lines(
        "Duration of steps, p95",
        "A dot is one step of one run: it leads to its trace.",
        Query(
            quantile(0.95, histogram, _LATENCY, "region, layer, step"),
            "{{region}} · {{layer}}: {{step}}",
            exemplars=True,
        ),
        face=Face("s"),
    )


def _token() -> Shown:
    token = f"probe_flow_token_expiry_timestamp_seconds{{{_HERE}}}"
    return lines(
        "Life of the token in use",
        "Until it expires. A token that is not renewed falls to zero.",
        Query(f"min by ({_RUN}) ({token}) - time()", _NAME),
        face=Face("dtdurations"),
    )


def _phases() -> Shown:
    return lines(
        "Latency by phase, p95",
        "Of all steps together: a slow login shows in `auth`, a slow backend in `wait`.",
        Query(
            quantile(0.95, "probe_phase_latency_seconds", _LATENCY, "region, phase"),
            "{{region}}: {{phase}}",
        ),
        face=Face("s"),
    )
