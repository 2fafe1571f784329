"""The one exception that travels inside a prober.

A phase that fails raises `AttemptFailed`; the prober's outermost function turns it into a
result. It never leaves a prober, and it is no dataclass: a frozen one cannot take the
traceback and context that Python and trio set on an exception while it travels.
"""

from __future__ import annotations

from probe.model.failure import Failure


class AttemptFailed(Exception):
    """A phase of an attempt failed; ``failure`` says which and why."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(str(failure))
        self.failure = failure
