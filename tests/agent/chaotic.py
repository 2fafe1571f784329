"""``probe`` with defects: a share of all runs raises, and every attempt on some targets.

Runs as the program itself does; what raises stands outside of the product, around the outermost
function of each prober and of the finder of edges.
"""

from __future__ import annotations

import os
import random
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

from probe.cli.main import main
from probe.edges import EdgeFinder
from probe.model.target import EdgeKey
from probe.probers.flow import FlowProber
from probe.probers.reference import ReferenceProber
from probe.probers.tls import TlsProber


def chaotic(
    call: Callable[..., Awaitable[Any]], share: float, doomed: frozenset[str]
) -> Callable[..., Awaitable[Any]]:
    """The same function, that raises now and then, and always for some targets' edges."""
    dice = random.Random(1)

    @wraps(call)
    async def raising(*arguments: Any, **named: Any) -> Any:
        keys = [one for one in arguments if isinstance(one, EdgeKey)]
        if dice.random() < share or any(key.target in doomed for key in keys):
            raise IndexError("list index out of range")
        return await call(*arguments, **named)

    return raising


def break_all(share: float, doomed: frozenset[str]) -> None:
    """Put the defects in."""
    for owner, name in (
        (TlsProber, "probe"),
        (FlowProber, "run"),
        (EdgeFinder, "find"),
        (ReferenceProber, "look"),
    ):
        setattr(owner, name, chaotic(getattr(owner, name), share, doomed))


if __name__ == "__main__":
    doomed = frozenset(os.environ["CHAOS_DOOMED"].split(","))
    break_all(float(os.environ["CHAOS_SHARE"]), doomed)
    main()
