"""Which maintenance windows are open, and what they cover. Pure: the time is an argument.

A window never makes anything healthy. It only says that a failure is planned.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from probe.model.maintenance import Window
from probe.model.target import ProviderKey


@dataclass(frozen=True, slots=True)
class Turn:
    """Windows that began or ended between two looks."""

    began: tuple[Window, ...] = ()
    ended: tuple[Window, ...] = ()


class Maintenance:
    """The windows of one region.

    Args:
        region: where the agent runs; windows for other regions are left out.
    """

    def __init__(self, region: str) -> None:
        self._region = region
        self._windows: tuple[Window, ...] = ()
        self._known: dict[Window, bool] = {}

    def follow(self, windows: Iterable[Window]) -> None:
        """Take the windows of a new configuration; what was told of those that stay is kept."""
        ours = [one for one in windows if not one.regions or self._region in one.regions]
        self._windows = tuple(dict.fromkeys(ours))

    def open(self, now: float) -> tuple[Window, ...]:
        """Give the windows that are open at this wall time, in the order written."""
        return tuple(one for one in self._windows if one.start <= now < one.end)

    def turn(self, now: float) -> Turn:
        """Give what began and ended since the last call, each window once.

        A window that was over before the first look counts as ended, and one that was taken out of
        the configuration while it was open too.
        """
        opened = dict.fromkeys(self.open(now))
        over = dict.fromkeys(one for one in self._windows if now >= one.end)
        began = [one for one in opened if not self._known.get(one)]
        ended = [one for one in over if self._known.get(one, True)]
        gone = [one for one, was in self._known.items() if was and one not in self._windows]
        self._known = dict.fromkeys(opened, True) | dict.fromkeys(over, False)
        return Turn(tuple(began), (*ended, *gone))


def covering(windows: Iterable[Window], key: ProviderKey) -> Window | None:
    """Find the window that covers a target through a provider; of several, the last to end."""
    found = [one for one in windows if covers(one, key)]
    return max(found, key=lambda one: one.end, default=None)


def covers(window: Window, key: ProviderKey) -> bool:
    """Tell whether a window is for a target through a provider, whatever the time."""
    return (
        (not window.checks or key.check in window.checks)
        and (not window.providers or key.provider in window.providers)
        and (not window.targets or _matched(window.targets, key.target))
    )


def _matched(patterns: tuple[str, ...], target: str) -> bool:
    """Match a target with its port or without."""
    pattern = _pattern(patterns)
    name, colon, port = target.rpartition(":")
    bare = name if colon and port.isdigit() and (":" not in name or name[-1:] == "]") else target
    return bool(pattern.fullmatch(target) or pattern.fullmatch(bare))


@lru_cache(maxsize=256)
def _pattern(patterns: tuple[str, ...]) -> re.Pattern[str]:
    """One expression for all patterns: of a thousand names each is looked at once."""
    parts = (".*".join(re.escape(part) for part in one.split("*")) for one in patterns)
    return re.compile("|".join(parts), re.IGNORECASE | re.DOTALL)
