"""A defect of our own as a failure: what was raised, and where, without what it said.

An exception's message may repeat what a server sent or what a secret holds, so only types and
places in the code are kept. They are what a developer needs first.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import PurePath
from traceback import walk_tb

from probe.model.failure import Failure, Phase, Reason

_LEAVES = 3  # of an exception group
_FRAMES = 8  # of each, the innermost ones
_CAUSES = 2


def defect(error: BaseException, phase: Phase) -> Failure:
    """Make the failure of an attempt that our own code could not finish.

    Args:
        error: what was raised, possibly a group.
        phase: what the attempt was about to do.
    """
    return Failure(phase, Reason.DEFECT, trace(error))


def trace(error: BaseException) -> str:
    """Write one bounded line, the innermost place first: ``KeyError at tcp.py:88 connect < …``."""
    found = list(islice(_leaves(error), _LEAVES + 1))
    shown = "; ".join(_chain(leaf) for leaf in found[:_LEAVES])
    return shown if len(found) <= _LEAVES else f"{shown}; and more"


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def _chain(error: BaseException) -> str:
    """An exception and what it was raised for."""
    told = [_one(error, _FRAMES)]
    for _ in range(_CAUSES):
        cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if cause is None:
            break
        error = cause
        told.append(_one(error, 1))
    return ", after ".join(told)


def _one(error: BaseException, most: int) -> str:
    places = [
        f"{'/'.join(PurePath(frame.f_code.co_filename).parts[-3:])}:{line} {frame.f_code.co_name}"
        for frame, line in walk_tb(error.__traceback__)
    ]
    at = " < ".join(reversed(places[-most:]))
    return f"{type(error).__name__} at {at}" if at else type(error).__name__
