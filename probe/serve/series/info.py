"""Series of what is described or counted as a whole. Pure.

Labels of targets and checks stand on series of their own, so that the hot series stay thin;
certificates are compared across edges, and results counted over a provider.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from probe.model.flow import ApiCheck
from probe.model.spec import Check
from probe.serve.census import ProviderCensus, failing
from probe.serve.records import CertificateSplit
from probe.serve.series import families
from probe.serve.series.edge_samples import why_labels
from probe.serve.series.family import BASE_LABELS, Family, LabelPairs, Sample, clean

_UNFIT = re.compile(r"[^a-zA-Z0-9_]")


def target_info_samples(labels: Mapping[str, str]) -> list[Sample]:
    """The info series of a target; none when its list gives it no labels."""
    named = own_labels(families.TARGET_INFO, labels)
    return [(families.TARGET_INFO, 1.0, named)] if named else []


def check_samples(check: Check) -> list[Sample]:
    """The info series of a check."""
    kind = "api" if isinstance(check, ApiCheck) else "tls"
    fixed = {"kind": kind, "interval_seconds": f"{check.interval:g}"}
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
    samples: list[Sample] = [
        (families.CERTIFICATES_DISTINCT, float(split.distinct), ()),
        (
            families.CERTIFICATES_MINORITY_EDGES,
            float(len({(key.provider, key.edge) for key in split.minority})),
            (),
        ),
        (families.CERTIFICATES_SPLIT, float(split.alarming), ()),
    ]
    if split.since is not None:
        samples.append((families.CERTIFICATES_DIFFER_SINCE, split.since, ()))
    return samples


def provider_samples(census: ProviderCensus) -> list[Sample]:
    """The series of one provider; none says "nothing fails" when nothing is known."""
    tally, groups = census.tally, census.groups()
    whole, now = len(census.targets), failing(groups)
    samples: list[Sample] = [
        (families.PROVIDER_RESULTS_EXPECTED, float(len(census.members)), ()),
        (families.PROVIDER_RESULTS_MISSING, float(len(census.unseen)), ()),
        (families.PROVIDER_TARGETS_UNSEEN, float(len({key.target for key in census.unseen})), ()),
        (families.PROVIDER_ATTEMPTS, float(tally.attempts), ()),
        (families.PROVIDER_FAILED_ATTEMPTS, float(tally.failed), ()),
    ]
    if whole:
        samples.append((families.PROVIDER_TARGETS, float(whole), ()))
        samples.append((families.PROVIDER_TARGETS_FAILING, float(now.targets), ()))
        samples.append((families.PROVIDER_TARGETS_FAILING_RATIO, now.targets / whole, ()))
    if census.edges:
        samples.append((families.PROVIDER_EDGES, float(len(census.edges)), ()))
        samples.append((families.PROVIDER_EDGES_FAILING, float(now.edges), ()))
    if now.since is not None:
        samples.append((families.PROVIDER_FAILING_SINCE, now.since, ()))
    samples += [
        (families.PROVIDER_TARGETS_FAILING_BY_REASON, float(len(g.targets)), why_labels(g.why))
        for g in groups
        if g.confirmed
    ]
    samples += [
        (families.PROVIDER_FAILURES, float(n), why_labels(why))
        for why, n in (tally.failures or {}).items()
    ]
    return samples
