"""Info series: labels of targets and checks, so that the hot series stay thin. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from probe.model.flow import ApiCheck
from probe.model.spec import Check
from probe.serve.series.definitions import BY_NAME
from probe.serve.series.family import BASE_LABELS, Family, Sample
from probe.serve.series.text import clean

_TARGET = BY_NAME["probe_target_info"]
_CHECK = BY_NAME["probe_check_info"]
_UNFIT = re.compile(r"[^a-zA-Z0-9_]")


def target_info_samples(labels: Mapping[str, str]) -> list[Sample]:
    """The info series of a target; none when its list gives it no labels."""
    named = own_labels(_TARGET, labels)
    return [(_TARGET, 1.0, named)] if named else []


def check_samples(check: Check) -> list[Sample]:
    """The info series of a check."""
    kind = "api" if isinstance(check, ApiCheck) else "tls"
    fixed = {"kind": kind, "interval_seconds": f"{check.interval:g}"}
    own = {name: value for name, value in own_labels(_CHECK, check.labels) if name not in fixed}
    return [(_CHECK, 1.0, tuple(sorted({**own, **fixed}.items())))]


def own_labels(family: Family, labels: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Labels that users chose, under names that Prometheus takes.

    What is not a letter, digit or underscore becomes an underscore. Names that begin with two
    underscores are internal to Prometheus and left out, as are empty values, which mean absent.
    A name that the family has itself gets the prefix ``label_``. Of two names that become the
    same, the first in order stays.
    """
    taken = {*BASE_LABELS[family.group], "region"}
    named: dict[str, str] = {}
    for name in sorted(labels):
        if name.startswith("__") or not labels[name]:
            continue
        fit = _UNFIT.sub("_", name)
        if fit in taken or fit[:1].isdigit() or fit.startswith("__") or not fit:
            fit = f"label_{fit}"
        named.setdefault(fit, clean(labels[name]))
    return tuple(sorted(named.items()))
