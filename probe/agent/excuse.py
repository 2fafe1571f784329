"""Turns failures that the vantage itself explains into inconclusive results."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from probe.model.result import Failed, Inconclusive, Passed, Skipped
from probe.state.vantage import Vantage

OutcomeT = TypeVar("OutcomeT", bound=Passed | Failed | Inconclusive | Skipped)


class Excuse:
    """Asks the vantage about each failure; everything else passes through.

    Args:
        vantage: what is known of this agent's own view.
        on_failure: told of each failure that is not excused, so that the references are
            looked at before it is confirmed.
    """

    def __init__(self, vantage: Vantage, on_failure: Callable[[], object] = lambda: None) -> None:
        self._vantage = vantage
        self._on_failure = on_failure

    def __call__(self, outcome: OutcomeT, began: float) -> OutcomeT | Inconclusive:
        """The outcome to file.

        Args:
            outcome: of an attempt, a run or a step.
            began: when it began, by trio's clock.
        """
        if not isinstance(outcome, Failed):
            return outcome
        ours = self._vantage.excuse(outcome.failure, began)
        if ours is None:
            self._on_failure()
            return outcome
        return Inconclusive(ours)
