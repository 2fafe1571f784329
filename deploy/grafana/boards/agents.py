"""The agents themselves: can what they see be trusted, and do they keep up?"""

from __future__ import annotations

from boards import look
from boards.board import ALERTS, REGIONS, RELOADS, Board
from boards.panel import Face, Shown, lines, table, timeline
from boards.query import REGION, Query, now, quantile

_AGENT = "region, instance"
_NAME = "{{region}} · {{instance}}"
_OURS = f"on (instance) group_left (region) max by ({_AGENT}) (probe_agent_build_info{{{REGION}}})"
_HEALTH = look.words({0: ("ill", look.OURS), 1: ("trusted", look.GOOD)})
_WORKED = look.words({0: ("refused", look.BAD), 1: ("ok", look.GOOD)})


def board() -> Board:
    """The dashboard."""
    agents = Board(
        "probe-agents",
        "Regional probe: agents",
        "Vantage health, lateness, lag, memory, and what was inconclusive because of ourselves.",
        (REGIONS,),
        (ALERTS, RELOADS),
    )
    agents.row("Vantage", _health(), _illness(), _inconclusive(), _missing())
    agents.row("On time", _lateness(), _lag(), _missed(), _dropped())
    agents.row("Resources", *_resources())
    agents.row("Shared work", _peers(), _shares())
    agents.row("Revocation lists", _lists(), _revoked(), _oldest(), _troubles())
    agents.row("Configuration and targets", _configuration(), _discovery())
    return agents


def _health() -> Shown:
    return timeline(
        "Vantage health",
        "Whether each agent trusts its own view. While it is ill, failures that the illness "
        "explains blame no target. A gap: the agent did not answer.",
        Query(f"max by ({_AGENT}) (probe_vantage_healthy{{{REGION}}})", _NAME),
        size=(12, 8),
        face=Face(mappings=_HEALTH),
    )


def _illness() -> Shown:
    return timeline(
        "Causes of illness",
        "A row for each cause.",
        Query(
            f"max by (region, instance, cause) (probe_vantage_illness{{{REGION}}})",
            "{{region}} · {{instance}}: {{cause}}",
            quiet=True,
        ),
        size=(12, 8),
        face=Face(
            steps=((None, look.OURS),),
            mappings=look.words({1: ("ill", look.OURS)}),
            nothing="every vantage is well",
        ),
    )


def _inconclusive() -> Shown:
    results = f"probe_agent_inconclusive_total{{{REGION}}}"
    return lines(
        "Inconclusive results",
        "A second, by reason. The fault is the probe's own: a secret, its clock, its host.",
        Query(
            f"sum by (region, check, phase, reason) (rate({results}[5m]))",
            "{{region}} · {{check}}: {{phase}}/{{reason}}",
            quiet=True,
        ),
        size=(12, 7),
        face=Face("cps", nothing="every result says something"),
    )


def _missing() -> Shown:
    results = f"probe_provider_results_missing{{{REGION}}}"
    return lines(
        "Missing results",
        "Edges, flows and names that nobody has judged for three intervals. Nothing is said of "
        "them but what failed when it was last seen.",
        Query(
            f"max by (region, check, provider) ({results})",
            "{{region}} · {{check}} {{provider}}",
        ),
        size=(12, 7),
        face=Face(nothing="not told"),
    )


def _lateness() -> Shown:
    histogram = "probe_agent_schedule_lateness_seconds"
    return lines(
        "How late attempts start, p99",
        "By check. More than a second means that failures are found later than promised.",
        Query(quantile(0.99, histogram, REGION, "region, check"), "{{region}} · {{check}}"),
        face=Face("s"),
    )


def _lag() -> Shown:
    return lines(
        "Event-loop lag, p99",
        "More than 20 ms: the agent has too little CPU.",
        Query(quantile(0.99, "probe_agent_loop_lag_seconds", REGION, _AGENT), _NAME),
        face=Face("s"),
    )


def _missed() -> Shown:
    missed = f"sum by (region, check) (rate(probe_agent_missed_runs_total{{{REGION}}}[5m]))"
    return lines(
        "Runs missed, attempts running",
        "Missed runs a second (solid), attempts running now (dashed).",
        Query(missed, "{{region}} · {{check}}: missed a second"),
        Query(
            f"sum by (region, check) (probe_agent_in_flight{{{REGION}}})",
            "{{region}} · {{check}}: running",
        ),
    )


def _dropped() -> Shown:
    untrusted, unknown = (
        f"sum by (region) (rate(probe_agent_{name}_total{{{REGION}}}[5m]))"
        for name in ("untrusted_timings", "unknown_reasons")
    )
    return lines(
        "Timings dropped, failures without a name",
        "A second. Timings are dropped while the agent itself is late; a failure that no reason "
        "fits is a defect of the probe, worth a report.",
        Query(untrusted, "{{region}}: timings dropped"),
        Query(unknown, "{{region}}: unknown reasons"),
        face=Face("cps"),
    )


def _resources() -> tuple[Shown, ...]:
    return tuple(
        lines(title, text, Query(expr, _NAME), size=(8, 7), face=Face(unit))
        for title, text, expr, unit in (
            (
                "Memory",
                "Resident.",
                f"sum by ({_AGENT}) (process_resident_memory_bytes * {_OURS})",
                "bytes",
            ),
            (
                "CPU",
                "Cores.",
                f"sum by ({_AGENT}) (rate(process_cpu_seconds_total[5m]) * {_OURS})",
                "none",
            ),
            (
                "Series",
                "Samples in each scrape.",
                f"sum by ({_AGENT}) (scrape_samples_scraped * {_OURS})",
                "short",
            ),
        )
    )


