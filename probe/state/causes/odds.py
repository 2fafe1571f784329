"""What the planners of edges and of flows count with: evidence by counts, and entropy. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from math import lgamma, log2


def log_beta(failed: int, passed: int, few: float = 1.0) -> float:
    """Return log B(1 + failed, few + passed) / B(1, few).

    This is how likely the counts are when the share that fails is unknown. The greater ``few``
    is, the smaller a share is expected.
    """

    def both(a: float, b: float) -> float:
        return lgamma(a) + lgamma(b) - lgamma(a + b)

    return both(1 + failed, few + passed) - both(1, few)


def entropy(shares: Iterable[float]) -> float:
    """Return the entropy of shares that add up to one, in bits."""
    return -sum(share * log2(share) for share in shares if share > 0)
