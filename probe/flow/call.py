"""One call of a run: credentials, redirects, and where credentials may go."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from probe.auth.signers import Signer
from probe.auth.values import fits_header
from probe.flow.bonds import Bond
from probe.flow.run import FlowRun, unsafe
from probe.http import url
from probe.http.messages import Answered, Broken, CallFacts, CallResult, Request, Response
from probe.http.session import Refuse
from probe.model.failure import Failure, Phase, Reason
from probe.model.result import Timings
from probe.net.names import belongs_to

_PHASES = ("lookup", "resolve", "connect", "tls", "send", "wait", "receive")


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
    bonds: tuple[Bond, ...] = (),
    redirects: int = 0,
    plain: bool = False,
    fresh: bool = False,
    turn: int = 0,
) -> Exchange:
    """Send a request and follow where it leads.

    Credentials leave only over https and only to hosts that they are bound to: a call that would
    break this is not made, and its failure is ours.

    Args:
        run: sends it.
        request: complete but for credentials.
        signer: adds credentials.
        deadline: trio time.
        bonds: where each credential of the call may go.
        redirects: how many are followed.
        plain: whether one may lead from https to http.
        fresh: on a connection of its own.
        turn: which further address to use.
    """
    bound = bonds
    if all(bond.shown for bond in bonds) and (signer or _carries_secret(run, request)):
        bound += (run.plan.bond,)
    send: _Send = partial(run.session.call, deadline=deadline, fresh=fresh, turn=turn)
    made = await _once(run, request, signer, send, bound)
    if not redirects:
        return made
    return await _followed(
        run, request, signer, made, send=send, bound=bound, redirects=redirects, plain=plain
    )


async def _followed(
    run: FlowRun,
    request: Request,
    signer: Signer | None,
    made: Exchange,
    *,
    send: _Send,
    bound: tuple[Bond, ...],
    redirects: int,
    plain: bool,
) -> Exchange:
    """Follow where an exchange leads; arguments as for `make`."""
    facts = [made.call.facts]
    cookies = url.jar()
    while isinstance(made.call, Answered) and url.leads_to(made.call.response) is not None:
        following = url.following(
            request,
            made.call.response,
            leaves=lambda there: all(belongs_to(there.host, bond.hosts) for bond in bound),
            plain=plain,
            cookies=cookies,
        )
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
        made = await _once(run, request, signer, partial(send, refuse=inward), bound)
        facts.append(made.call.facts)
    if len(facts) == 1:
        return made
    return Exchange(replace(made.call, facts=joined(facts)), made.request, len(facts) - 1)


async def _once(
    run: FlowRun, request: Request, signer: Signer | None, send: _Send, bound: tuple[Bond, ...]
) -> Exchange:
    """Send one request, and a second one when the signer answers a challenge."""
    signed = request if signer is None else signer.sign(request)
    refusal = _refusal(run, signed, bound) if bound else None
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
    knows, ours = run.redactor.knows, (run.run_id, f"00-{run.run_id}-")
    return (
        knows(request.url)
        or any(knows(value) for _, value in request.headers if not value.startswith(ours))
        or (bool(request.body) and knows(request.body.decode("utf-8", "replace")))
    )


def _refusal(run: FlowRun, signed: Request, bound: tuple[Bond, ...]) -> Failure | None:
    """Say why a request that carries a secret must not leave; None when it may."""
    where = url.origin_of(url.parsed(signed.url))
    if where.scheme != "https":
        if all(bond.shown for bond in bound):
            return None
        return unsafe("credentials are never sent without TLS: use https")
    if not all(fits_header(value) for _, value in signed.headers):
        return unsafe("a secret in a header would hold a line end or control character")
    named = signed.header("host")  # behind a shared edge it chooses who gets the request
    try:
        places = [where] if named is None else [where, url.origin_at(f"https://{named}")]
    except url.BadUrl as error:
        return unsafe(str(error))
    for bond in bound:
        for place in places:
            if not run.spelled.permits(bond, place):
                whose = f"of the auth {bond.name}" if bond.name else "of the check"
                return Failure(
                    Phase.SEND,
                    Reason.CREDENTIALS_WITHHELD,
                    f"no credentials go to {place.host}: neither does the configuration spell it "
                    f"out, nor hosts: {whose} name it",
                )
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
