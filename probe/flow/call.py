"""One call of a run: common headers, credentials, redirects, and where credentials may go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from probe.auth.sign import Signer
from probe.flow.context import Context
from probe.flow.values import fits_header
from probe.http import url as redirect
from probe.http.decode import ACCEPTED
from probe.http.request import Request
from probe.http.response import Answered, Broken, CallFacts, CallResult
from probe.http.url import origin_of, parsed
from probe.model.failure import Failure, Phase, Reason
from probe.model.result import Timings
from probe.model.target import Edge


@dataclass(frozen=True, slots=True)
class Options:
    """How a call is made.

    Attributes:
        deadline: trio time.
        redirects: how many are followed.
        fresh: on a connection of its own.
        turn: which further address to use.
    """

    deadline: float
    redirects: int = 0
    fresh: bool = False
    turn: int = 0


@dataclass(frozen=True, slots=True)
class Made:
    """A call that was made.

    Attributes:
        draft: what the result belongs to: the last request, credentials included.
        redirects: how many were followed.
    """

    call: CallResult
    draft: Request
    redirects: int = 0


async def make(run: Context, draft: Request, signer: Signer | None, options: Options) -> Made:
    """Send a request with everything that belongs to it.

    Credentials leave only over https and only to origins that the configuration names: a
    call that would break this is not made, and its failure is ours.
    """
    whole = with_common_headers(run, draft)
    secret = signer is not None or _carries_secret(run, whole)
    refusal = _unsafe(run, whole, signer) if secret else None
    if refusal is not None:
        trip = CallFacts(Timings(), fresh=False, url=whole.url)
        return Made(Broken(refusal, trip), whole)
    made = await _once(run, whole, signer, options, None)
    run.phase = Phase.EXPECT
    trips = [made.call.facts]
    left = options.redirects
    while isinstance(made.call, Answered) and options.redirects:
        if redirect.leads_to(made.call.response) is None:
            break
        following = redirect.following(whole, made.call.response, credentials=secret)
        if isinstance(following, Request) and left == 0:
            following = redirect.refused(f"more than {options.redirects} redirects")
        if isinstance(following, Failure):
            broken = Broken(following, made.call.facts, made.call.response)
            made = Made(broken, made.draft)
            break
        left, whole = left - 1, following
        made = await _once(run, whole, signer, options, made.call.facts.edge)
        trips.append(made.call.facts)
    if len(trips) == 1:
        return made
    whole_way = replace(made.call, facts=joined(trips))
    return replace(made, call=whole_way, redirects=len(trips) - 1)


async def _once(
    run: Context, draft: Request, signer: Signer | None, options: Options, before: Edge | None
) -> Made:
    """One request, and a second one when the signer is asked for more."""
    refuse: Callable[[Edge], Failure | None] | None = None
    if before is not None:
        came_from = before
        refuse = lambda edge: redirect.inward(came_from, edge)  # noqa: E731 - binds one name
    signed = draft if signer is None else signer.sign(draft)

    async def send(one: Request) -> CallResult:
        found = await run.session.call(
            one,
            deadline=options.deadline,
            fresh=options.fresh,
            turn=options.turn,
            refuse=refuse,
        )
        return _past_proxy(run, found)

    call = await send(signed)
    if signer is None or isinstance(call, Broken):
        return Made(call, signed)
    again = signer.again(signed, call.response)
    if again is None:
        return Made(call, signed)
    if isinstance(again, Failure):
        return Made(Broken(again, call.facts, call.response), signed)
    second = await send(again)
    return Made(replace(second, facts=joined([call.facts, second.facts])), again)


def _past_proxy(run: Context, call: CallResult) -> CallResult:
    """Say of a call that did not reach its host which proxy other programs would have used."""
    if not isinstance(call, Broken) or call.failure.phase not in {Phase.RESOLVE, Phase.CONNECT}:
        return call
    origin = origin_of(parsed(call.facts.url))
    name = run.proxy(origin.scheme, origin.host)
    if name is None:
        return call
    detail = f"{call.failure.detail}; {name} is set, and probes use no proxy"
    return replace(call, failure=replace(call.failure, detail=detail))


def with_common_headers(run: Context, draft: Request) -> Request:
    """The request with what every request of the check carries; its own headers win."""
    common = [
        ("User-Agent", run.user_agent()),
        ("Accept", "*/*"),
        ("Accept-Encoding", ACCEPTED),
        *((name, run.values.fill_header(value)) for name, value in run.check.headers.items()),
    ]
    if run.check.run_id_header is not None:
        common.append((run.check.run_id_header, run.run_id))
    common.append(("traceparent", run.traceparent()))
    own = {name.lower() for name, _ in draft.headers}
    latest = {name.lower(): (name, value) for name, value in common}
    kept = tuple(pair for key, pair in latest.items() if key not in own)
    return replace(draft, headers=(*kept, *draft.headers))


def _carries_secret(run: Context, draft: Request) -> bool:
    texts = [draft.url, *(value for _, value in draft.headers)]
    return any(run.redactor.knows(text) for text in texts) or (
        bool(draft.body) and run.redactor.knows(draft.body.decode("utf-8", "replace"))
    )


def _unsafe(run: Context, draft: Request, signer: Signer | None) -> Failure | None:
    url = parsed(draft.url)
    if url.scheme != "https":
        return unsafe("credentials are never sent without TLS: use https")
    if origin_of(url) not in run.named():
        return unsafe("credentials would go to an origin that the configuration does not name")
    signed = draft if signer is None else signer.sign(draft)
    if not all(fits_header(value) for _, value in signed.headers):
        return unsafe("a secret in a header would hold a line end or control character")
    return None


def unsafe(detail: str) -> Failure:
    """A request that was not sent because of what stands in it."""
    return Failure(Phase.SEND, Reason.UNSAFE_VALUE, detail)


def joined(trips: list[CallFacts]) -> CallFacts:
    """Several requests as one: phases summed, as blackbox_exporter sums over redirects."""
    if len(trips) == 1:
        return trips[0]
    last = trips[-1]
    timings = [trip.timings for trip in trips]
    summed = Timings(
        resolve=_sum([t.resolve for t in timings]),
        connect=_sum([t.connect for t in timings]),
        tls=_sum([t.tls for t in timings]),
        send=_sum([t.send for t in timings]),
        wait=_sum([t.wait for t in timings]),
        receive=_sum([t.receive for t in timings]),
        total=sum(t.total for t in timings),
        lag=max(t.lag for t in timings),
        clock=last.timings.clock,
    )
    opened = next((trip.handshake for trip in reversed(trips) if trip.handshake), None)
    return replace(
        last,
        timings=summed,
        handshake=opened,
        fresh=any(trip.fresh for trip in trips),
        requests=sum(trip.requests for trip in trips),
    )


def _sum(parts: list[float | None]) -> float | None:
    there = [part for part in parts if part is not None]
    return sum(there) if there else None
