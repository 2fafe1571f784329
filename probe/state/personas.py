"""The same flow with several identities: whom does it fail? Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from probe.model.result import Failed, Outcome, Passed


@dataclass(frozen=True, slots=True)
class Divergence:
    """Some identities get through and others do not.

    Attributes:
        failing: personas whose latest run failed.
        passing: personas whose latest run passed.
    """

    failing: tuple[str, ...]
    passing: tuple[str, ...]

    def __str__(self) -> str:
        return f"fails for {', '.join(self.failing)}; works for {', '.join(self.passing)}"


def divergence(latest: Mapping[str, Outcome]) -> Divergence | None:
    """How personas differ; None when they do not.

    Args:
        latest: outcome of each persona's latest run of one flow, target and provider. What is
            inconclusive says nothing about an identity.
    """
    failing = tuple(sorted(name for name, one in latest.items() if isinstance(one, Failed)))
    passing = tuple(sorted(name for name, one in latest.items() if isinstance(one, Passed)))
    return Divergence(failing, passing) if failing and passing else None
