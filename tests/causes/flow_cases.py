"""Cases of flows: a fault of the lab's table, where it strikes, a share, and its cause."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from probe.lab.board import Where
from probe.lab.faults import http
from probe.lab.faults.kinds import Http
from probe.lab.faults.table import FAULTS
from probe.lab.http import Ending, Exchange, Reply
from probe.lab.platform import Hosts
from probe.lab.tokens import decode_part
from probe.model.flow_cause import FlowCause

SHARES = (1.0, 0.6, 0.3)


@dataclass(frozen=True)
class FlowCase:
    """One fault in a platform of its own.

    Attributes:
        fault: of the lab's table, or one of this file.
        hosts: attributes of ``Hosts`` that it is limited to; likewise ``limits`` of ``Where``.
        first: only the first of the two addresses has it.
        causes: any of these is right.
    """

    number: int
    fault: str
    share: float
    causes: frozenset[FlowCause]
    hosts: tuple[str, ...] = ()
    limits: dict[str, frozenset[str]] = field(default_factory=dict)
    first: bool = False

    @property
    def name(self) -> str:
        """Name its check."""
        return f"flow-{self.number:03}"

    @property
    def title(self) -> str:
        """Say what is injected where."""
        where = [*self.hosts, *(f"{k} {sorted(v)}" for k, v in self.limits.items())]
        where += ["one address"] if self.first else []
        return f"{self.fault} at {', '.join(where) or 'all'} in {self.share:.0%}"

    def names(self) -> Hosts:
        """Return the hosts of its platform."""
        base = f"{self.name}.example"
        platform, infra, app, control, login, auth = (
            f"{one}.{base}" for one in ("platform", "infra", "app", "control", "login", "auth")
        )
        return Hosts("teststore", platform, infra, app, control, login, auth)

    def where(self, places: list[str]) -> Where:
        """Say it to the lab's board. ``places`` are the names of its addresses."""
        names = self.names()
        hosts = frozenset(getattr(names, one) for one in self.hosts)
        edges = frozenset(places[:1] if self.first else places)
        return Where(domains=hosts, edges=edges, **self.limits)


def old_tokens(before: float) -> Http:
    """Answer 500 to calls with a token that was issued before a moment."""

    async def act(exchange: Exchange) -> Reply:
        token = exchange.request.headers.get("authorization", "").partition(" ")[2]
        claims = decode_part(token.split(".")[1]) if token.count(".") == 2 else None
        if isinstance(claims, dict) and claims.get("iat", before) < before:
            return await http.status(500, "internal_error", "Internal Server Error")(exchange)
        return Ending.PROCEED

    return Http(act, "token")


def fault_of(case: FlowCase, now: float) -> object:
    """Return what the lab acts on."""
    return old_tokens(now) if case.fault == "old_tokens" else FAULTS[case.fault]


_C = FlowCause
_ROUTER = {"layers": frozenset({"router"})}
_AUTHORIZATION = {"layers": frozenset({"authorization"})}
_BACKEND = {"layers": frozenset({"backend"})}
_EXTERNAL = {"roles": frozenset({"external"})}
_WHOAMI = {"paths": frozenset({"/teststore/master"})}
_ROWS: list[tuple[str, FlowCause, tuple[float, ...], dict[str, Any]]] = [
    ("authorization_500", _C.AUTHORIZATION, SHARES, {}),
    ("authorization_403", _C.AUTHORIZATION, SHARES, {}),
    ("close_unanswered", _C.AUTHORIZATION, SHARES, {"limits": _AUTHORIZATION}),
    ("hang", _C.AUTHORIZATION, (1.0,), {"limits": _AUTHORIZATION}),
    ("token_401", _C.TOKEN, (1.0, 0.6), {}),
    ("old_tokens", _C.KEPT_TOKEN, (1.0,), {}),
    ("login_500", _C.LOGIN, (1.0, 0.6), {}),
    ("login_hang", _C.LOGIN, (1.0,), {}),
    ("login_web_page", _C.LOGIN, (1.0,), {}),
    ("login_tokenless", _C.LOGIN, (1.0,), {}),
    ("login_expired", _C.LOGIN, (1.0,), {}),
    ("wrong_credentials", _C.LOGIN, (1.0,), {}),
    ("backend_500", _C.BACKEND, SHARES, {"hosts": ("infra",)}),
    ("backend_500", _C.BACKEND, SHARES, {"hosts": ("platform",)}),
    ("bad_json", _C.BACKEND, (1.0, 0.6), {"hosts": ("infra",), "limits": _BACKEND}),
    ("hang", _C.BACKEND, (1.0,), {"hosts": ("infra",), "limits": _BACKEND}),
    ("backend_500", _C.ENDPOINT, SHARES, {"hosts": ("platform",), "limits": _WHOAMI}),
    ("validate_500", _C.ENDPOINT, (1.0, 0.6), {}),
    ("status_500", _C.HOST, SHARES, {"hosts": ("platform",)}),
    ("control_500", _C.HOST, (1.0, 0.6), {}),
    ("wrong_name", _C.HOST, SHARES, {"hosts": ("infra",)}),
    ("expired", _C.HOST, (1.0,), {"hosts": ("platform",)}),
    ("reset_after_hello", _C.HOST, (1.0, 0.6), {"hosts": ("infra",)}),
    ("status_502", _C.FRONT, SHARES, {}),
    ("status_503", _C.FRONT, SHARES, {}),
    ("status_504", _C.FRONT, SHARES, {}),
    ("close_unanswered", _C.FRONT, (1.0, 0.6), {"limits": _ROUTER}),
    ("web_page", _C.FRONT, (1.0,), {"limits": _ROUTER}),
    ("status_502", _C.ONE_ADDRESS, SHARES, {"first": True}),
    ("authorization_500", _C.ONE_ADDRESS, SHARES, {"first": True}),
    ("refused", _C.ONE_ADDRESS, (1.0,), {"first": True}),
    ("reset_after_hello", _C.ONE_ADDRESS, (1.0, 0.6), {"first": True}),
    ("authorization_500", _C.ONE_PERSONA, (1.0, 0.6), {"limits": _EXTERNAL}),
    ("authorization_403", _C.ONE_PERSONA, (1.0,), {"limits": _EXTERNAL}),
    ("refused", _C.NO_HOST, (1.0,), {}),
    ("reset_after_hello", _C.NO_HOST, (1.0, 0.6), {}),
    ("status_429", _C.RATE_LIMIT, (1.0,), {}),
]  # fmt: skip


def flow_cases() -> list[FlowCase]:
    """Make every case: each row with each of its shares."""

    def each() -> Iterator[FlowCase]:
        number = 0
        for fault, cause, shares, more in _ROWS:
            for share in shares:
                yield FlowCase(number, fault, share, frozenset({cause}), **more)
                number += 1

    return list(each())
