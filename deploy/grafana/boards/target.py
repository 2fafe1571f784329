"""One domain: every edge that serves it, and what it serves."""

from __future__ import annotations

from boards import look
from boards.board import ALERTS, RELOADS, Board, Mark, Variable
from boards.panel import Face, Shown, lines, matrix, table, timeline
from boards.query import Query, now, state_number

_TARGET = Variable("target", "Domain", "probe_target_edges", one=True)
_REGIONS = Variable("region", "Region", 'probe_target_edges{target="$target"}')
_CHECKS = Variable("check", "Check", 'probe_target_edges{target="$target",region=~"$region"}')
_PROVIDERS = Variable(
    "provider",
    "Provider",
    'probe_provider_targets{region=~"$region",check=~"$check"}',
)
_OF_CHECK = 'target="$target",region=~"$region",check=~"$check"'
_HERE = f'{_OF_CHECK},provider=~"$provider"'
_ACROSS = f'{_OF_CHECK},provider=~"$provider|"'  # no provider: compared across all of them
_EDGE = "region, provider, edge, client"
_NAME = "{{region}} · {{provider}} · {{edge}} · {{client}}"
_DATE = Face("dateTimeAsIso")
_YES = look.words({0: ("no", look.GOOD), 1: ("yes", look.BAD)})

FAILS = Mark(
    "Failing edges",
    f'count by (region, provider) (probe_edge_state{{{_HERE},state=~"failing|flapping"}})',
    "{{provider}} fails in {{region}}",
    look.SOMETIMES,
    ("region", "provider"),
)


def board() -> Board:
    """The dashboard."""
    target = Board(
        "probe-target",
        "Regional probe: domain",
        "One domain: every edge in every region, the certificates they serve, their latency.",
        (_TARGET, _REGIONS, _CHECKS, _PROVIDERS),
        (FAILS, ALERTS, RELOADS),
    )
    target.row("Edges", _matrix(), _course(), _failures())
    target.row("Certificates", _served(), _differences(), _expiry())
    target.row("Certificates across regions", _regions(), _changes())
    target.row("Latency by phase", *_latency())
    return target


def _matrix() -> Shown:
    worst = state_number("probe_edge_state", _HERE, _EDGE)
    return matrix(
        "Edges × regions, now",
        "Provider, address and kind of client, by the state that is believed after confirmation. "
        "With `edge_series: failing` only edges that do not pass are listed.",
        now(f'label_join({worst}, "where", " ", "provider", "edge", "client")'),
        rows="where",
        columns="region",
        size=(9, 10),
        face=Face(mappings=look.states(), nothing="–"),
    )


def _course() -> Shown:
    return timeline(
        "Edges over time",
        "A row for each edge.",
        Query(state_number("probe_edge_state", _HERE, _EDGE), _NAME),
        size=(15, 10),
        face=Face(mappings=look.states()),
    )


def _failures() -> Shown:
    failures = f"probe_edge_failures_total{{{_HERE}}}"
    return table(
        "Failed attempts by reason",
        "Within the time range shown above, by edge.",
        now(
            f"sum by ({_EDGE}, phase, reason) (increase({failures}[$__range])) > 0",
            quiet=True,
        ),
        size=(24, 6),
        columns={
            "region": "Region",
            "provider": "Provider",
            "edge": "Edge",
            "client": "Client",
            "phase": "Phase",
            "reason": "Reason",
            "Value": "Attempts",
        },
        face=Face("none", nothing="no attempt failed"),
    )


def _served() -> Shown:
    leaf = "fingerprint_sha256"
    info = f"probe_edge_certificate_info{{{_HERE}}}"
    ends = f"probe_edge_certificate_not_after_timestamp_seconds{{{_HERE}}}"
    on = "region, instance, check, target, provider, edge, client"
    return table(
        "Certificates served",
        "Each leaf certificate with the number of edges that present it.",
        now(f"count by (region, provider, {leaf}, issuer, key, serial) ({info})"),
        now(
            f"min by (region, provider, {leaf}) "
            f"({ends} * on ({on}) group_left ({leaf}) {info}) * 1000"
        ),
        size=(24, 6),
        columns={
            "region": "Region",
            "provider": "Provider",
            "Value #A": "Edges",
            "Value #B": "Ends",
            "issuer": "Issuer",
            "key": "Key",
            "serial": "Serial",
            leaf: "SHA-256",
        },
        faces={"Ends": _DATE},
        face=Face(nothing="no handshake"),
    )


