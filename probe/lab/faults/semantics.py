"""Faults of meaning: HTTP works, and the platform says the wrong thing."""

from __future__ import annotations

from probe.lab.http import Ending, Exchange, Reply, json_response, platform_error

ANYONE = "anyone"


async def wrong_credentials(_exchange: Exchange) -> Reply:
    """Login: these credentials are not known."""
    return json_response({"authStatus": "WrongCredentials"}, 401)


async def unauthenticated(exchange: Exchange) -> Reply:
    """Token check: no token is good."""
    return platform_error(exchange, 401, "invalid_token", "the token is not valid")


async def denied(exchange: Exchange) -> Reply:
    """Authorization: this role may not."""
    what = "Role user:lab cannot perform action GET on resource vrn:apps:all"
    return platform_error(exchange, 403, "forbidden", what)


async def fails_open(exchange: Exchange) -> Reply:
    """Token check and authorization let everybody in, with a token or without."""
    exchange.role = exchange.role or ANYONE
    return Ending.PROCEED


async def tokenless(_exchange: Exchange) -> Reply:
    """Login: success, and no token in it."""
    return json_response({"authStatus": "Success"})


async def expired_at_issue(_exchange: Exchange) -> Reply:
    """Login: success, with a token that ended long ago."""
    answer = {"authStatus": "Success", "token": "e30.e30.c2ln", "expires": 1_000_000_000}
    return json_response(answer | {"access_token": "e30.e30.c2ln", "expires_in": 0})


async def newline_in_token(_exchange: Exchange) -> Reply:
    """Login: success, with a token that would break out of its header."""
    token = "abc\r\nX-Injected: yes"  # noqa: S105 - the fault itself
    return json_response({"authStatus": "Success", "token": token, "access_token": token})


async def invalid_client(_exchange: Exchange) -> Reply:
    """OAuth: this client is not known (RFC 6749 section 5.2)."""
    return json_response({"error": "invalid_client", "error_description": "no such client"}, 401)


async def invalid_grant(_exchange: Exchange) -> Reply:
    """OAuth: this grant was used, revoked or never issued (RFC 6749 section 5.2)."""
    return json_response({"error": "invalid_grant", "error_description": "already used"}, 400)