def _peers() -> Shown:
    peers = f"(probe_agent_share_peers{{{REGION}}})"
    blind = f"sum by (region) (1 - probe_agent_share_peers_up{{{REGION}}})"
    return lines(
        "Agents that share the targets",
        "How many agents of its region an agent sees: where least and most stay apart, their views "
        "differ. While one sees none, each target gets more replicas, in the end every agent.",
        Query(f"min by (region) {peers}", "{{region}}: seen, least"),
        Query(f"max by (region) {peers}", "{{region}}: seen, most"),
        Query(blind, "{{region}}: agents that see none"),
        face=Face(nothing="no agent shares its work"),
    )


def _shares() -> Shown:
    each = f"(sum by ({_AGENT}) (probe_agent_share_targets{{{REGION}}}))"
    return lines(
        "Targets of each agent",
        "Least, average and most. Most stays within a fifth of the average once no agent holds "
        "targets for others any more. Replicas above what is configured: peers cannot be seen.",
        *(
            Query(f"{of} by (region) {each}", f"{{{{region}}}}: {of}")
            for of in ("min", "avg", "max")
        ),
        Query(f"max by (region) (probe_agent_share_replicas{{{REGION}}})", "{{region}}: replicas"),
        face=Face(nothing="no agent shares its work"),
    )


def _lists() -> Shown:
    return lines(
        "Revocation lists by state",
        "Lists that served chains name. Expired: past their end, and no newer one was given. "
        "Unusable: none is here. Certificates that name these are not looked at.",
        Query(
            f"max by (region, state) (probe_agent_crl_lists{{{REGION}}})",
            "{{region}}: {{state}}",
        ),
        size=(8, 7),
        face=Face(nothing="no agent looks at revocation lists"),
    )


def _revoked() -> Shown:
    return lines(
        "Revoked chains",
        "Distinct chains, served within a day, with a certificate that a list names. Each fails "
        "its edges, and pages as every failure does.",
        Query(f"max by (region) (probe_agent_crl_revoked_chains{{{REGION}}})", "{{region}}"),
        size=(8, 7),
        face=Face(nothing="no agent looks at revocation lists"),
    )


def _oldest() -> Shown:
    stamp = f"min by (region) (probe_agent_crl_oldest_timestamp_seconds{{{REGION}}})"
    return lines(
        "Age of the oldest list in use",
        "Since its thisUpdate. Most authorities publish every day, and some every week.",
        Query(f"time() - {stamp}", "{{region}}", quiet=True),
        size=(8, 7),
        face=Face("s", nothing="no list is in use"),
    )


def _troubles() -> Shown:
    each = f"count by (region, url, reason) (probe_agent_crl_trouble{{{REGION}}})"
    return table(
        "Lists in trouble",
        "Out of reach, out of date, or of no use; after two hours a ticket. No edge fails for it.",
        now(each, quiet=True),
        size=(24, 6),
        columns={"region": "Region", "url": "List", "reason": "Reason", "Value": "Agents"},
        face=Face(nothing="every list is well"),
    )


def _configuration() -> Shown:
    stamp = "probe_agent_config_last_reload_success_timestamp_seconds"
    return table(
        "Versions and configuration",
        "Agents whose digests differ run different configurations.",
        now(f"max by ({_AGENT}, version, openssl) (probe_agent_build_info{{{REGION}}})"),
        now(f"max by ({_AGENT}, digest) (probe_agent_config_info{{{REGION}}})"),
        now(f"min by ({_AGENT}) (probe_agent_config_last_reload_success{{{REGION}}})"),
        now(f"max by ({_AGENT}) ({stamp}{{{REGION}}}) * 1000"),
        columns={
            "region": "Region",
            "instance": "Agent",
            "version": "Version",
            "openssl": "OpenSSL",
            "digest": "Configuration",
            "Value #C": "Latest load",
            "Value #D": "Loaded",
        },
        faces={"Latest load": Face(mappings=_WORKED), "Loaded": Face("dateTimeFromNow")},
    )


def _discovery() -> Shown:
    source = "region, list, source"
    stamp = "probe_agent_discovery_last_success_timestamp_seconds"
    held = "probe_agent_discovery_held_since_timestamp_seconds"
    return table(
        "Sources of targets",
        "The last good list stays in use while a source does not answer.",
        now(f"min by ({source}) (probe_agent_discovery_up{{{REGION}}})"),
        now(f"max by ({source}) (probe_agent_discovery_targets{{{REGION}}})"),
        now(f"max by ({source}) (probe_agent_discovery_rejected{{{REGION}}})"),
        now(f"min by ({source}) ({stamp}{{{REGION}}}) * 1000"),
        now(f"max by ({source}) (probe_agent_discovery_unused{{{REGION}}})"),
        now(f"min by ({source}) ({held}{{{REGION}}}) * 1000", quiet=True),
        columns={
            "region": "Region",
            "list": "List",
            "source": "Source",
            "Value #A": "Answers",
            "Value #B": "Targets",
            "Value #C": "Cannot be used",
            "Value #D": "Last answer",
            "Value #E": "Over the limit",
            "Value #F": "Shrank, held since",
        },
        faces={
            "Answers": Face(mappings=_WORKED),
            "Last answer": Face("dateTimeFromNow"),
            "Shrank, held since": Face("dateTimeFromNow"),
        },
    )
