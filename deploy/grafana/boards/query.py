"""Queries, and the pieces of PromQL that several dashboards need."""

from __future__ import annotations

from dataclasses import dataclass

from grafana_foundation_sdk.builders import prometheus as build
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from boards.look import STATES

SOURCE = model.DataSourceRef(type_val="prometheus", uid="${datasource}")
"""Whatever the variable at the top of a dashboard names."""

REGION = 'region=~"$region"'
CHECK = f'{REGION},check=~"$check"'
THROUGH = f'{CHECK},provider=~"$provider"'


@dataclass(frozen=True, slots=True)
class Query:
    """One PromQL query of a panel.

    Attributes:
        legend: what its series are called; ``{{label}}`` stands for a label's value.
        now: only the present value, as a table; otherwise over the whole time range.
        exemplars: ask for trace ids beside the series.
        quiet: empty while all is well; the tests hold that it then is, and that it is not when
            something fails.
    """

    expr: str
    legend: str = ""
    now: bool = False
    exemplars: bool = False
    quiet: bool = False

    def build(self, ref: str) -> build.Dataquery:
        """For Grafana, under a letter."""
        query = build.Dataquery().ref_id(ref).expr(self.expr).datasource(SOURCE)
        if self.legend:
            query = query.legend_format(self.legend)
        if self.now:
            return query.instant().format(PromQueryFormat.TABLE)
        query = query.range().format(PromQueryFormat.TIME_SERIES)
        return query.exemplar(True) if self.exemplars else query


def now(expr: str, *, quiet: bool = False) -> Query:
    """The present value, as a table."""
    return Query(expr, now=True, quiet=quiet)


def state_number(metric: str, selector: str, by: str) -> str:
    """The worst state as a number, see ``look.states``.

    The agent exports one series with the state as a label; panels need a number to colour.
    """
    parts = " or ".join(
        f'{metric}{{{selector},state="{state}"}} * {number}' for number, state in enumerate(STATES)
    )
    return f"max by ({by}) ({parts})"


def quantile(q: float, histogram: str, selector: str, by: str, window: str = "5m") -> str:
    """A quantile of one of the agent's histograms, by some of its labels."""
    rate = f"rate({histogram}_bucket{{{selector}}}[{window}])"
    return f"histogram_quantile({q}, sum by (le, {by}) ({rate}))"
