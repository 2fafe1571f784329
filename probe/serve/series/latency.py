"""Latency histograms: seconds per phase, flow and step, without the agent's own lag."""

from __future__ import annotations

from probe.model.result import FlowResult, Skipped, StepResult, Timings, TlsResult
from probe.serve.series.instruments import Instruments

_PHASE = "probe_phase_latency_seconds"
_FLOW = "probe_flow_latency_seconds"
_STEP = "probe_step_latency_seconds"


def observe_edge(instruments: Instruments, result: TlsResult) -> None:
    """Add one attempt on an edge."""
    _phases(instruments, result.key.check, result.key.provider, result.timings)


def observe_flow(instruments: Instruments, result: FlowResult) -> None:
    """Add one run of a flow and its steps; the trace id goes along as an exemplar."""
    key = result.key
    whole = instruments.histogram(_FLOW, key.check, key.provider, key.persona)
    whole.observe(result.seconds, _exemplar(result.steps[-1]) if result.steps else None)
    for step in result.steps:
        if isinstance(step.outcome, Skipped) or step.attempts == 0:
            continue
        _phases(instruments, key.check, key.provider, step.timings)
        own = instruments.histogram(_STEP, key.check, key.provider, step.step, step.layer)
        own.observe(step.timings.total, _exemplar(step))


def _exemplar(step: StepResult) -> dict[str, str] | None:
    return {"trace_id": step.evidence.trace_id} if step.evidence.trace_id else None


def _phases(instruments: Instruments, check: str, provider: str, timings: Timings) -> None:
    phases = (
        ("resolve", timings.resolve),
        ("connect", timings.connect),
        ("starttls", timings.starttls),
        ("tls", timings.tls),
        ("auth", timings.auth),
        ("send", timings.send),
        ("wait", timings.wait),
        ("receive", timings.receive),
    )
    for phase, seconds in phases:
        if seconds is not None:
            instruments.histogram(_PHASE, check, provider, phase).observe(seconds)
