"""Looks at long answers in a process of its own, so that they never hold up the event loop.

A megabyte of JSON is read in 30 to 110 ms, and a costly JMESPath expression takes two seconds.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

import trio

from probe.http.answers import Captured, Findings
from probe.model.failure import Failure, Phase, Reason
from probe.net.apart import kept
from probe.net.child import Unanswered

T = TypeVar("T")

AT_ONCE = 8 * 1024
"""Bytes that are looked at on the loop. The worst JSON of this length and the worst expression
take 20 ms together; a process costs half a millisecond each time."""


async def run_apart(work: Callable[[], T], *, size: int, deadline: float = math.inf) -> T | Failure:
    """Do the work, elsewhere if it may take long; return a failure of ours when it takes too long.

    What takes too long is our configuration's fault, an expression for instance, and never the
    target's.

    Args:
        work: as for `kept`; it returns what judges and captures do.
        size: bytes that it looks at in a costly way.
        deadline: trio time.
    """
    if size <= AT_ONCE:
        return work()
    detail = f"no time left to look at {size} bytes"
    with trio.move_on_at(deadline):
        try:
            return await kept(work, Captured, Failure, Findings, Phase, Reason)
        except Unanswered as error:
            if error.reason is Reason.DEFECT:
                return Failure(Phase.EXPECT, Reason.DEFECT, str(error))
            more = "; write simpler expressions" if error.costly else ""
            detail = f"the process that looks at {size} bytes {error}{more}"
    return Failure(Phase.EXPECT, Reason.LOCAL_RESOURCE, detail)
