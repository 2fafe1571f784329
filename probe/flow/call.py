"""One call of a run: credentials, redirects, and where credentials may go."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from probe.auth.signers import Signer
from probe.auth.values import fits_header
from probe.flow.run import FlowRun, unsafe
from probe.http import url
from probe.http.messages import Answered, Broken, CallFacts, CallResult, Request, Response
from probe.http.session import Refuse
from probe.model.failure import Failure, Phase
from probe.model.result import Timings
from probe.net.http import httpx

_PHASES = ("resolve", "connect", "tls", "send", "wait", "receive")


@dataclass(frozen=True, slots=True)
class Exchange:
    """A call that was made.

    Attributes:
        request: what the result belongs to: the last request, credentials included.
        redirects: how many were followed.
    """

    call: CallResult
    request: Request
    redirects: int = 0

    @property
    def response(self) -> Response | None:
        """Return what was answered, whole or not; None for nothing."""
        return self.call.response if isinstance(self.call, Answered) else self.call.partial


class _Send(Protocol):
    async def __call__(
        self, request: Request, /, *, refuse: Refuse | None = None
    ) -> CallResult: ...


async def make(
    run: FlowRun,
    request: Request,
    signer: Signer | None,
    *,
    deadline: float,
    redirects: int = 0,
    fresh: bool = False,
    turn: int = 0,
) -> Exchange:
    """Send a request and follow where it leads.

    Credentials leave only over https and only to origins that the configuration names: a call that
    would break this is not made, and its failure is ours.

    Args:
        run: sends it.
        request: complete but for credentials.
        signer: adds credentials.
        deadline: trio time.
        redirects: how many are followed.
        fresh: on a connection of its own.
        turn: which further address to use.
    """
    secret = signer is not None or _carries_secret(run, request)
    send: _Send = partial(run.session.call, deadline=deadline, fresh=fresh, turn=turn)
    made = await _once(run, request, signer, send, secret=secret)
    if not redirects:
        return made
    facts = [made.call.facts]
    cookies = httpx.Cookies()
    while isinstance(made.call, Answered) and url.leads_to(made.call.response) is not None:
        following = url.following(request, made.call.response, credentials=secret, cookies=cookies)
        for cookie in cookies.jar:  # by the jar: two paths may have one name, and a value none
            run.redactor.add_cookie(cookie.value or "")
        if isinstance(following, Request) and len(facts) > redirects:
            following = url.refused(f"more than {redirects} redirects")
        if isinstance(following, Failure):
            broken = Broken(following, made.call.facts, made.call.response)
            made = Exchange(broken, made.request)
            break
        request, before = following, made.call.facts.edge
        inward = None if before is None else partial(url.inward, before)
        made = await _once(run, request, signer, partial(send, refuse=inward), secret=secret)
        facts.append(made.call.facts)
    if len(facts) == 1:
        return made
    return Exchange(replace(made.call, facts=joined(facts)), made.request, len(facts) - 1)


async def _once(
    run: FlowRun, request: Request, signer: Signer | None, send: _Send, *, secret: bool
) -> Exchange:
    """Send one request, and a second one when the signer answers a challenge."""
    signed = request if signer is None else signer.sign(request)
    refusal = _refusal(run, signed) if secret else None
    if refusal is not None:
        facts = CallFacts(Timings(), fresh=False, url=request.url)
        return Exchange(Broken(refusal, facts), request)
    call = _past_proxy(run, await send(signed))
    run.heard(call)
    if signer is None or isinstance(call, Broken):
        return Exchange(call, signed)
    again = signer.again(signed, call.response)
    if again is None:
        return Exchange(call, signed)
    if isinstance(again, Failure):
        return Exchange(Broken(again, call.facts, call.response), signed)
    second = _past_proxy(run, await send(again))
    return Exchange(replace(second, facts=joined([call.facts, second.facts])), again)


def _past_proxy(run: FlowRun, call: CallResult) -> CallResult:
    """Name the proxy that others would have used, for a call that did not reach its host."""
    if not isinstance(call, Broken) or call.failure.phase not in {Phase.RESOLVE, Phase.CONNECT}:
        return call
    origin = url.origin_of(url.parsed(call.facts.url))
    name = run.proxy(origin.scheme, origin.host)
    if name is None:
        return call
    detail = f"{call.failure.detail}; {name} is set, and probes use no proxy"
    return replace(call, failure=replace(call.failure, detail=detail))


def _carries_secret(run: FlowRun, request: Request) -> bool:
    knows = run.redactor.knows
    return (
        knows(request.url)
        or any(knows(value) for _, value in request.headers)
        or (bool(request.body) and knows(request.body.decode("utf-8", "replace")))
    )


def _refusal(run: FlowRun, signed: Request) -> Failure | None:
    """Say why a request that carries a secret must not leave; None when it may."""
    where = url.parsed(signed.url)
    if where.scheme != "https":
        return unsafe("credentials are never sent without TLS: use https")
    if not run.names(url.origin_of(where)):
        return unsafe("credentials would go to an origin that the configuration does not name")
    if not all(fits_header(value) for _, value in signed.headers):
        return unsafe("a secret in a header would hold a line end or control character")
    return None


def joined(several: list[CallFacts]) -> CallFacts:
    """Join the facts of several requests; sum their phases, as blackbox_exporter does."""
    last, timings = several[-1], [one.timings for one in several]
    phases = {name: _sum(getattr(one, name) for one in timings) for name in _PHASES}
    total, lag = sum(one.total for one in timings), max(one.lag for one in timings)
    return replace(
        last,
        timings=Timings(**phases, total=total, lag=lag, clock=last.timings.clock),
        handshake=next((one.handshake for one in reversed(several) if one.handshake), None),
        fresh=any(one.fresh for one in several),
        requests=sum(one.requests for one in several),
    )


def _sum(parts: Iterable[float | None]) -> float | None:
    there = [part for part in parts if part is not None]
    return sum(there) if there else None
