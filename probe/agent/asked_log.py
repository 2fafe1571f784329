"""What ``debug=true`` prints at ``/probe``: what was done, what came of it, the series. Pure.

Everything shown was redacted where it was made: evidence by the flow's own redactor, facts of
handshakes by the screen. Modules name their secrets by reference only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from probe.model.result import (
    Failed,
    FlowResult,
    Handshake,
    Inconclusive,
    Passed,
    StepOutcome,
    StepResult,
    Timings,
    TlsResult,
)
from probe.model.target import Resolution

if TYPE_CHECKING:
    from probe.agent.asked import AskedProbe

_PHASES = ("lookup", "connect", "starttls", "tls", "auth", "send", "wait", "receive", "total")


def log_of(
    asked: AskedProbe,
    resolution: Resolution,
    results: Sequence[TlsResult | FlowResult],
    series: str,
) -> str:
    """Write the log of one probe, then its series, then its module in short."""
    check = asked.module.check
    lines = [
        "Log of the probe:",
        *(f"  {line}" for line in _lines(asked, resolution, results)),
        "",
        "Series that would have been returned:",
        series,
        "Module:",
        f"  {asked.name}: kind {check.kind}, prefers ip{asked.module.prefer}, fallback "
        f"{'on' if asked.module.fallback else 'off'}",
    ]
    return "\n".join(lines) + "\n"


def _lines(
    asked: AskedProbe, resolution: Resolution, results: Iterable[TlsResult | FlowResult]
) -> Iterator[str]:
    yield f"probes {asked.target.label} with the module {asked.name}, within {asked.seconds:g} s"
    if resolution.failure is not None:
        yield f"finds no address: {resolution.failure}"
    for edge in resolution.edges:
        yield f"uses the address {edge.label}, found in {resolution.took:.6f} s"
    yield from (f"note: {note}" for note in resolution.notes)
    for one in results:
        if isinstance(one, TlsResult):
            yield from _attempt(one)
        else:
            for step in one.steps:
                yield from _step(step)
            yield f"the run {_verdict(one.outcome)}"


def _attempt(result: TlsResult) -> Iterator[str]:
    yield f"attempt as {result.key.client} at {result.edge.label}: {_times(result.timings)}"
    yield from _shook(result.handshake)
    yield f"the attempt {_verdict(result.outcome)}"
    if result.command:
        yield f"to see it yourself: {result.command}"


def _step(step: StepResult) -> Iterator[str]:
    evidence = step.evidence
    where = "" if step.edge is None else f" at {step.edge.label}"
    yield f"step {step.step}: {evidence.request or 'no request'}{where}: {_times(step.timings)}"
    yield from _shook(step.handshake)
    if evidence.status is not None:
        yield f"answered {evidence.status}, {evidence.body_size or 0} bytes"
    yield from (f"header {name}: {value}" for name, value in evidence.headers.items())
    yield f"step {step.step} {_verdict(step.outcome)}"
    if evidence.body:
        yield f"the answer's body: {evidence.body}"
    if evidence.command:
        yield f"to see it yourself: {evidence.command}"


def _shook(handshake: Handshake | None) -> Iterator[str]:
    if handshake is None:
        return
    yield f"handshake: {handshake.version}, {handshake.cipher}, {handshake.alpn or 'no protocol'}"
    for place, one in enumerate(handshake.chain):
        yield f"certificate {place}: {one.subject}, issued by {one.issuer}"


def _times(timings: Timings) -> str:
    values = ((name, getattr(timings, name)) for name in _PHASES)
    return ", ".join(f"{name} {value:.6f} s" for name, value in values if value is not None)


def _verdict(outcome: StepOutcome) -> str:
    match outcome:
        case Passed(warnings):
            return "passed" + "".join(f"; warning: {one}" for one in warnings)
        case Failed(failure, others):
            return "failed: " + "; ".join(map(str, (failure, *others)))
        case Inconclusive(failure):
            return f"is inconclusive: {failure}"
        case _:
            return f"was skipped: it {outcome}"
