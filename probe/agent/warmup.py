"""How much of what is probed has been seen since the start.

Everything is looked at within a minute. When that cannot be, the agent says so. And an agent that
takes over an address answers only when it knows enough: a fresh one has no series until its first
results are there, and believes no failure before it is confirmed. If it answered at once, every
graph would have a gap and every alert would end and begin anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import trio

from probe.agent.jobs import JobKey
from probe.agent.log import EventLog
from probe.model.state import EdgeStatus
from probe.model.target import EdgeKey, FlowKey, ProviderKey
from probe.serve import Store
from probe.serve.records import TargetKey

WITHIN = 60.0
"""Seconds."""

_KNOWN = 10.0
"""Seconds after which the targets' names have been asked for; what DNS names later came later."""


async def say_first_look(
    store: Store,
    log: EventLog,
    concurrency: int,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Wait for the first look, and log when it takes longer and when it is done.

    Args:
        store: where results end.
        log: one line for each.
        concurrency: the configured bound, which is what a very large configuration waits for.
        task_status: started at once.
    """
    task_status.started()
    began = trio.current_time()
    await trio.sleep(_KNOWN)
    known = set(store.silence.awaited)
    await trio.sleep(WITHIN - _KNOWN)
    if not known & store.silence.awaited:
        return
    log.warning(
        "first look takes longer",
        left=len(known & store.silence.awaited),
        of=len(store.silence),
        note=f"a minute is too short with limits: {{concurrency: {concurrency}}} on this host",
    )
    while known & store.silence.awaited:  # noqa: ASYNC110 - results come by the thousand
        await trio.sleep(WITHIN)
    seconds = round(trio.current_time() - began)
    log.info("first look over", seconds=seconds, unseen=len(store.silence.unseen))


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
