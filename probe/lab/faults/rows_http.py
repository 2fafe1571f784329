"""Rows of the fault table: requests, answers, and the layers of the platform."""

from __future__ import annotations

from probe.lab.faults import http, semantics
from probe.lab.faults.kinds import Http, Tunnel
from probe.lab.faults.row import Given, Row
from probe.model.failure import Phase, Reason

_INTERNAL = http.status(500, "internal_error", "Internal Server Error")
_STATUS_ROWS = (
    ("status_500", _INTERNAL, "edge"),
    ("status_502", http.status(502, "routing_error", "Bad Gateway"), "router"),
    ("status_503", http.status(503, "route_map_error", "Service Unavailable"), "router"),
    ("status_504", http.status(504, "ProxyTimeout", "Gateway Timeout"), "router"),
    ("authorization_500", _INTERNAL, "authorization"),
    ("authorization_403", semantics.denied, "authorization"),
    ("token_401", semantics.unauthenticated, "token"),
    ("backend_500", _INTERNAL, "backend"),
    ("control_500", _INTERNAL, "control"),
    ("validate_500", _INTERNAL, "validate"),
    ("store_500", _INTERNAL, "store"),
)


def _login(
    name: str, act: http.Act, phase: Phase, reason: Reason, given: Given = Given.LOGIN
) -> Row:
    return Row(name, Http(act, "login"), phase, reason, given)


LOGIN: tuple[Row, ...] = (
    _login("login_500", _INTERNAL, Phase.AUTH, Reason.LOGIN_FAILED),
    _login("login_hang", http.hang, Phase.AUTH, Reason.TIMEOUT),
    _login("login_web_page", http.web_page, Phase.AUTH, Reason.TOKEN_MALFORMED),
    _login("login_429", http.too_many, Phase.AUTH, Reason.RATE_LIMITED),
    _login("login_tokenless", semantics.tokenless, Phase.AUTH, Reason.TOKEN_MALFORMED),
    _login("login_expired", semantics.expired_at_issue, Phase.AUTH, Reason.TOKEN_EXPIRED),
    _login("login_newline", semantics.newline_in_token, Phase.AUTH, Reason.TOKEN_MALFORMED),
    _login(
        "wrong_credentials", semantics.wrong_credentials, Phase.AUTH, Reason.CREDENTIALS_REFUSED
    ),
    *(
        _login(name, act, Phase.AUTH, Reason.CREDENTIALS_REFUSED, Given.OAUTH)
        for name, act in (
            ("invalid_client", semantics.invalid_client),
            ("invalid_grant", semantics.invalid_grant),
        )
    ),
)

TUNNEL: tuple[Row, ...] = (
    Row("close_tunnel", Tunnel(http.close_tunnel), Phase.WAIT, Reason.CLOSED),
    Row("deaf_tunnel", Tunnel(http.deaf_tunnel), Phase.WAIT, Reason.TIMEOUT),
    Row(
        "deaf_tunnel",
        Tunnel(http.deaf_tunnel),
        Phase.SEND,
        Reason.TIMEOUT,
        Given.LARGE_REQUEST,
    ),
)


def _http(
    name: str,
    act: http.Act,
    phase: Phase | None,
    reason: Reason | None,
    given: Given = Given.DEFAULT,
    *,
    warning: bool = False,
) -> Row:
    return Row(name, Http(act), phase, reason, given, warning)


HTTP: tuple[Row, ...] = (
    *(
        Row(name, Http(act, layer), Phase.EXPECT, Reason.STATUS)
        for name, act, layer in _STATUS_ROWS
    ),
    _http("status_429", http.too_many, Phase.EXPECT, Reason.STATUS),
    Row("fails_open", Http(semantics.fails_open, "token"), None, None),
    _http("clock_off", http.clock_off, None, None),
    _http("late", http.late, None, None),
    _http("late", http.late, Phase.EXPECT, Reason.TOO_SLOW, Given.LATENCY, warning=True),
    _http("hang", http.hang, Phase.WAIT, Reason.TIMEOUT),
    _http("hang_in_body", http.hang_in_body, Phase.RECEIVE, Reason.TIMEOUT),
    _http("close_unanswered", http.close_unanswered, Phase.WAIT, Reason.CLOSED),
    _http("reset_unanswered", http.reset_unanswered, Phase.WAIT, Reason.RESET),
    _http("close_in_body", http.close_in_body, Phase.RECEIVE, Reason.CLOSED),
    _http("reset_in_body", http.reset_in_body, Phase.RECEIVE, Reason.RESET),
    _http("not_http", http.not_http, Phase.RECEIVE, Reason.HTTP_INVALID),
    _http("endless_header", http.endless_header, Phase.RECEIVE, Reason.TOO_LARGE),
    _http("broken_chunk", http.broken_chunk, Phase.RECEIVE, Reason.HTTP_INVALID),
    _http("endless_chunks", http.endless_chunks, Phase.RECEIVE, Reason.TOO_LARGE, Given.BODY),
    _http("huge_body", http.huge_body, Phase.RECEIVE, Reason.TOO_LARGE, Given.BODY),
    _http("gzip_bomb", http.gzip_bomb, Phase.RECEIVE, Reason.TOO_LARGE, Given.BODY),
    _http("bad_gzip", http.bad_gzip, Phase.RECEIVE, Reason.UNDECODABLE, Given.BODY),
    _http("bad_json", http.bad_json, Phase.EXPECT, Reason.JSON),
    _http("error_in_body", http.error_in_body, Phase.EXPECT, Reason.JSON),
    _http("error_in_body", http.error_in_body, Phase.EXPECT, Reason.CAPTURE_MISSING, Given.CAPTURE),
    _http("empty_body", http.nothing, Phase.EXPECT, Reason.JSON),
    _http("web_page", http.web_page, Phase.EXPECT, Reason.JSON),
    _http("web_page", http.web_page, Phase.EXPECT, Reason.WEB_PAGE, Given.DENIED),
    _http("web_page", http.web_page, Phase.EXPECT, Reason.HEADER, Given.HEADER),
    _http("web_page", http.web_page, Phase.EXPECT, Reason.BODY, Given.BODY),
    _http("web_page", http.web_page, Phase.EXPECT, Reason.REGEX, Given.REGEX),
    _http("large_body", http.large_body, None, None),
    _http("large_body", http.large_body, Phase.EXPECT, Reason.SIZE, Given.SIZE),
    _http("redirect_away", http.redirect_away, Phase.EXPECT, Reason.STATUS),
    *(
        _http(name, act, Phase.RECEIVE, Reason.REDIRECT_REFUSED, Given.REDIRECTS)
        for name, act in (
            ("redirect_away", http.redirect_away),
            ("redirect_inward", http.redirect_inward),
            ("redirect_loop", http.redirect_loop),
        )
    ),
    _http("goaway", http.goaway, Phase.WAIT, Reason.HTTP2_ERROR, Given.HTTP2),
    _http("reset_stream", http.reset_stream, Phase.WAIT, Reason.HTTP2_ERROR, Given.HTTP2),
)
