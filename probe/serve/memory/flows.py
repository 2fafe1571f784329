"""The store's book of flows: runs, steps, personas, and the server-side parts that answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from probe.model.flow import ApiCheck
from probe.model.result import Failed, FlowResult, Inconclusive, Passed, Skipped, StepResult
from probe.model.spec import Check
from probe.model.state import Diagnosis
from probe.serve.memory.memory import Memory
from probe.serve.records import (
    TROUBLED,
    Belief,
    FlowRecord,
    InstanceKey,
    StepKey,
    StepRecord,
    TargetRecord,
)
from probe.serve.series import families
from probe.serve.series.flow_samples import degraded, steady_flow

INSTANCES = 32
"""Distinct values kept per step and header: a header may hold anything."""

FORGET_AFTER = 3600.0
"""Seconds after which a value that answers no more makes room: addresses of a CDN rotate."""

OTHER = "other"


class FlowBook:
    """Takes in runs of flows.

    Args:
        memory: where they are remembered.
    """

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._series = memory.series
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
            self._series.tables.instance.drop(key)
        for check, name, layer in gone:
            self._series.histograms.forget(("check", check), ("step", name), ("layer", layer))
        for record in self._memory.flows.values():
            for step in [s for s in record.steps if (s.check, s.step, s.layer) in gone]:
                del record.steps[step]
                self._series.tables.step.drop(step)

    def record(
        self, target: TargetRecord, result: FlowResult, diagnosis: Diagnosis, belief: Belief
    ) -> None:
        """Take in one run."""
        key, result = result.key, slimmed(result)
        record = target.flows.get(key)
        unchanged = (
            record is not None
            and record.unseen is None
            and record.status is belief.status
            and record.status not in TROUBLED
            and record.diagnosis == diagnosis
            and steady_flow(record.last, result)
        )
        if record is None:
            record = self._memory.flows[key] = target.flows[key] = FlowRecord(key, result)
            self._memory.census.add(key)
        record.take(result, belief)
        record.diagnosis = diagnosis
        if result.lag <= self._series.lag_bound:
            self._series.histograms.flow(result)
        record.early_refusals += sum(bool(step.early_refusal) for step in result.steps)
        for step in result.steps:
            if step.timings.auth is not None:
                record.slow_logins.pop(step.step, None)
                if degraded(step):
                    record.slow_logins[step.step] = step
        self._steps(record)
        if unchanged:
            self._series.steady_flow(record, target)
            return
        self._series.flow(record)
        self._series.personas(target, key)
        self._series.target(target)

    def _steps(self, record: FlowRecord) -> None:
        latest: dict[StepKey, list[StepResult]] = {key: [] for key in record.steps}
        for result in record.last.steps:
            latest.setdefault(StepKey(*record.key, result.step, result.layer), []).append(result)
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
        headers = self._headers.get(check)
        if headers:
            sent = {name.lower(): value for name, value in result.evidence.headers.items()}
            lower = [header.lower() for header in headers]
            parts += [(header, sent[header]) for header in lower if header in sent]
        failed = int(isinstance(result.outcome, Failed))
        for header, instance in parts:
            key = self._bounded(InstanceKey(check, result.step, header, instance), at)
            attempts, failures, _ = self._instances.get(key, (0, 0, 0.0))
            attempts, failures = attempts + 1, failures + failed
            self._instances[key] = (attempts, failures, at)
            samples = (
                (families.STEP_INSTANCE_ATTEMPTS, float(attempts), ()),
                (families.STEP_INSTANCE_FAILED_ATTEMPTS, float(failures), ()),
            )
            if not self._series.tables.instance.update(key, samples):
                self._series.tables.instance.set(key, samples)

    def _bounded(self, key: InstanceKey, at: float) -> InstanceKey:
        """The key, or that of all others where too many values answer within ``FORGET_AFTER``."""
        if key in self._instances:
            return key
        alike = [known for known in self._instances if known[:3] == key[:3]]
        for known in alike:
            if self._instances[known][2] < at - FORGET_AFTER:
                del self._instances[known]
                self._series.tables.instance.drop(known)
        left = sum(known in self._instances for known in alike)
        return key if left < INSTANCES else key._replace(instance=OTHER)


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
