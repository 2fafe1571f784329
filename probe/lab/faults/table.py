"""The one table: every fault of the lab, and what a prober must make of it.

A row says what a check with shipped settings reports, or, where ``given`` names something, what
a check with that setting reports. A fault may have several rows; ``reason`` None means that a
prober must not mind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from probe.lab import chains
from probe.lab.faults import http, resolving, semantics, wire
from probe.lab.faults.kinds import Chain, Dns, Fault, Greeting, Http, Listening, Negotiation, Wire
from probe.lab.terminator import TlsSettings
from probe.model.failure import Phase, Reason


class Given(StrEnum):
    """What a check must be set to before it can notice a fault."""

    DEFAULT = "default"
    OWN_NAMES = "own_names"  # the provider's own names are configured
    ISSUERS = "issuers"  # another issuer is expected
    FINGERPRINTS = "fingerprints"  # another leaf is expected
    NOT_BEFORE = "not_before"  # a younger leaf is expected
    ALPN = "alpn"  # h2 is expected
    OCSP = "ocsp"  # a staple is required
    RSA_CLIENT = "rsa_client"  # the client profile tls12-rsa
    ECDSA_CLIENT = "ecdsa_client"  # the client profile tls12-ecdsa
    HTTP2 = "http2"  # the flow speaks HTTP/2
    LARGE_REQUEST = "large_request"  # a body larger than any socket buffer
    REDIRECTS = "redirects"  # redirects are followed
    LATENCY = "latency"  # slower_than is set


@dataclass(frozen=True, slots=True)
class Row:
    """One fault and its expected finding.

    Attributes:
        phase: where; None where a prober must not mind.
        warning: the attempt passes and carries the finding as a warning.
        linux: the fault can be made on Linux only.
    """

    name: str
    fault: Fault
    phase: Phase | None
    reason: Reason | None
    given: Given = Given.DEFAULT
    warning: bool = False
    linux: bool = False


def _chain(
    make: chains.ChainMaker,
    reason: Reason | None,
    given: Given = Given.DEFAULT,
    *,
    warning: bool = False,
) -> Row:
    phase = None if reason is None else Phase.CERTIFICATE
    return Row(make.__name__, Chain(make), phase, reason, given, warning)


_CONNECT = (
    Row("refused", Listening("closed"), Phase.CONNECT, Reason.REFUSED),
    Row("deaf", Listening("deaf"), Phase.CONNECT, Reason.TIMEOUT, linux=True),
    Row("close_after_connect", Greeting(wire.close), Phase.TLS, Reason.CLOSED),
    Row("reset_after_connect", Greeting(wire.reset), Phase.TLS, Reason.RESET),
    Row("silence", Greeting(wire.silence), Phase.TLS, Reason.TIMEOUT),
    Row("banner", Greeting(wire.banner), Phase.TLS, Reason.PLAIN_TEXT),
)

_WIRE = (
    *(
        Row(reason.value, Wire(wire.alert(code)), Phase.TLS, reason)
        for reason, code in wire.ALERTS.items()
    ),
    Row("close_after_hello", Wire(wire.close), Phase.TLS, Reason.CLOSED),
    Row("reset_after_hello", Wire(wire.reset), Phase.TLS, Reason.RESET),
    Row("silence_after_hello", Wire(wire.silence), Phase.TLS, Reason.TIMEOUT),
    Row("slow_drip", Wire(wire.slow_drip), Phase.TLS, Reason.TIMEOUT),
    Row("plain_http", Wire(wire.plain_http), Phase.TLS, Reason.PLAIN_TEXT),
    Row("garbage", Wire(wire.garbage), Phase.TLS, Reason.NOT_TLS),
    Row("endless", Wire(wire.endless), Phase.TLS, Reason.HANDSHAKE_TOO_LARGE),
    Row("broken_handshake", Wire(wire.broken_handshake), Phase.TLS, Reason.HANDSHAKE_INVALID),
    Row("old_protocol", Wire(wire.old_protocol), Phase.TLS, Reason.PROTOCOL_REFUSED),
    Row("strange_cipher", Wire(wire.strange_cipher), Phase.TLS, Reason.CIPHER_REFUSED),
    Row("close_in_handshake", Wire(wire.close_in_handshake), Phase.TLS, Reason.CLOSED),
    Row("reset_in_handshake", Wire(wire.reset_in_handshake), Phase.TLS, Reason.RESET),
)

_OLD_TLS = Negotiation(TlsSettings(min_version="TLSv1", max_version="TLSv1", ciphers="ALL"))
_NO_OVERLAP = Negotiation(TlsSettings(max_version="TLSv1.2", ciphers="AES256-SHA"), ("rsa",))
_NO_ALPN = Negotiation(TlsSettings(alpn=()))
_NO_RSA = Negotiation(TlsSettings(), ("ecdsa",))
_NO_ECDSA = Negotiation(TlsSettings(), ("rsa",))

_NEGOTIATION = (
    Row("tls10_only", _OLD_TLS, Phase.TLS, Reason.ALERT_PROTOCOL_VERSION),
    Row("no_shared_cipher", _NO_OVERLAP, Phase.TLS, Reason.ALERT_HANDSHAKE_FAILURE),
    Row("no_alpn", _NO_ALPN, None, None),
    Row("no_alpn", _NO_ALPN, Phase.TLS, Reason.ALPN_MISMATCH, Given.ALPN),
    Row("no_rsa_twin", _NO_RSA, None, None),
    Row("no_rsa_twin", _NO_RSA, Phase.TLS, Reason.ALERT_HANDSHAKE_FAILURE, Given.RSA_CLIENT),
    Row("no_ecdsa_twin", _NO_ECDSA, None, None),
    Row("no_ecdsa_twin", _NO_ECDSA, Phase.TLS, Reason.ALERT_HANDSHAKE_FAILURE, Given.ECDSA_CLIENT),
    Row("wrong_key", Chain(chains.wrong_key), Phase.TLS, Reason.BAD_SIGNATURE),
    Row("absurd_chain", Chain(chains.absurd_chain), Phase.TLS, Reason.HANDSHAKE_TOO_LARGE),
)

_CHAINS = (
    _chain(chains.expired, Reason.EXPIRED),
    _chain(chains.expired_issuer, Reason.EXPIRED),
    _chain(chains.not_yet_valid, Reason.NOT_YET_VALID),
    _chain(chains.expires_soon, Reason.EXPIRES_SOON, warning=True),
    _chain(chains.stale, None),
    _chain(chains.stale, Reason.OLDER_THAN_EXPECTED, Given.NOT_BEFORE),
    _chain(chains.stale, Reason.UNEXPECTED_FINGERPRINT, Given.FINGERPRINTS),
    _chain(chains.wrong_name, Reason.NAME_MISMATCH),
    _chain(chains.default_certificate, Reason.NAME_MISMATCH),
    _chain(chains.default_certificate, Reason.DEFAULT_CERTIFICATE, Given.OWN_NAMES),
    _chain(chains.self_signed, Reason.SELF_SIGNED),
    _chain(chains.unknown_issuer, Reason.UNKNOWN_ISSUER),
    _chain(chains.missing_intermediate, Reason.MISSING_INTERMEDIATE),
    _chain(chains.wrong_order, Reason.WRONG_ORDER, warning=True),
    _chain(chains.superfluous, Reason.SUPERFLUOUS, warning=True),
    _chain(chains.long_chain, Reason.CHAIN_TOO_LONG),
    _chain(chains.other_issuer, None),
    _chain(chains.other_issuer, Reason.UNEXPECTED_ISSUER, Given.ISSUERS),
    _chain(chains.outside_constraints, Reason.NAME_CONSTRAINTS),
    _chain(chains.forged_leaf, Reason.CHAIN_INVALID),
    _chain(chains.weak_key, Reason.WEAK_KEY),
    _chain(chains.weak_signature, Reason.WEAK_SIGNATURE),
    _chain(chains.wrong_key_usage, Reason.WRONG_KEY_USAGE),
    _chain(chains.client_certificate, Reason.NOT_SERVER_CERTIFICATE),
    _chain(chains.unparsable, Reason.UNPARSABLE),
    _chain(chains.ocsp_good, None),
    _chain(chains.ocsp_missing, Reason.OCSP_MISSING),
    _chain(chains.ocsp_expired, Reason.OCSP_EXPIRED, Given.OCSP),
    _chain(chains.ocsp_revoked, Reason.OCSP_REVOKED),
    _chain(chains.ocsp_mismatch, Reason.OCSP_MISMATCH, Given.OCSP),
    _chain(chains.ocsp_forged, Reason.OCSP_INVALID, Given.OCSP),
    _chain(chains.ocsp_garbage, Reason.OCSP_INVALID, Given.OCSP),
    _chain(chains.ocsp_try_later, Reason.OCSP_INVALID, Given.OCSP),
)

_DNS = (
    Row("dns_nxdomain", Dns(resolving.nxdomain), Phase.RESOLVE, Reason.NXDOMAIN),
    Row("dns_servfail", Dns(resolving.servfail), Phase.RESOLVE, Reason.SERVFAIL),
    Row("dns_refused", Dns(resolving.refused), Phase.RESOLVE, Reason.REFUSED),
    Row("dns_silence", Dns(resolving.silence), Phase.RESOLVE, Reason.TIMEOUT),
    Row("dns_empty", Dns(resolving.empty), Phase.RESOLVE, Reason.NO_ADDRESSES),
    Row("dns_garbage", Dns(resolving.garbage), Phase.RESOLVE, Reason.MALFORMED),
    Row("dns_alias_loop", Dns(resolving.alias_loop), Phase.RESOLVE, Reason.NO_ADDRESSES),
    Row("dns_rotating", Dns(resolving.rotating), None, None),
    Row("dns_truncated", Dns(resolving.truncated), None, None),
    Row("dns_slow", Dns(resolving.slow), None, None),
)


def _status(code: int, name: str, message: str) -> http.Act:
    return http.status(code, name, message)


_INTERNAL = _status(500, "internal_error", "Internal Server Error")
_STATUS_ROWS = (
    ("status_500", _INTERNAL, "edge"),
    ("status_502", _status(502, "routing_error", "Bad Gateway"), "router"),
    ("status_503", _status(503, "route_map_error", "Service Unavailable"), "router"),
    ("status_504", _status(504, "ProxyTimeout", "Gateway Timeout"), "router"),
    ("status_429", http.too_many, "edge"),
    ("authorization_500", _INTERNAL, "authorization"),
    ("authorization_403", semantics.denied, "authorization"),
    ("token_401", semantics.unauthenticated, "token"),
    ("backend_500", _INTERNAL, "backend"),
    ("control_500", _INTERNAL, "control"),
    ("validate_500", _INTERNAL, "validate"),
    ("store_500", _INTERNAL, "store"),
)

_HTTP = (
    *(
        Row(name, Http(act, layer), Phase.EXPECT, Reason.STATUS)
        for name, act, layer in _STATUS_ROWS
    ),
    Row("late", Http(http.late), None, None),
    Row("late", Http(http.late), Phase.EXPECT, Reason.TOO_SLOW, Given.LATENCY, warning=True),
    Row("hang", Http(http.hang), Phase.WAIT, Reason.TIMEOUT),
    Row("hang_in_body", Http(http.hang_in_body), Phase.RECEIVE, Reason.TIMEOUT),
    Row("close_unanswered", Http(http.close_unanswered), Phase.WAIT, Reason.CLOSED),
    Row("reset_unanswered", Http(http.reset_unanswered), Phase.WAIT, Reason.RESET),
    Row("close_in_body", Http(http.close_in_body), Phase.RECEIVE, Reason.CLOSED),
    Row("reset_in_body", Http(http.reset_in_body), Phase.RECEIVE, Reason.RESET),
    Row("not_http", Http(http.not_http), Phase.WAIT, Reason.HTTP_INVALID),
    Row("endless_header", Http(http.endless_header), Phase.WAIT, Reason.HTTP_INVALID),
    Row("broken_chunk", Http(http.broken_chunk), Phase.RECEIVE, Reason.HTTP_INVALID),
    Row("endless_chunks", Http(http.endless_chunks), Phase.RECEIVE, Reason.TOO_LARGE),
    Row("huge_body", Http(http.huge_body), Phase.RECEIVE, Reason.TOO_LARGE),
    Row("gzip_bomb", Http(http.gzip_bomb), Phase.RECEIVE, Reason.TOO_LARGE),
    Row("bad_gzip", Http(http.bad_gzip), Phase.RECEIVE, Reason.UNDECODABLE),
    Row("bad_json", Http(http.bad_json), Phase.EXPECT, Reason.JSON),
    Row("web_page", Http(http.web_page), Phase.EXPECT, Reason.JSON),
    Row("error_in_body", Http(http.error_in_body), Phase.EXPECT, Reason.JSON),
    Row("empty_body", Http(http.nothing), Phase.EXPECT, Reason.JSON),
    Row("redirect_away", Http(http.redirect_away), Phase.EXPECT, Reason.STATUS),
    Row(
        "redirect_away",
        Http(http.redirect_away),
        Phase.RECEIVE,
        Reason.REDIRECT_REFUSED,
        Given.REDIRECTS,
    ),
    Row("goaway", Http(http.goaway), Phase.WAIT, Reason.HTTP2_ERROR, Given.HTTP2),
    Row("reset_stream", Http(http.reset_stream), Phase.WAIT, Reason.HTTP2_ERROR, Given.HTTP2),
)

TABLE: tuple[Row, ...] = (*_DNS, *_CONNECT, *_WIRE, *_NEGOTIATION, *_CHAINS, *_HTTP)
"""Every fault, in the order in which an attempt could meet it."""

FAULTS: Mapping[str, Fault] = MappingProxyType({row.name: row.fault for row in TABLE})
"""Faults by name, for ``inject``."""
