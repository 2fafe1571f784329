"""What the finder did and what is the matter with it, as a value for metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FinderStats:
    """What the finder did since it was made, for metrics.

    Attributes:
        questions: questions that went out, by outcome: ``addresses`` or a failure's reason.
        from_cache: questions that what is known answered.
        shared: questions that joined the same one under way.
        subnet_ignored: answers per server that ignored the client subnet (RFC 7871).
        under_way: questions out now.
        waiting: questions that wait for their turn now.
        silent: lists of servers that answer nothing, not even control questions; further
            questions fail at once while a control question every few seconds tries again.
    """

    questions: Mapping[str, int]
    from_cache: int
    shared: int
    subnet_ignored: Mapping[str, int]
    under_way: int
    waiting: int
    silent: tuple[str, ...]
