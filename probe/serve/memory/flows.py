"""The store's book of flows: runs, steps, personas, and the server-side parts that answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from probe.model.flow import ApiCheck
from probe.model.result import Failed, FlowResult, Inconclusive, Passed, Skipped, StepResult
from probe.model.spec import Check
from probe.model.state import Diagnosis, EdgeStatus
from probe.model.target import FlowKey, ProviderKey
from probe.serve.memory.census import Census
from probe.serve.memory.records import (
    TROUBLED,
    FlowRecord,
    InstanceKey,
    StepKey,
    StepRecord,
    TargetRecord,
)
from probe.serve.memory.render import Renderer
from probe.serve.series.definitions import BY_NAME
from probe.serve.series.flow_samples import degraded
from probe.serve.series.instruments import Instruments
from probe.serve.series.latency import observe_flow
from probe.serve.series.tables import Tables
from probe.state.diagnosis import personas_differ

_DIVERGE = BY_NAME["probe_flow_personas_diverge"]
_INSTANCE_ATTEMPTS = BY_NAME["probe_step_instance_attempts_total"]
_INSTANCE_FAILED = BY_NAME["probe_step_instance_failed_attempts_total"]

INSTANCES = 32
"""Distinct values kept per step and header: a header may hold anything."""

FORGET_AFTER = 3600.0
"""Seconds after which a value that answers no more makes room: addresses of a CDN rotate."""

OTHER = "other"


class FlowBook:
    """Takes in runs of flows and renders their series.

    Attributes:
        records: every flow, by key.
    """

    def __init__(
        self, tables: Tables, renderer: Renderer, census: Census, instruments: Instruments
    ) -> None:
        self.records: dict[FlowKey, FlowRecord] = {}
        self._tables = tables
        self._renderer = renderer
        self._census = census
        self._instruments = instruments
        self._headers: dict[str, tuple[str, ...]] = {}
        self._instances: dict[InstanceKey, tuple[int, int, float]] = {}

    def configure(self, before: Mapping[str, Check], after: Mapping[str, Check]) -> None:
        """Follow a new configuration; counters of steps that it lacks go too."""
        self._headers = {
            name: check.instance_headers
            for name, check in after.items()
            if isinstance(check, ApiCheck)
        }
        gone = {
            (name, step, layer)
            for name, known in before.items()
            for step, layer in _steps(known) - _steps(after.get(name))
        }
        parts = {(check, step) for check, step, _ in gone}
        for key in [k for k in self._instances if (k.check, k.step) in parts]:
            del self._instances[key]
            self._tables.instance.drop(key)
        for check, name, layer in gone:
            self._instruments.forget_where(check=check, step=name, layer=layer)
        for record in self.records.values():
            for step in [s for s in record.steps if (s.flow.check, s.step, s.layer) in gone]:
                del record.steps[step]
                self._tables.step.drop(step)

    def record(
        self,
        target: TargetRecord,
        result: FlowResult,
        diagnosis: Diagnosis,
        status: EdgeStatus,
        since: float,
        unseen: float | None,
    ) -> None:
        """Take in one run."""
        key, result = result.key, slimmed(result)
        record = target.flows.get(key)
        if record is None:
            record = FlowRecord(key, result, diagnosis, status, since)
            self.records[key] = target.flows[key] = record
            self._census.add(key)
        record.last, record.diagnosis = result, diagnosis
        record.status, record.since, record.unseen = status, since, unseen
        failure = None
        if isinstance(result.outcome, Failed):
            record.evidence, failure = result, result.outcome.failure
        elif status not in TROUBLED:
            record.evidence = None
        record.tally.add(result.outcome)
        self._census.of(key).tally.add(result.outcome)
        self._census.judge(key, status, since, failure)
        if result.lag <= self._renderer.lag_bound:
            observe_flow(self._instruments, result)
        record.early_refusals += sum(bool(step.early_refusal) for step in result.steps)
        for step in result.steps:
            if step.timings.auth is not None:
                record.slow_logins.pop(step.step, None)
                if degraded(step):
                    record.slow_logins[step.step] = step
        self._steps(record)
        self._renderer.flow(record)
        self.personas(target, key)

    def forget(self, target: TargetRecord, key: FlowKey) -> None:
        """Remove one flow and its steps."""
        self._tables.flow.drop(key)
        record = target.flows.pop(key, None)
        if record is None:
            return
        del self.records[key]
        for step in record.steps:
            self._tables.step.drop(step)
        self.personas(target, key)

    def _steps(self, record: FlowRecord) -> None:
        latest: dict[StepKey, list[StepResult]] = {key: [] for key in record.steps}
        for result in record.last.steps:
            latest.setdefault(StepKey(record.key, result.step, result.layer), []).append(result)
        for key, results in latest.items():
            step = record.steps.setdefault(key, StepRecord(key))
            step.latest = tuple(results)
            for result in results:
                if not isinstance(result.outcome, Skipped):
                    step.tally.add(result.outcome)
                    self._instance(record.key.check, result, record.last.at)

    def _instance(self, check: str, result: StepResult, at: float) -> None:
        """Count by what answered at this wall time: failures of only some parts show which."""
        if isinstance(result.outcome, Inconclusive):
            return
        parts = [("address", result.edge.label)] if result.edge else []
        sent = {name.lower(): value for name, value in result.evidence.headers.items()}
        for header in self._headers.get(check, ()):
            if header.lower() in sent:
                parts.append((header.lower(), sent[header.lower()]))
        failed = int(isinstance(result.outcome, Failed))
        for header, instance in parts:
            key = self._bounded(InstanceKey(check, result.step, header, instance), at)
            attempts, failures, _ = self._instances.get(key, (0, 0, 0.0))
            attempts, failures = attempts + 1, failures + failed
            self._instances[key] = (attempts, failures, at)
            samples = (
                (_INSTANCE_ATTEMPTS, float(attempts), ()),
                (_INSTANCE_FAILED, float(failures), ()),
            )
            if not self._tables.instance.update(key, samples):
                self._tables.instance.set(key, samples)

    def _bounded(self, key: InstanceKey, at: float) -> InstanceKey:
        """The key, or that of all others where too many values answer within ``FORGET_AFTER``."""
        if key in self._instances:
            return key
        alike = [known for known in self._instances if known[:3] == key[:3]]
        for known in alike:
            if self._instances[known][2] < at - FORGET_AFTER:
                del self._instances[known]
                self._tables.instance.drop(known)
        left = sum(known in self._instances for known in alike)
        return key if left < INSTANCES else key._replace(instance=OTHER)

    def personas(self, target: TargetRecord, key: FlowKey) -> None:
        """Compare a flow's personas; "alike" is not said of one that nobody looks at."""
        through = ProviderKey(key.check, key.target, key.provider)
        alike = [flow for flow in target.flows.values() if flow.key.provider == key.provider]
        differ = personas_differ({flow.key.persona: flow.last.outcome for flow in alike})
        unseen = any(flow.unseen is not None for flow in alike)
        if len(alike) < 2 or (unseen and not differ):
            self._tables.personas.drop(through)
        else:
            self._tables.personas.set(through, ((_DIVERGE, float(differ), ()),))


def slimmed(result: FlowResult) -> FlowResult:
    """The run without the bodies of steps that passed: nobody looks at them, and they are large."""
    if not any(map(_fat, result.steps)):
        return result
    steps = tuple(
        replace(step, evidence=replace(step.evidence, body="")) if _fat(step) else step
        for step in result.steps
    )
    return replace(result, steps=steps)


def _fat(step: StepResult) -> bool:
    return isinstance(step.outcome, Passed) and bool(step.evidence.body)


def _steps(check: Check | None) -> set[tuple[str, str]]:
    """Names of a flow's steps with their layers; none for another kind of check."""
    if isinstance(check, ApiCheck):
        return {(step.name, step.layer) for step in check.steps}
    return set()
