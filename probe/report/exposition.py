"""A run as series in Prometheus' text format, for the textfile collector of node_exporter. Pure.

They have names of their own: an agent's alerts must not take a run of yesterday for the present.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from probe.report.rows import ReportRow, RowVerdict, exit_code

_WHERE = ("region", "check", "target", "provider", "edge", "what")


def to_prometheus(rows: Sequence[ReportRow], *, region: str, now: float) -> str:
    """Write the run's series.

    Args:
        rows: of the run.
        region: a label of each.
        now: when it ended; seconds since the epoch.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Run(rows, region, now))
    return generate_latest(registry).decode()


class _Run(Collector):
    def __init__(self, rows: Sequence[ReportRow], region: str, now: float) -> None:
        self._rows, self._region, self._now = rows, region, now

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield a family after the other; a row without a value has no sample."""
        region = [self._region]
        ended = _gauge("probe_check_end_timestamp_seconds", "When the run ended.", ("region",))
        ended.add_metric(region, self._now)
        yield ended
        status = _gauge(
            "probe_check_exit_status",
            "How the run ended: 0 all pass, 1 something fails, 3 something is inconclusive.",
            ("region",),
        )
        status.add_metric(region, exit_code(self._rows))
        yield status
        counts = Counter(row.verdict for row in self._rows)
        verdicts = _gauge("probe_check_rows", "Rows by verdict.", ("region", "verdict"))
        for verdict in RowVerdict:
            verdicts.add_metric([*region, verdict.value], counts[verdict])
        yield verdicts
        yield from self._of_rows()

    def _of_rows(self) -> Iterator[GaugeMetricFamily]:
        success = _gauge(
            "probe_check_success",
            "1: every attempt of the row passed. 0: one failed. Absent: nothing can be said.",
            _WHERE,
        )
        failure = _gauge(
            "probe_check_failure_info", "Why a row failed.", (*_WHERE, "phase", "reason")
        )
        seconds = _gauge("probe_check_duration_seconds", "How long a row took.", _WHERE)
        expires = _gauge(
            "probe_check_certificate_not_after_timestamp_seconds",
            "When the certificate of a row expires.",
            _WHERE,
        )
        for where, group in _by_place(self._rows):
            labels, worst = [self._region, *where], _worst(group)
            if worst in (RowVerdict.PASS, RowVerdict.FAIL):
                success.add_metric(labels, float(worst is RowVerdict.PASS))
            for phase, reason in dict.fromkeys(
                (row.phase, row.reason) for row in group if row.verdict is RowVerdict.FAIL
            ):
                failure.add_metric([*labels, phase, reason], 1.0)
            took = [row.seconds for row in group if row.seconds is not None]
            if took:
                seconds.add_metric(labels, max(took))
            if group[0].expires is not None:
                expires.add_metric(labels, group[0].expires)
        yield from (success, failure, seconds, expires)


def _gauge(name: str, text: str, labels: Sequence[str]) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, labels=labels)


def _by_place(rows: Sequence[ReportRow]) -> Iterator[tuple[tuple[str, ...], list[ReportRow]]]:
    """Rows of one place: attempts of a step are several, and a series is one."""
    places: dict[tuple[str, ...], list[ReportRow]] = {}
    for row in rows:
        where = (row.check, row.target, row.provider, row.edge, row.what)
        places.setdefault(where, []).append(row)
    yield from places.items()


def _worst(group: Sequence[ReportRow]) -> RowVerdict:
    seen = {row.verdict for row in group}
    order = (RowVerdict.FAIL, RowVerdict.INCONCLUSIVE, RowVerdict.SKIPPED, RowVerdict.PASS)
    return next(verdict for verdict in order if verdict in seen)
