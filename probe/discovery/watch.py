"""Watches a target list: its sources are looked at again and again, and changes are told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import trio

from probe.discovery.files import FileTargets
from probe.discovery.status import ShrinkHold, SourceLook, SourceStatus, without_secrets
from probe.model.secret import ReadSecret, Secret, SecretError, SecretRef
from probe.model.spec import HttpSource, TargetList
from probe.model.target import Target

OnChange = Callable[[tuple[Target, ...]], Awaitable[None]]
OnStatus = Callable[[SourceStatus], None]


class TargetSource(Protocol):
    """Something that gives targets when looked at, and keeps the last good ones."""

    async def look(self) -> SourceLook:
        """Look once; never raises for a fault of the source."""

    async def aclose(self) -> None:
        """Give back what is held open."""


@dataclass(slots=True)
class _Watched:
    """A source with what it said last."""

    source: TargetSource
    status: SourceStatus
    hold: ShrinkHold
    targets: tuple[Target, ...] = ()
    over: int = 0


def no_secrets(reference: SecretRef) -> Secret:
    """Stands in where no source needs a secret."""
    raise SecretError(f"{reference}: nothing reads secrets here")


def holds_of(spec: TargetList) -> tuple[ShrinkHold, ...]:
    """Make a hold for each file and URL of a list, in the order of its watcher."""
    return tuple(ShrinkHold(spec.shrink_hold) for _ in (*spec.files, *spec.http))


class TargetWatcher:
    """One target list and what its sources gave last.

    Attributes:
        targets: the present list: static ones first, then files, then URLs, each in the order
            of the configuration; of duplicates (same name and port) the first.
    """

    def __init__(
        self,
        spec: TargetList,
        read_secret: ReadSecret = no_secrets,
        holds: Sequence[ShrinkHold] = (),
    ) -> None:
        """Remember the sources; nothing is read yet.

        Args:
            spec: the list.
            read_secret: gives the bearer tokens of URLs, anew for each fetch.
            holds: from `holds_of`, as the watcher before this one left them; none: new ones.
        """
        hold = iter(holds or holds_of(spec))
        self._spec = spec
        self._static = SourceStatus(spec.name, "static", "static", targets=len(spec.static))
        self._files = [
            _Watched(
                FileTargets(one.path, spec.max_targets),
                SourceStatus(spec.name, one.path, "file", up=False),
                next(hold),
            )
            for one in spec.files
        ]
        self._http = [
            _Watched(
                _http_source(one, read_secret, spec),
                SourceStatus(spec.name, without_secrets(one.url), "http", up=False),
                next(hold),
            )
            for one in spec.http
        ]
        self._merging, self._telling = trio.Lock(), trio.Lock()
        self._released = trio.Event()
        self.targets: tuple[Target, ...] = ()
        self._told: tuple[Target, ...] = ()

    @property
    def statuses(self) -> tuple[SourceStatus, ...]:
        """Every source's state, in the order of the configuration; static ones only if any."""
        watched = tuple(one.status for one in (*self._files, *self._http))
        return (self._static, *watched) if self._spec.static else watched

    def release(self) -> None:
        """Believe every list as it is now: whoever asks for that knows that one shrank."""
        for one in (*self._files, *self._http):
            one.hold.release()
        self._released.set()
        self._released = trio.Event()

    async def look(self) -> None:
        """Look at every source once; ``targets`` and ``statuses`` then tell the outcome."""
        await self._merge()
        async with trio.open_nursery() as nursery:
            for one in (*self._files, *self._http):
                nursery.start_soon(self._look_at, one, None)
        for one in self._http:
            await one.source.aclose()

    async def watch(
        self,
        on_change: OnChange,
        on_status: OnStatus | None = None,
        *,
        task_status: trio.TaskStatus[tuple[Target, ...]] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Look at every source each ``refresh`` seconds, for ever.

        Started with the targets of static lists and files. URLs are fetched after that, so
        that a slow server does not hold up the start.

        Args:
            on_change: awaited with the whole new list, only when it differs from the last one.
            on_status: called when what is wrong with a source, or worth a note, has changed.
            task_status: started with the first list.
        """
        try:
            await self._merge()
            async with trio.open_nursery() as nursery:
                for one in self._files:
                    nursery.start_soon(self._look_at, one, on_status)
            self._told = self.targets
            task_status.started(self.targets)
            async with trio.open_nursery() as nursery:
                for one in self._files:
                    nursery.start_soon(self._keep_looking, one, on_change, on_status, True)
                for one in self._http:
                    nursery.start_soon(self._keep_looking, one, on_change, on_status, False)
        finally:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + 1):
                for one in self._http:
                    await one.source.aclose()

    async def _keep_looking(
        self, one: _Watched, on_change: OnChange, on_status: OnStatus | None, looked: bool
    ) -> None:
        while True:
            if looked:
                await self._pause(one)
            looked = True
            await self._look_at(one, on_status)
            async with self._telling:  # one after the other, so that the last told is the last
                if self._told is not self.targets:
                    self._told = self.targets
                    await on_change(self.targets)

    async def _pause(self, one: _Watched) -> None:
        """Wait until it is time for the next look."""
        next_look = trio.current_time() + self._spec.refresh
        if one.hold.ends_at is not None:
            next_look = min(next_look, one.hold.ends_at)
        with trio.move_on_at(next_look):
            await self._released.wait()

    async def _look_at(self, one: _Watched, on_status: OnStatus | None) -> None:
        """Look once; bring the status of the source and the list up to date."""
        look = await one.source.look()
        before, now = one.status, trio.current_time()
        used = one.hold.take(look, now)
        changed = used.targets is not one.targets or before.changed_at is None
        one.targets, one.over = used.targets, used.over
        shrank = one.hold.since is not None and not look.faults  # else it may be whole, unread
        held = (self._held(len(used.targets), len(look.targets)),) if shrank else ()
        one.status = replace(
            before,
            up=not look.faults,
            targets=len(used.targets),
            rejected=look.rejected,
            problems=(*held, *look.faults, *look.complaints),
            good_at=before.good_at if look.faults else now,
            changed_at=now if changed else before.changed_at,
            held_since=one.hold.since,
        )
        if changed:
            await self._merge()
        else:
            one.status = self._noted(one.status, before.duplicates, before.unused)
        if on_status is not None and _news(before, one.status):
            on_status(one.status)

    def _held(self, before: int, now: int) -> str:
        return (
            f"the list shrank from {before} targets to {now} at once: the {before} stay in use "
            f"for {self._spec.shrink_hold:g} s (shrink_hold); a reload (SIGHUP) takes the new one"
        )

    async def _merge(self) -> None:
        """Join the sources in their order; the first of equal targets stays."""
        async with self._merging:
            found: dict[tuple[str, int | None], Target] = {}
            most = self._spec.max_targets
            counts = await _add(found, self._spec.static, most)
            self._static = self._noted(self._static, *counts)
            for one in (*self._files, *self._http):
                # What the source says may change while its targets are added.
                duplicates, unused = await _add(found, one.targets, most)
                one.status = self._noted(one.status, duplicates, unused + one.over)
            targets = tuple(found.values())
            if targets != self.targets:
                self.targets = targets

    def _noted(self, status: SourceStatus, duplicates: int, unused: int) -> SourceStatus:
        notes, problems = [], tuple(one for one in status.problems if _BEYOND not in one)
        if status.up and not status.targets:
            notes.append("the list is empty")
        if duplicates:
            notes.append(f"{duplicates} targets are named before; the first of each counts")
        if unused:
            most = self._spec.max_targets
            problem = (
                f"{unused} targets are beyond the limit of {most} of the list {status.list_name} "
                "and are not probed; raise max_targets: or split the list"
            )
            problems = (problem, *problems)
        return replace(
            status, duplicates=duplicates, unused=unused, notes=tuple(notes), problems=problems
        )


_BEYOND = "are beyond the limit of"
_PART = 2_000  # targets between two pauses: some three milliseconds


async def _add(
    found: dict[tuple[str, int | None], Target], targets: Sequence[Target], most: int
) -> tuple[int, int]:
    """Add what is new, up to ``most`` in all.

    Returns:
        the number of targets that were there already, and of those that found no room.
    """
    added = unused = 0
    for start in range(0, len(targets), _PART):
        for target in targets[start : start + _PART]:
            key = (target.name, target.port)
            if key in found:
                continue
            if len(found) < most:
                found[key] = target
                added += 1
            else:
                unused += 1
        await trio.lowlevel.checkpoint()
    return len(targets) - added - unused, unused


def _news(before: SourceStatus, after: SourceStatus) -> bool:
    """Whether a person should hear of it. No problem at the first look is no news."""

    def told(status: SourceStatus) -> tuple[object, ...]:
        return status.problems, status.notes

    return told(before) != told(after)


def _http_source(source: HttpSource, read_secret: ReadSecret, spec: TargetList) -> TargetSource:
    from probe.discovery.http import HttpTargets  # noqa: PLC0415 - httpx costs time and memory

    return HttpTargets(source, read_secret, spec.refresh, spec.max_targets)
