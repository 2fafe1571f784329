"""Which failing edges a cause explains. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from probe.model.cause import CLIENT_CAUSES, Cause
from probe.model.failure import Failure
from probe.model.target import EdgeKey
from probe.state.causes.setting import alike

_ALL = frozenset({Cause.PROVIDER, Cause.OUR_SIDE})


def explained(
    cause: Cause, subject: EdgeKey, failure: Failure, failing: Mapping[EdgeKey, Failure]
) -> frozenset[EdgeKey]:
    """Return the failing edges that have the same cause as one that was investigated.

    A cause that lies in a domain explains another domain only where that fails on the same edges:
    then nothing tells them apart. All are of the subject's check and provider.

    Args:
        cause: what was found.
        subject: the edge that was investigated.
        failure: how it fails.
        failing: every edge that is confirmed to fail now.
    """
    near = {
        key
        for key, one in failing.items()
        if (key.check, key.provider) == (subject.check, subject.provider) and alike(one, failure)
    }
    if cause in _ALL:
        found = near
    elif cause in (Cause.ONLY_IPV4, Cause.ONLY_IPV6):
        found = {key for key in near if _version(key) == _version(subject)}
    elif cause in CLIENT_CAUSES:
        found = {key for key in near if key.client == subject.client}
    elif cause is Cause.EDGE:
        domains = {key.target for key in near if key.edge == subject.edge}
        edges = {key.edge for key in near if key.target == subject.target}
        there: dict[str, set[str]] = {}
        for key in near:
            there.setdefault(key.edge, set()).add(key.target)
        found = {key for key in near if key.edge in edges and domains <= there[key.edge]}
    elif cause is Cause.UNDETERMINED:
        found = {key for key in near if key.edge == subject.edge or key.target == subject.target}
    else:
        edges_of: dict[str, set[str]] = {}
        for key in near:
            edges_of.setdefault(key.target, set()).add(key.edge)
        same = edges_of.get(subject.target)
        found = {key for key in near if edges_of[key.target] == same}
    return frozenset(found | {subject})


def _version(key: EdgeKey) -> int:
    return 6 if key.edge.startswith("[") else 4
