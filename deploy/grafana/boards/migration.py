"""A batch of domains on its new CDN, before its DNS moves."""

from __future__ import annotations

from boards import look
from boards.board import ALERTS, REGIONS, RELOADS, Board, Mark, Variable, to
from boards.panel import Face, Shown, lines, matrix, number, table
from boards.query import Query, now, quantile

_CHECK = Variable("check", "Batch", 'probe_check_info{region=~"$region",kind="tls"}', one=True)
_OF = 'probe_provider_targets{region=~"$region",check="$check"}'
_NEW = Variable("provider", "New CDN", _OF, one=True)
_LIVE = Variable(
    "live", "What customers get now", 'probe_provider_targets{region=~"$region"}', True, "provider"
)
_BATCH = 'region=~"$region",check="$check"'
_THERE = f'{_BATCH},provider="$provider"'
_BOTH = 'region=~"$region",provider=~"$provider|$live"'
_NOT_YET = f'probe_edge_state{{{_THERE},state!="passing"}}'

NOT_YET = Mark(
    "Not ready",
    f"max by (region) (probe_provider_targets_failing{{{_THERE}}} > 0)",
    "the batch is not ready in {{region}}",
    look.SOMETIMES,
    ("region",),
)


def board() -> Board:
    """The dashboard."""
    migration = Board(
        "probe-migration",
        "Regional probe: migration",
        "A batch of domains on its new CDN before its DNS moves: is every edge ready for every "
        "domain, in every region?",
        (REGIONS, _CHECK, _NEW, _LIVE),
        (NOT_YET, ALERTS, RELOADS),
    )
    migration.row("Ready?", *_verdict(), _regions(), _missing())
    migration.row("What is missing", _reasons(), _warnings())
    migration.row("Certificates on the new CDN", _leaves(), _expiry())
    migration.row("Certificates across regions", _differing(), _changes())
    migration.row("Now and after", _failing(), _handshake())
    return migration


def _verdict() -> tuple[Shown, ...]:
    failing = f"max by (region) (probe_provider_targets_failing{{{_THERE}}})"
    looking = f"max by (region) (probe_provider_targets{{{_THERE}}})"
    edges = f"max by (region) (probe_provider_edges{{{_THERE}}})"
    ready = look.words({0: ("ready", look.GOOD)})
    return (
        number(
            "Regions in which something is missing",
            "DNS may move when this says `ready`, and not before every region looks.",
            Query(f"count({failing} > 0) or vector(0)"),
            size=(8, 4),
            face=Face(steps=look.from_zero(look.GOOD), mappings=ready),
        ),
        number(
            "Regions that look",
            "With agents that probe the batch there.",
            Query(f"count({looking})"),
            size=(5, 4),
        ),
        number(
            "Domains of the batch",
            "As the region with most knows it.",
            Query(f"max({looking})"),
            size=(5, 4),
        ),
        number(
            "Edges of the new CDN",
            "Addresses, over all regions.",
            Query(f"sum({edges})"),
            size=(6, 4),
        ),
    )


def _regions() -> Shown:
    ok = look.words({0: ("ready", look.GOOD)})
    return matrix(
        "Regions × providers of the batch",
        "Share of the batch's domains that fail, through the new CDN and beside it what customers "
        "get now.",
        now(f"max by (region, provider) (probe_provider_targets_failing_ratio{{{_BATCH}}})"),
        rows="region",
        columns="provider",
        size=(9, 8),
        face=Face("percentunit", look.from_zero(look.GOOD), ok, nothing="not probed"),
    )


def _missing() -> Shown:
    link = {"All edges of this domain": to("probe-target", target="${__value.text}")}
    return table(
        "Domains that are not ready",
        "The first two hundred, with the number of edges of the new CDN on which they do not pass.",
        now(f"topk(200, count by (target, region) ({_NOT_YET}))", quiet=True),
        size=(15, 8),
        columns={"target": "Domain", "region": "Region", "Value": "Edges"},
        faces={"Domain": Face(links=link)},
        face=Face("none", nothing="every domain is ready"),
    )


