"""The one table of metric families: names, types, help and labels. ``docs/metrics.md`` follows it.

Names of the group *target* are those of blackbox_exporter, so that its dashboards and rules
work on them: one series per target. Detail stands under other names.

A gauge that was not measured by the latest attempt has no series: it is never stale, and never
zero instead. Counters count every attempt, also those between two scrapes.
"""

# ruff: noqa: E501 - a table: one family a row reads better than one argument a line

from __future__ import annotations

from functools import partial
from typing import Final

from probe.serve.series.family import Family, MetricType, SeriesGroup

_LATENCY = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_LATENESS = (0.001, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_WHY = ("phase", "reason")
_SEEN = "once it happened"
_MEASURED = "when measured by the latest attempt"
_SHOOK = "when the latest attempt completed a handshake"
_HTTP = "flows, when the latest run measured it"


_TABLE: list[Family] = []


def _made(
    kind: MetricType,
    group: SeriesGroup,
    name: str,
    text: str,
    *extra: str,
    when: str = "",
    buckets: tuple[float, ...] = (),
) -> Family:
    """A row of the table, which knows its column within its group."""
    column = sum(family.group is group for family in _TABLE)
    family = Family(name, kind, group, text, extra, when, buckets, column)
    _TABLE.append(family)
    return family


_gauge = partial(_made, MetricType.GAUGE)
_counter = partial(_made, MetricType.COUNTER)
_info = partial(_made, MetricType.INFO)
_histogram = partial(_made, MetricType.HISTOGRAM, buckets=_LATENCY)

# fmt: off
# -- per target, blackbox_exporter's names
SUCCESS = _gauge(SeriesGroup.TARGET, "probe_success", "Whether the latest attempts on all edges of the target, or all runs of the flow, passed.", when="unless an edge or flow is inconclusive or unseen, and none fails")
DURATION = _gauge(SeriesGroup.TARGET, "probe_duration_seconds", "Duration of the latest attempt, on the slowest edge of the target.", when=_MEASURED)
DNS_LOOKUP_TIME = _gauge(SeriesGroup.TARGET, "probe_dns_lookup_time_seconds", "Time of the resolution that gave the addresses in use, made now or before, for the slowest provider; 0 for a written address.", when="once an address was looked for")
IP_PROTOCOL = _gauge(SeriesGroup.TARGET, "probe_ip_protocol", "IP version (4 or 6) of the worst edge; 0 when DNS gave no address.")
IP_ADDR_HASH = _gauge(SeriesGroup.TARGET, "probe_ip_addr_hash", "FNV-1a hash (32 bit) of the worst edge's address.")
SSL_EARLIEST_CERT_EXPIRY = _gauge(SeriesGroup.TARGET, "probe_ssl_earliest_cert_expiry", "The least NotAfter of the certificates sent by any edge, seconds since the epoch.", when=_SHOOK)
SSL_LAST_CHAIN_EXPIRY = _gauge(SeriesGroup.TARGET, "probe_ssl_last_chain_expiry_timestamp_seconds", "When the verified chain ends, the earliest over the edges, seconds since the epoch.", when="when a chain verified")
SSL_LAST_CHAIN_INFO = _info(SeriesGroup.TARGET, "probe_ssl_last_chain_info", "The leaf certificate that the worst edge with a handshake presents.", "fingerprint_sha256", "issuer", "serialnumber", "subject", "subjectalternative", when=_SHOOK)
TLS_VERSION_INFO = _info(SeriesGroup.TARGET, "probe_tls_version_info", "TLS version of the worst edge with a handshake.", "version", when=_SHOOK)
TLS_CIPHER_INFO = _info(SeriesGroup.TARGET, "probe_tls_cipher_info", "Cipher of the worst edge with a handshake.", "cipher", when=_SHOOK)
HTTP_STATUS_CODE = _gauge(SeriesGroup.TARGET, "probe_http_status_code", "Status code of the first failed step, else of the last step; 0 without a response.", when=_HTTP)
HTTP_CONTENT_LENGTH = _gauge(SeriesGroup.TARGET, "probe_http_content_length", "Length that the same response announced in bytes, -1 when it announced none.", when=_HTTP)
HTTP_UNCOMPRESSED_BODY_LENGTH = _gauge(SeriesGroup.TARGET, "probe_http_uncompressed_body_length", "Length of the same response's decoded body in bytes.", when=_HTTP)
HTTP_REDIRECTS = _gauge(SeriesGroup.TARGET, "probe_http_redirects", "Redirects that the run followed.", when=_HTTP)
HTTP_SSL = _gauge(SeriesGroup.TARGET, "probe_http_ssl", "Whether the same response came over TLS.", when=_HTTP)
HTTP_VERSION = _gauge(SeriesGroup.TARGET, "probe_http_version", "HTTP version of the same response.", when=_HTTP)
FAILED_DUE_TO_REGEX = _gauge(SeriesGroup.TARGET, "probe_failed_due_to_regex", "Whether a step failed because of a regular expression.", when=_HTTP)
HTTP_DURATION = _gauge(SeriesGroup.TARGET, "probe_http_duration_seconds", "Seconds by phase, summed over the steps of the run.", "phase", when=_HTTP)
# -- per target, ours
CERTIFICATE_DUE = _gauge(SeriesGroup.TARGET, "probe_certificate_renewal_due_timestamp_seconds", "When renewal of the first certificate of any edge's verified chain is due: a third of its lifetime is left.", when="when a chain verified")
CERTIFICATE_LATE = _gauge(SeriesGroup.TARGET, "probe_certificate_renewal_late_timestamp_seconds", "When that renewal is late: less is left than the check's days_left. ProbeCertificateExpiresSoon begins here.", when="when a chain verified")
CERTIFICATE_URGENT = _gauge(SeriesGroup.TARGET, "probe_certificate_renewal_urgent_timestamp_seconds", "When that renewal is urgent: a thirtieth of the lifetime is left, at least 12 hours and at most 3 days. ProbeCertificateExpiresNow begins here.", when="when a chain verified")
CERTIFICATE_TIMESTAMPS = _gauge(SeriesGroup.TARGET, "probe_certificate_timestamps", "Distinct logs of Certificate Transparency whose timestamps count, the fewest of any edge's leaf.", when="when a chain verified to a public root, unless the check ignores them")
TARGET_EDGES = _gauge(SeriesGroup.TARGET, "probe_target_edges", "Edges of the target under all providers and client profiles, looked at or not; a provider without an answer of DNS counts as one.", when="TLS checks, while any is seen")
TARGET_EDGES_FAILING = _gauge(SeriesGroup.TARGET, "probe_target_edges_failing", "Edges of the target that are failing or flapping, confirmed.", when="TLS checks, while any is seen")
TARGET_EDGES_UNSEEN = _gauge(SeriesGroup.TARGET, "probe_target_edges_unseen", "Edges of the target that nobody has judged for three intervals.", when="while there are any")
TARGET_INCONCLUSIVE = _gauge(SeriesGroup.TARGET, "probe_target_inconclusive", "1 while the latest attempt of an edge or flow was inconclusive: the fault is ours.", *_WHY, when="while it is so")
TARGET_INFO = _info(SeriesGroup.TARGET_INFO, "probe_target_info", "Labels of the target from the list that it came from.", "*", when="when the list gives labels")
CHECK_INFO = _info(SeriesGroup.CHECK_INFO, "probe_check_info", "Kind and interval of the check, and its labels.", "*")
CHECK_GRACE = _gauge(SeriesGroup.CHECK_INFO, "probe_check_certificate_grace_seconds", "How long leaves may differ between regions: the grace of consensus.", when="TLS checks, unless across_regions is off")
# -- per edge
EDGE_UP = _gauge(SeriesGroup.EDGE, "probe_edge_up", "Whether the latest attempt on the edge passed.", when="unless the latest attempt was inconclusive, or a pass that is no longer looked at")
EDGE_STATE = _gauge(SeriesGroup.EDGE, "probe_edge_state", "1 for the state the edge is in: unknown, passing, suspect, failing, flapping, or unseen when nobody has judged it for three intervals.", "state")
EDGE_STATE_SINCE = _gauge(SeriesGroup.EDGE, "probe_edge_state_since_timestamp_seconds", "When the present state began, seconds since the epoch.", when="while suspect, failing or flapping")
EDGE_UNSEEN_SINCE = _gauge(SeriesGroup.EDGE, "probe_edge_unseen_since_timestamp_seconds", "When the edge was last judged, seconds since the epoch; one that failed then keeps its state.", when="while nobody has judged it for three intervals")
EDGE_UNNAMED_SINCE = _gauge(SeriesGroup.EDGE, "probe_edge_unnamed_since_timestamp_seconds", "Since when no answer of DNS names the edge, seconds since the epoch.", when="while it is so")
EDGE_ATTEMPTS = _counter(SeriesGroup.EDGE, "probe_edge_attempts_total", "Attempts on the edge, confirming ones included.")
EDGE_FAILED_ATTEMPTS = _counter(SeriesGroup.EDGE, "probe_edge_failed_attempts_total", "Failed attempts on the edge, whatever the reason; starts at zero.")
EDGE_FAILURES = _counter(SeriesGroup.EDGE, "probe_edge_failures_total", "Failed attempts on the edge by phase and reason.", *_WHY, when=_SEEN)
EDGE_INCONCLUSIVE = _counter(SeriesGroup.EDGE, "probe_edge_inconclusive_total", "Attempts that say nothing about the edge because the fault is ours.", *_WHY, when=_SEEN)
EDGE_WARNING = _gauge(SeriesGroup.EDGE, "probe_edge_warning", "1 for each finding of the latest attempt that fails nothing yet.", *_WHY, when="while found")
EDGE_CONNECT = _gauge(SeriesGroup.EDGE, "probe_edge_connect_seconds", "TCP connect of the latest attempt.", when=_MEASURED + ", on time")
EDGE_HANDSHAKE = _gauge(SeriesGroup.EDGE, "probe_edge_handshake_seconds", "TLS handshake of the latest attempt.", when=_MEASURED + ", on time")
EDGE_CERTIFICATE_NOT_AFTER = _gauge(SeriesGroup.EDGE, "probe_edge_certificate_not_after_timestamp_seconds", "NotAfter of the leaf that the edge presents, seconds since the epoch.", when=_SHOOK)
EDGE_CERTIFICATE_NOT_BEFORE = _gauge(SeriesGroup.EDGE, "probe_edge_certificate_not_before_timestamp_seconds", "NotBefore of the leaf that the edge presents, seconds since the epoch.", when=_SHOOK)
EDGE_CERTIFICATE_LATE = _gauge(SeriesGroup.EDGE, "probe_edge_certificate_renewal_late_timestamp_seconds", "When renewal of that leaf is late: less is left than the check's days_left.", when=_SHOOK)
EDGE_CERTIFICATE_INFO = _info(SeriesGroup.EDGE, "probe_edge_certificate_info", "The leaf that the edge presents.", "fingerprint_sha256", "issuer", "key", "serial", when=_SHOOK)
EDGE_TLS_INFO = _info(SeriesGroup.EDGE, "probe_edge_tls_info", "What the handshake with the edge agreed on, and what revocation lists (`crl`) and the stapled answer (`ocsp`) say of its chain.", "alpn", "cipher", "crl", "group", "ocsp", "version", when=_SHOOK)
EDGE_CERTIFICATE_MINORITY = _gauge(SeriesGroup.EDGE, "probe_edge_certificate_minority", "1 while fewer edges present this leaf than another one.", when="while it is so")
# -- across edges
CERTIFICATES_DISTINCT = _gauge(SeriesGroup.CERTIFICATES, "probe_certificates_distinct", "Distinct leaf certificates that the edges present.")
CERTIFICATES_MINORITY_EDGES = _gauge(SeriesGroup.CERTIFICATES, "probe_certificates_minority_edges", "Edges whose leaf differs from the commonest one.")
CERTIFICATES_SPLIT = _gauge(SeriesGroup.CERTIFICATES, "probe_certificates_split", "Whether the leaves have differed for longer than a rolling renewal may take.")
CERTIFICATES_DIFFER_SINCE = _gauge(SeriesGroup.CERTIFICATES, "probe_certificates_differ_since_timestamp_seconds", "Since when the leaves differ, seconds since the epoch.", when="while they differ")
CERTIFICATES_CHANGES = _counter(SeriesGroup.CERTIFICATES, "probe_certificates_changes_total", "Times that the provider began to serve another leaf, once for all edges that it reaches; starts at zero, or where state_dir left off.")
CERTIFICATES_LAST_CHANGE = _gauge(SeriesGroup.CERTIFICATES, "probe_certificates_last_change_timestamp_seconds", "When it last did, seconds since the epoch.", when="once it happened")
# -- per provider
PROVIDER_EDGES = _gauge(SeriesGroup.PROVIDER, "probe_provider_edges", "Distinct addresses of the provider, of which anything is seen.", when="TLS checks, while any is seen")
PROVIDER_EDGES_FAILING = _gauge(SeriesGroup.PROVIDER, "probe_provider_edges_failing", "Distinct addresses of the provider that are failing or flapping for any target.", when="TLS checks, while any is seen")
PROVIDER_TARGETS = _gauge(SeriesGroup.PROVIDER, "probe_provider_targets", "Targets probed through the provider, of which anything is seen.", when="while any is seen")
PROVIDER_TARGETS_FAILING = _gauge(SeriesGroup.PROVIDER, "probe_provider_targets_failing", "Targets with an edge or flow of the provider that is failing or flapping.", when="while any is seen")
PROVIDER_TARGETS_FAILING_PLANNED = _gauge(SeriesGroup.PROVIDER, "probe_provider_targets_failing_planned", "How many of these a maintenance window covers now.", when="while a window covers any target of the provider")
PROVIDER_TARGETS_FAILING_RATIO = _gauge(SeriesGroup.PROVIDER, "probe_provider_targets_failing_ratio", "The same as a share of the provider's targets, 0 to 1.", when="while any is seen")
PROVIDER_TARGETS_FAILING_BY_REASON = _gauge(SeriesGroup.PROVIDER, "probe_provider_targets_failing_by_reason", "The same by the phase and reason of the latest failure.", *_WHY, when="while it is so")
EDGE_CAUSE = _gauge(SeriesGroup.PROVIDER, "probe_edge_cause", "Distinct addresses of the provider whose failures depend on this cause, as experiments told; undetermined when they could not.", "cause", when="while what was investigated still fails")
FLOW_CAUSE = _gauge(SeriesGroup.PROVIDER, "probe_flow_cause", "Flows through the provider whose failures depend on this cause, as experiments told; undetermined when they could not.", "cause", when="while what was investigated still fails")
PROVIDER_FAILING_SINCE = _gauge(SeriesGroup.PROVIDER, "probe_provider_failing_since_timestamp_seconds", "When the earliest of the present failures began, seconds since the epoch.", when="while anything fails")
PROVIDER_RESULTS_EXPECTED = _gauge(SeriesGroup.PROVIDER, "probe_provider_results_expected", "Edges, flows and name resolutions of the provider that are to be judged.")
PROVIDER_RESULTS_MISSING = _gauge(SeriesGroup.PROVIDER, "probe_provider_results_missing", "Edges, flows and name resolutions of the provider that nobody has judged for three intervals.")
PROVIDER_TARGETS_UNSEEN = _gauge(SeriesGroup.PROVIDER, "probe_provider_targets_unseen", "Targets with an edge, flow or name of the provider that nobody has judged for three intervals.")
PROVIDER_ATTEMPTS = _counter(SeriesGroup.PROVIDER, "probe_provider_attempts_total", "Attempts through the provider: on edges, and runs of flows.")
PROVIDER_FAILED_ATTEMPTS = _counter(SeriesGroup.PROVIDER, "probe_provider_failed_attempts_total", "Failed attempts through the provider; starts at zero.")
PROVIDER_FAILURES = _counter(SeriesGroup.PROVIDER, "probe_provider_failures_total", "Failed attempts through the provider by phase and reason.", *_WHY, when=_SEEN)
PROVIDER_SESSION_TICKETS = _counter(SeriesGroup.PROVIDER, "probe_provider_session_tickets_total", "Attempts by what became of another edge's session ticket: `resumed`, `refused` (a full handshake instead), `broken` (the handshake failed), or `untried` without a ticket at hand.", "outcome", when="with resumption: across_edges")
# -- maintenance windows
PLANNED_UNTIL = _gauge(SeriesGroup.PLANNED, "probe_planned_until_timestamp_seconds", "End of the maintenance window that covers the target through the provider now, seconds since the epoch. It says nothing of health.", when="while a window is open")
TARGET_PLANNED_UNTIL = _gauge(SeriesGroup.TARGET_PLANNED, "probe_target_planned_until_timestamp_seconds", "The same of a target that windows cover through every provider of the check, the first of their ends.", when="while they are open")
# -- DNS
RESOLVE_SUCCESS = _gauge(SeriesGroup.RESOLVE, "probe_resolve_success", "Whether the latest question for addresses that could be judged was answered.", when="unless the latest cannot be judged after one that was answered")
RESOLVE = _gauge(SeriesGroup.RESOLVE, "probe_resolve_seconds", "Duration of the latest question.", when="when DNS was asked")
RESOLVE_EDGES = _gauge(SeriesGroup.RESOLVE, "probe_resolve_edges", "Addresses known for the target, those kept from before included.")
RESOLVE_SKIPPED_IPV6_EDGES = _gauge(SeriesGroup.RESOLVE, "probe_resolve_skipped_ipv6_edges", "IPv6 addresses left out because this host has no IPv6 route.", when="when there are any")
RESOLVE_NAT64_EDGES = _gauge(SeriesGroup.RESOLVE, "probe_resolve_nat64_edges", "IPv6 addresses that reach an IPv4 address through NAT64: the server behind may stand among the edges twice.", when="when there are any")
RESOLVE_UNSEEN_SINCE = _gauge(SeriesGroup.RESOLVE, "probe_resolve_unseen_since_timestamp_seconds", "When DNS last answered or failed for the name, seconds since the epoch.", when="while it has not for three intervals")
RESOLVE_ATTEMPTS = _counter(SeriesGroup.RESOLVE, "probe_resolve_attempts_total", "Questions for addresses.")
RESOLVE_FAILURES = _counter(SeriesGroup.RESOLVE, "probe_resolve_failures_total", "Failed questions by reason.", "reason", when=_SEEN)
RESOLVE_WARNING = _gauge(SeriesGroup.RESOLVE, "probe_resolve_warning", "1 for each finding about the name's HTTPS records that fails nothing.", "reason", when="while found")
RECORDS_SEEN = _gauge(SeriesGroup.RESOLVE, "probe_resolve_records_seen", "Whether the latest look-up of these records was answered: HTTPS or CAA. While it is 0, no finding says anything.", "record", when="where the check asks for records, once looked up")
# -- flows
FLOW_UP = _gauge(SeriesGroup.FLOW, "probe_flow_up", "Whether the latest run of the flow passed.", when="unless the latest run was inconclusive, or a pass that is no longer looked at")
FLOW_STATE = _gauge(SeriesGroup.FLOW, "probe_flow_state", "1 for the state the flow is in: unknown, passing, suspect, failing, flapping, or unseen when nobody has judged it for three intervals.", "state")
FLOW_STATE_SINCE = _gauge(SeriesGroup.FLOW, "probe_flow_state_since_timestamp_seconds", "When the present state began, seconds since the epoch.", when="while suspect, failing or flapping")
FLOW_UNSEEN_SINCE = _gauge(SeriesGroup.FLOW, "probe_flow_unseen_since_timestamp_seconds", "When the flow was last judged, seconds since the epoch; one that failed then keeps its state.", when="while nobody has judged it for three intervals")
FLOW_DIAGNOSIS = _gauge(SeriesGroup.FLOW, "probe_flow_diagnosis", "1 for the layer to blame: none when healthy, inconclusive when the fault is ours.", "layer", when="unless unseen with nothing to blame")
FLOW_FAILS_OPEN = _gauge(SeriesGroup.FLOW, "probe_flow_fails_open", "Whether a call that must be refused succeeded; 1 until it is refused.", when="once such a call was answered")
FLOW_DEGRADED = _gauge(SeriesGroup.FLOW, "probe_flow_degraded", "Whether a step of the latest run, or the latest login, was slower than it may be, or a kept token was refused early where that degrades.", when="unless the latest run was inconclusive")
FLOW_DURATION = _gauge(SeriesGroup.FLOW, "probe_flow_duration_seconds", "Duration of the latest run.", when=_MEASURED + ", on time")
FLOW_TOKEN_EXPIRY = _gauge(SeriesGroup.FLOW, "probe_flow_token_expiry_timestamp_seconds", "When the token in use expires, seconds since the epoch.", when="when the flow holds a token")
FLOW_RUNS = _counter(SeriesGroup.FLOW, "probe_flow_runs_total", "Runs of the flow.")
FLOW_FAILED_RUNS = _counter(SeriesGroup.FLOW, "probe_flow_failed_runs_total", "Failed runs of the flow; starts at zero.")
FLOW_EARLY_TOKEN_REFUSALS = _counter(SeriesGroup.FLOW, "probe_flow_early_token_refusals_total", "Steps that a kept token was refused for before its end, and that passed with a new one; starts at zero.")
FLOW_FAILURES = _counter(SeriesGroup.FLOW, "probe_flow_failures_total", "Failed runs by the phase and reason of the first failure.", *_WHY, when=_SEEN)
FLOW_INCONCLUSIVE = _counter(SeriesGroup.FLOW, "probe_flow_inconclusive_total", "Runs that say nothing about the flow because the fault is ours.", *_WHY, when=_SEEN)
FLOW_PERSONAS_DIVERGE = _gauge(SeriesGroup.PERSONAS, "probe_flow_personas_diverge", "Whether the latest runs of the flow passed for some personas and failed for others.", when="with two personas or more")
# -- steps
STEP_SUCCESS = _gauge(SeriesGroup.STEP, "probe_step_success", "Whether the step passed in the latest run, all attempts of it.", when="when it ran, conclusively")
STEP_SKIPPED = _gauge(SeriesGroup.STEP, "probe_step_skipped", "1 while the step does not run because a value it needs is missing.", when="while it is so")
STEP_DEGRADED = _gauge(SeriesGroup.STEP, "probe_step_degraded", "1 while the step passes, slower than it may be or with an early refusal that degrades.", when="while it is so")
STEP_STATUS_CODE = _gauge(SeriesGroup.STEP, "probe_step_status_code", "HTTP status code, or exit code of a command.", when="with a response")
STEP_DURATION = _gauge(SeriesGroup.STEP, "probe_step_duration_seconds", "Duration of the step in the latest run, the slowest attempt.", when=_MEASURED + ", on time")
STEP_ATTEMPTS = _counter(SeriesGroup.STEP, "probe_step_attempts_total", "Results of the step, each of its attempts being one.")
STEP_FAILED_ATTEMPTS = _counter(SeriesGroup.STEP, "probe_step_failed_attempts_total", "Failed results of the step; starts at zero.")
STEP_FAILURES = _counter(SeriesGroup.STEP, "probe_step_failures_total", "Failed results of the step by phase and reason.", *_WHY, when=_SEEN)
STEP_INCONCLUSIVE = _counter(SeriesGroup.STEP, "probe_step_inconclusive_total", "Results that say nothing about the step because the fault is ours.", *_WHY, when=_SEEN)
STEP_INSTANCE_ATTEMPTS = _counter(SeriesGroup.INSTANCE, "probe_step_instance_attempts_total", "Results of a step by the server-side part that answered: its address, or a response header.", when=_SEEN)
STEP_INSTANCE_FAILED_ATTEMPTS = _counter(SeriesGroup.INSTANCE, "probe_step_instance_failed_attempts_total", "Failed results of a step by the server-side part that answered.", when=_SEEN)
# -- latency, aggregated
PHASE_LATENCY = _histogram(SeriesGroup.LATENCY, "probe_phase_latency_seconds", "Seconds per phase of attempts and steps that were measured on time.", "check", "provider", "phase")
FLOW_LATENCY = _histogram(SeriesGroup.LATENCY, "probe_flow_latency_seconds", "Seconds per run of a flow.", "check", "provider", "persona")
STEP_LATENCY = _histogram(SeriesGroup.LATENCY, "probe_step_latency_seconds", "Seconds per step of a flow; exemplars carry the trace id.", "check", "provider", "step", "layer")
# -- the agent
AGENT_BUILD_INFO = _info(SeriesGroup.AGENT, "probe_agent_build_info", "Version of the agent and of what it stands on.", "openssl", "python", "version")
AGENT_CONFIG_INFO = _info(SeriesGroup.AGENT, "probe_agent_config_info", "SHA-256 of the running configuration file.", "digest")
AGENT_CONFIG_LAST_RELOAD_SUCCESS = _gauge(SeriesGroup.AGENT, "probe_agent_config_last_reload_success", "Whether the latest attempt to load the configuration worked.")
AGENT_CONFIG_LAST_RELOAD_SUCCESS_TIMESTAMP = _gauge(SeriesGroup.AGENT, "probe_agent_config_last_reload_success_timestamp_seconds", "When a configuration was last loaded, seconds since the epoch.")
VANTAGE_HEALTHY = _gauge(SeriesGroup.AGENT, "probe_vantage_healthy", "Whether what this agent sees can be trusted now.", when="once judged")
VANTAGE_ILLNESS = _gauge(SeriesGroup.AGENT, "probe_vantage_illness", "1 for each cause that makes the vantage ill.", "cause", when="while it is so")
VANTAGE_UNJUDGED = _gauge(SeriesGroup.AGENT, "probe_vantage_unjudged", "1 for each cause that would not be noticed now, because nothing tells about it.", "cause", when="while it is so")
VANTAGE_CLOCK_OFFSET = _gauge(SeriesGroup.AGENT, "probe_vantage_clock_offset_seconds", "Seconds by which this host's clock must be set forward, negative for back; at least so many when only the dates of certificates tell.", when="while something tells")
AGENT_CLOCK_SYNCHRONIZED = _gauge(SeriesGroup.AGENT, "probe_agent_clock_synchronized", "Whether the kernel says that something keeps the clock right.", when="where the kernel says so or not")
AGENT_CLOCK_STEPS = _counter(SeriesGroup.AGENT, "probe_agent_clock_steps_total", "Times that this host's clock was set by more than half a second, or the host slept.")
AGENT_WEB_CONFIG_LAST_RELOAD_SUCCESS = _gauge(SeriesGroup.AGENT, "probe_agent_web_config_last_reload_success", "Whether the web configuration file and its certificates are in use as they are now; if not, those before are.", when="with a web configuration file")
AGENT_WEB_CONFIG_FAILURES = _counter(SeriesGroup.AGENT, "probe_agent_web_config_failures_total", "Changes of the web configuration file or its certificates that could not be used.", when="with a web configuration file")
AGENT_WEB_LOGINS_FAILED = _counter(SeriesGroup.AGENT, "probe_agent_web_logins_failed_total", "Logins at the port that failed, or were refused unchecked because too many did.", when="with a web configuration file")
AGENT_SCHEDULE_LATENESS = _histogram(SeriesGroup.AGENT, "probe_agent_schedule_lateness_seconds", "How late attempts start.", "check", buckets=_LATENESS)
AGENT_LOOP_LAG = _histogram(SeriesGroup.AGENT, "probe_agent_loop_lag_seconds", "Event-loop lag.", buckets=_LATENESS)
AGENT_MISSED_RUNS = _counter(SeriesGroup.AGENT, "probe_agent_missed_runs_total", "Runs that were due and did not start before the next was due.", "check")
AGENT_SKIPPED_RUNS = _counter(SeriesGroup.AGENT, "probe_agent_skipped_runs_total", "Runs left out on purpose (`overlap`, `slow`), or not finished by a defect of the probe (`crashed`, `cut`, `stuck`).", "check", "reason", when=_SEEN)
AGENT_LOOP_CRASHES = _counter(SeriesGroup.AGENT, "probe_agent_loop_crashes_total", "Crashes of a loop beside the probes, each a defect of the probe; it begins again after a pause.", "loop")
AGENT_IN_FLIGHT = _gauge(SeriesGroup.AGENT, "probe_agent_in_flight", "Attempts and DNS questions running now.", "check")
AGENT_DISCOVERY_UP = _gauge(SeriesGroup.AGENT, "probe_agent_discovery_up", "Whether the source of targets answered the latest time with a list that can be used.", "list", "source")
AGENT_DISCOVERY_LAST_SUCCESS = _gauge(SeriesGroup.AGENT, "probe_agent_discovery_last_success_timestamp_seconds", "When the source of targets last answered, seconds since the epoch.", "list", "source", when="once it answered")
AGENT_DISCOVERY_TARGETS = _gauge(SeriesGroup.AGENT, "probe_agent_discovery_targets", "Targets of the source that are in use.", "list", "source", when="once it answered")
AGENT_DISCOVERY_REJECTED = _gauge(SeriesGroup.AGENT, "probe_agent_discovery_rejected", "Entries, labels and groups of the source's list that cannot be used; the rest is.", "list", "source", when="once it answered")
AGENT_DISCOVERY_UNUSED = _gauge(SeriesGroup.AGENT, "probe_agent_discovery_unused", "Targets of the source beyond `max_targets` of its list: they are not probed.", "list", "source", when="once it answered")
AGENT_DISCOVERY_HELD_SINCE = _gauge(SeriesGroup.AGENT, "probe_agent_discovery_held_since_timestamp_seconds", "Since when the targets before stay in use because the source lost more than half of them at once, seconds since the epoch.", "list", "source", when="while it is held")
AGENT_STATE_DIR_WRITABLE = _gauge(SeriesGroup.AGENT, "probe_agent_state_dir_writable", "Whether `state_dir` could be written the latest time; if not, rotated refresh tokens are kept in memory only.", when="with state_dir:")
AGENT_CRL_LISTS = _gauge(SeriesGroup.AGENT, "probe_agent_crl_lists", "Revocation lists that served chains name, by state: `usable`, `expired`, `unusable` (none is here), `pending` (not looked at yet).", "state", when="unless crl: off")
AGENT_CRL_TROUBLE = _gauge(SeriesGroup.AGENT, "probe_agent_crl_trouble", "1 for each revocation list that the latest look did not give, or that is past its end; 50 at most.", "reason", "url", when="while it is so")
AGENT_CRL_OLDEST = _gauge(SeriesGroup.AGENT, "probe_agent_crl_oldest_timestamp_seconds", "thisUpdate of the oldest revocation list in use, seconds since the epoch.", when="with any")
AGENT_CRL_REVOKED = _gauge(SeriesGroup.AGENT, "probe_agent_crl_revoked_chains", "Distinct chains, served within a day, with a certificate that a revocation list names.", when="unless crl: off")
AGENT_CRL_LOOKS = _counter(SeriesGroup.AGENT, "probe_agent_crl_looks_total", "Looks at revocation lists by outcome: `new`, `unchanged`, `failed`, `unusable`.", "outcome", when="unless crl: off")
AGENT_SHARE_PEERS = _gauge(SeriesGroup.AGENT, "probe_agent_share_peers", "Agents that share the targets of the region, as this one last saw them, itself among them.", when="with share:")
AGENT_SHARE_PEERS_UP = _gauge(SeriesGroup.AGENT, "probe_agent_share_peers_up", "Whether the latest look for peers found any; while it is 0 each target gets more replicas.", when="with share:")
AGENT_SHARE_REPLICAS = _gauge(SeriesGroup.AGENT, "probe_agent_share_replicas", "How many agents probe each target now; no fewer than the peers means that this one probes all.", when="with share:")
AGENT_SHARE_TARGETS = _gauge(SeriesGroup.AGENT, "probe_agent_share_targets", "Targets of the list that this agent probes: its share, and what it still holds until others have begun.", "list", when="with share:")
AGENT_INCONCLUSIVE = _counter(SeriesGroup.AGENT, "probe_agent_inconclusive_total", "Inconclusive results by phase and reason: the fault is ours.", "check", "phase", "reason", when=_SEEN)
AGENT_INVESTIGATIONS = _counter(SeriesGroup.AGENT, "probe_agent_investigations_total", "Investigations of confirmed failures that ended, by the cause that was found, or undetermined.", "check", "cause", when=_SEEN)
AGENT_UNKNOWN_REASONS = _counter(SeriesGroup.AGENT, "probe_agent_unknown_reasons_total", "Failures that no reason fits: each is a defect of the probe.", "check")
AGENT_DNS_QUESTIONS = _counter(SeriesGroup.AGENT, "probe_agent_dns_questions_total", "Questions to DNS servers by outcome: addresses, records, no_records, or the reason why not.", "outcome", when=_SEEN)
AGENT_DNS_SUBNET_IGNORED = _counter(SeriesGroup.AGENT, "probe_agent_dns_subnet_ignored_total", "Answers that ignored the client subnet asked for (RFC 7871), by server: they speak for this region only.", "server", when=_SEEN)
AGENT_UNTRUSTED_TIMINGS = _counter(SeriesGroup.AGENT, "probe_agent_untrusted_timings_total", "Results whose timings were dropped because the agent itself was late.", "check")
# fmt: on

FAMILIES: Final = tuple(_TABLE)
"""Every family, in the order of the exposition."""


def of_group(group: SeriesGroup) -> tuple[Family, ...]:
    """The families of one group, in order."""
    return tuple(family for family in FAMILIES if family.group is group)
