"""Certificates across edges, as the agent reports them to the store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from probe.model.target import EdgeKey
from probe.serve.series.definitions import BY_NAME
from probe.serve.series.family import Sample

_DISTINCT = BY_NAME["probe_certificates_distinct"]
_MINORITY = BY_NAME["probe_certificates_minority_edges"]
_SPLIT = BY_NAME["probe_certificates_split"]
_SINCE = BY_NAME["probe_certificates_differ_since_timestamp_seconds"]


class CertificatesKey(NamedTuple):
    """Leaves of one key type, compared over the edges of one provider, or of all (empty)."""

    check: str
    target: str
    provider: str
    key_type: str


@dataclass(frozen=True, slots=True)
class CertificateSplit:
    """How the leaves of one key type compare over the edges of one target.

    Attributes:
        key: the provider is empty when all providers are compared with each other.
        distinct: different leaves seen.
        minority: edges, as each client sees them, whose leaf differs from the commonest one.
        since: wall time since when they differ; None while they agree.
        alarming: they have differed for longer than a rolling renewal may take.
    """

    key: CertificatesKey
    distinct: int
    minority: tuple[EdgeKey, ...] = ()
    since: float | None = None
    alarming: bool = False


def split_samples(split: CertificateSplit) -> list[Sample]:
    """The series of one comparison."""
    samples: list[Sample] = [
        (_DISTINCT, float(split.distinct), ()),
        (_MINORITY, float(len({(key.provider, key.edge) for key in split.minority})), ()),
        (_SPLIT, float(split.alarming), ()),
    ]
    if split.since is not None:
        samples.append((_SINCE, split.since, ()))
    return samples
