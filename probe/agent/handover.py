"""A new release beside the old one: when it knows enough to answer in its place.

A fresh agent has no series until its first results are there, and believes no failure before it
is confirmed. Would it answer at once, every graph had a gap and every alert would end and begin
anew. So it probes first, and answers when it has seen everything once and suspects nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import trio

from probe.agent.keys import JobKey
from probe.model.state import EdgeStatus
from probe.model.target import EdgeKey, FlowKey, ProviderKey
from probe.serve import Store
from probe.serve.memory.records import TargetKey

_LOOK_EVERY = 0.5


async def warmed_up(store: Store, keys: Callable[[], Iterable[JobKey]], most: float) -> bool:
    """Wait until the store knows everything that is probed.

    Args:
        store: where results end.
        keys: everything that is probed now; empty while nothing is known to probe.
        most: seconds after which it is time all the same.

    Returns:
        whether everything is known.
    """
    with trio.move_on_after(most):
        while not _knows(store, list(keys())):  # noqa: ASYNC110 - results come by the thousand
            await trio.sleep(_LOOK_EVERY)
        return True
    return False


def _knows(store: Store, keys: list[JobKey]) -> bool:
    return bool(keys) and all(_has(store, key) for key in keys) and not _suspects(store)


def _has(store: Store, key: JobKey) -> bool:
    record = store.targets.get(TargetKey(key.check, key.target))
    if record is None:
        return False
    match key:
        case EdgeKey():
            return key in record.edges
        case ProviderKey():
            return key in record.resolutions
        case FlowKey():
            return key in record.flows


def _suspects(store: Store) -> bool:
    """Whether anything waits for its confirmation."""
    return any(
        trouble.status is EdgeStatus.SUSPECT
        for census in store.census.providers.values()
        for trouble in census.troubles.values()
    )
