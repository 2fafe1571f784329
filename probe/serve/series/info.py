"""Series of what is described or counted as a whole. Pure.

Labels of targets and checks stand on series of their own, so that the hot series stay thin;
certificates are compared across edges, and results counted over a provider.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from probe.model.spec import Check
from probe.serve.census import ProviderCensus, failing
from probe.serve.records import CertificateSplit
from probe.serve.series import families
from probe.serve.series.edge_samples import by_why
from probe.serve.series.family import BASE_LABELS, Family, LabelPairs, Sample, clean, present

_UNFIT = re.compile(r"[^a-zA-Z0-9_]")


def target_info_samples(labels: Mapping[str, str]) -> list[Sample]:
    """The info series of a target; none when its list gives it no labels."""
    named = own_labels(families.TARGET_INFO, labels)
    return [(families.TARGET_INFO, 1.0, named)] if named else []


def check_samples(check: Check) -> list[Sample]:
    """The info series of a check."""
    fixed = {"kind": check.kind, "interval_seconds": f"{check.interval:g}"}
    own = {
        name: value
        for name, value in own_labels(families.CHECK_INFO, check.labels)
        if name not in fixed
    }
    return [(families.CHECK_INFO, 1.0, tuple(sorted({**own, **fixed}.items())))]


def own_labels(family: Family, labels: Mapping[str, str]) -> LabelPairs:
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


def split_samples(split: CertificateSplit) -> list[Sample]:
    """The series of one comparison."""
    return present(
        (families.CERTIFICATES_DISTINCT, split.distinct),
        (
            families.CERTIFICATES_MINORITY_EDGES,
            len({(key.provider, key.edge) for key in split.minority}),
        ),
        (families.CERTIFICATES_SPLIT, split.alarming),
        (families.CERTIFICATES_DIFFER_SINCE, split.since),
    )


def provider_samples(census: ProviderCensus) -> list[Sample]:
    """The series of one provider; none says "nothing fails" when nothing is known."""
    tally, groups = census.tally, census.groups()
    edges, targets, now = len(census.edges), len(census.targets), failing(groups)
    samples = present(
        (families.PROVIDER_RESULTS_EXPECTED, len(census.members)),
        (families.PROVIDER_RESULTS_MISSING, len(census.unseen)),
        (families.PROVIDER_TARGETS_UNSEEN, len({key.target for key in census.unseen})),
        (families.PROVIDER_ATTEMPTS, tally.attempts),
        (families.PROVIDER_FAILED_ATTEMPTS, tally.failed),
        (families.PROVIDER_TARGETS, targets or None),
        (families.PROVIDER_TARGETS_FAILING, now.targets if targets else None),
        (families.PROVIDER_TARGETS_FAILING_RATIO, now.targets / targets if targets else None),
        (families.PROVIDER_EDGES, edges or None),
        (families.PROVIDER_EDGES_FAILING, now.edges if edges else None),
        (families.PROVIDER_FAILING_SINCE, now.since),
    )
    targets_by = [(g.why, len(g.targets)) for g in groups if g.confirmed]
    return [
        *samples,
        *by_why(families.PROVIDER_TARGETS_FAILING_BY_REASON, targets_by),
        *by_why(families.PROVIDER_FAILURES, (tally.failures or {}).items()),
    ]