def _reasons() -> Shown:
    reasons = f"probe_provider_targets_failing_by_reason{{{_THERE}}}"
    return lines(
        "Why",
        "Domains by the reason of the latest failure.",
        Query(
            f"max by (region, phase, reason) ({reasons})",
            "{{region}}: {{phase}}/{{reason}}",
            quiet=True,
        ),
        face=Face(nothing="nothing fails"),
    )


def _warnings() -> Shown:
    warnings = f"probe_edge_warning{{{_THERE}}}"
    return table(
        "What fails nothing yet",
        "Findings on the new edges: certificates that end soon, answers that are nearly too slow.",
        now(f"count by (region, phase, reason) ({warnings})", quiet=True),
        columns={
            "region": "Region",
            "phase": "Phase",
            "reason": "Reason",
            "Value": "Edges and domains",
        },
        face=Face("none", nothing="no finding"),
    )


def _leaves() -> Shown:
    info = f"probe_edge_certificate_info{{{_THERE}}}"
    return table(
        "Issuers and key types",
        "Edges and domains by what they serve. The new CDN's own default certificate shows here "
        "as an issuer or a key type that stands out.",
        now(f"count by (region, issuer, key) ({info})"),
        columns={
            "region": "Region",
            "issuer": "Issuer",
            "key": "Key",
            "Value": "Edges and domains",
        },
        face=Face("none", nothing="no handshake"),
    )


def _expiry() -> Shown:
    ends = f"probe_edge_certificate_not_after_timestamp_seconds{{{_THERE}}}"
    return table(
        "Certificates that end first",
        "The ten domains whose certificate on the new CDN ends first.",
        now(f"bottomk(10, min by (target) ({ends})) - time()"),
        columns={"target": "Domain", "Value": "Ends in"},
        by="Ends in",
        faces={"Ends in": Face("dtdurations", ((None, look.BAD), (14 * 86400, look.GOOD)))},
    )


def _differing() -> Shown:
    where = 'check="$check",provider=~"$provider|"'  # no provider: compared across all of them
    since = f"check_target_key:probe_certificates:differ_since{{{where}}}"
    leaves = f"check_target_key:probe_certificates:leaves{{{where}}}"
    return table(
        "Domains whose leaves differ",
        "Between edges or regions, the first hundred. A batch is ready when every region serves "
        "the same certificate.",
        now(f"topk(100, max by (target, key_type) ({leaves}) > 1)", quiet=True),
        now(f"min by (target, key_type) ({since}) * 1000", quiet=True),
        size=(12, 6),
        columns={
            "target": "Domain",
            "key_type": "Key",
            "Value #A": "Leaves",
            "Value #B": "Since",
        },
        faces={"Since": Face("dateTimeFromNow")},
        face=Face("none", nothing="all agree"),
    )


def _changes() -> Shown:
    changes = f"increase(probe_certificates_changes_total{{{_BOTH}}}[1h])"
    return lines(
        "Leaves that changed, there and here",
        "Changes of certificates within an hour, as the region that saw most of them counts.",
        Query(
            f"max by (provider, check) (sum by (region, provider, check) ({changes}))",
            "{{provider}} ({{check}})",
        ),
        size=(12, 6),
    )


def _failing() -> Shown:
    failing = f"probe_provider_targets_failing_ratio{{{_BOTH}}}"
    return lines(
        "Share of domains that fail, there and here",
        "The new CDN, and what customers get now: after DNS has moved they agree.",
        Query(
            f"max by (region, provider, check) ({failing})", "{{region}} · {{provider}} ({{check}})"
        ),
        face=Face("percentunit"),
    )


def _handshake() -> Shown:
    return lines(
        "TLS handshake, p95, there and here",
        "What the move will change for customers, by region.",
        Query(
            quantile(
                0.95, "probe_phase_latency_seconds", f'{_BOTH},phase="tls"', "region, provider"
            ),
            "{{region}} · {{provider}}",
        ),
        face=Face("s"),
    )