def _differences() -> Shown:
    by = "region, provider, key_type"
    since = f"probe_certificates_differ_since_timestamp_seconds{{{_ACROSS}}}"
    return table(
        "Differences between edges",
        "Distinct leaf certificates of one key type. They may differ while a renewal rolls out, "
        "and no longer.",
        now(f"max by ({by}) (probe_certificates_distinct{{{_ACROSS}}})"),
        now(f"max by ({by}) (probe_certificates_minority_edges{{{_ACROSS}}})"),
        now(f"max by ({by}) (probe_certificates_split{{{_ACROSS}}})"),
        now(
            f"min by ({by}) ({since}) * 1000",
            quiet=True,
        ),
        size=(14, 6),
        columns={
            "region": "Region",
            "provider": "Provider",
            "key_type": "Key",
            "Value #A": "Distinct",
            "Value #B": "Edges in the minority",
            "Value #C": "Too long",
            "Value #D": "Since",
        },
        faces={"Too long": Face(mappings=_YES), "Since": Face("dateTimeFromNow")},
    )


def _regions() -> Shown:
    leaf = "fingerprint_sha256"
    info = f"probe_edge_certificate_info{{{_HERE}}}"
    leaves = 'check_target_key:probe_certificates:leaves{target="$target",check=~"$check"}'
    return table(
        "Leaves by region",
        "Which leaf each region sees, with the number of edges that serve it, and how many leaves "
        "of this kind of key all regions see. They may differ while a renewal rolls out.",
        now(f"count by (provider, key, region, {leaf}, issuer) ({info})"),
        now(
            f"count by (provider, key, region, {leaf}) ({info}) * 0 + on (provider) group_left () "
            f"max by (provider) ({leaves})",
        ),
        size=(14, 6),
        columns={
            "provider": "Provider",
            "key": "Key",
            "region": "Region",
            "Value #A": "Edges",
            "Value #B": "Leaves, all regions",
            "issuer": "Issuer",
            leaf: "SHA-256",
        },
        face=Face(nothing="no handshake"),
    )


def _changes() -> Shown:
    by = "region, provider, key_type"
    last = f"probe_certificates_last_change_timestamp_seconds{{{_HERE}}}"
    return table(
        "Changes of the leaf",
        "When each region last saw the provider change its certificate. One change, however many "
        "edges it reaches.",
        now(f"max by ({by}) ({last}) * 1000", quiet=True),
        now(f"max by ({by}) (probe_certificates_changes_total{{{_HERE}}})"),
        size=(10, 6),
        columns={
            "region": "Region",
            "provider": "Provider",
            "key_type": "Key",
            "Value #A": "Last change",
            "Value #B": "Changes",
        },
        faces={"Last change": Face("dateTimeFromNow")},
        face=Face(nothing="no change was seen"),
    )


def _expiry() -> Shown:
    ends = "probe_ssl_last_chain_expiry_timestamp_seconds"
    return table(
        "When the verified chain ends",
        "The earliest over the edges, as each region sees it.",
        now(f"min by (region, check) ({ends}{{{_OF_CHECK}}}) - time()"),
        size=(10, 6),
        columns={"region": "Region", "check": "Check", "Value": "Ends in"},
        faces={"Ends in": Face("dtdurations", ((None, look.BAD), (14 * 86400, look.GOOD)))},
        face=Face(nothing="no chain verified"),
    )


def _latency() -> tuple[Shown, ...]:
    return tuple(
        lines(
            title,
            text,
            Query(f"max by ({by}) ({metric}{{{_HERE}}})", name),
            size=(8, 8),
            face=Face("s"),
        )
        for title, text, metric, by, name in (
            (
                "DNS",
                "The latest question for addresses. Empty where addresses are fixed.",
                "probe_resolve_seconds",
                "region, provider",
                "{{region}} · {{provider}}",
            ),
            (
                "Connect",
                "TCP connect of the latest attempt.",
                "probe_edge_connect_seconds",
                _EDGE,
                _NAME,
            ),
            (
                "TLS handshake",
                "Of the latest attempt. Absent while it fails: never stale, never zero.",
                "probe_edge_handshake_seconds",
                _EDGE,
                _NAME,
            ),
        )
    )
