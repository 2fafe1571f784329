"""After a start everything is looked at within a minute; when that cannot be, the agent says so."""

from __future__ import annotations

import trio

from probe.agent.log import EventLog
from probe.serve import Store

WITHIN = 60.0
"""Seconds."""

_KNOWN = 10.0
"""Seconds after which the targets' names have been asked for; what DNS names later came later."""


async def say_first_look(store: Store, log: EventLog, concurrency: int) -> None:
    """Wait for the first look, and log when it takes longer and when it is done.

    Args:
        store: where results end.
        log: one line for each.
        concurrency: the configured bound, which is what a very large configuration waits for.
    """
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
