"""Target lists while the agent runs: one watcher a list, replaced when its entry changes."""

from __future__ import annotations

import operator
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial

import trio

from probe.agent.log import EventLog
from probe.agent.parts import Parts
from probe.agent.process import Crashed, supervised
from probe.discovery import SourceStatus, TargetWatcher
from probe.discovery.status import ShrinkHold
from probe.discovery.watch import holds_of
from probe.model.spec import TargetList
from probe.model.target import Target
from probe.serve import Store
from probe.serve.memory.agent import SourceView

SetTargets = Callable[[str, tuple[Target, ...]], Awaitable[None]]

_LOOK_EVERY = 5.0
_PROBLEMS_LOGGED = 20


class Sources:
    """Watches every target list of the configuration.

    Args:
        parts: reads the secrets of http_sd sources.
        store: asks how each source is; told when the first targets are there.
        log: one line when a source fails or answers again.
        set_targets: awaited with each list's targets, first and on change.
        crashed: told when our own code raised; the list is watched anew after a pause.
    """

    def __init__(
        self,
        parts: Parts,
        store: Store,
        log: EventLog,
        set_targets: SetTargets,
        crashed: Crashed = lambda _, __: None,
    ) -> None:
        self._parts = parts
        self._store = store
        self._log = log
        self._set_targets = set_targets
        self._crashed = crashed
        self._watched: dict[str, tuple[TargetList, trio.CancelScope]] = {}
        self._holds: dict[str, tuple[ShrinkHold, ...]] = {}  # a watcher that crashes leaves them
        self._watchers: dict[str, TargetWatcher] = {}
        self._given: dict[str, tuple[Target, ...]] = {}
        self._joined: dict[str, tuple[tuple[Target, ...], tuple[Target, ...]]] = {}  # of `given`
        # Of lists whose entry changed: what the old sources gave, until each new one was good
        # once. A source that is down at a reload must not take its targets away.
        self._carried: dict[str, tuple[Target, ...]] = {}
        self._broken: dict[str, tuple[SourceStatus, ...]] = {}  # whose watcher crashed
        self._nursery: trio.Nursery | None = None
        store.agent.sources = self.views

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Look after the lists until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            task_status.started()
            await supervised("sources", self._look_after, self._crashed)

    async def _look_after(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        task_status.started()
        while True:
            await self._give_carried()
            await trio.sleep(_LOOK_EVERY)

    async def _give_carried(self) -> None:
        """Hand on lists of which targets are kept until their sources are read again."""
        for name in self._carried.keys() & self._watchers.keys():
            await self._give(name)

    async def configure(self, lists: Mapping[str, TargetList]) -> None:
        """Follow a configuration; a list whose entry is unchanged is not read again.

        What is held of such a list because it shrank is believed now: somebody asked for that.
        Returns once the files of new lists were looked at.
        """
        assert self._nursery is not None  # noqa: S101 - run() was started before
        for name, (known, scope) in list(self._watched.items()):
            if lists.get(name) != known:
                scope.cancel()
                del self._watched[name]
                del self._holds[name]
                self._watchers.pop(name, None)
                self._carry(name)
                if name not in lists:
                    del self._carried[name]
        for name, wanted in lists.items():
            if name in self._watched:
                if name in self._watchers:
                    self._watchers[name].release()
                for hold in self._holds[name]:  # of a watcher that crashed
                    hold.release()
            else:
                # At the end our nursery may be closed before this task hears that it is cancelled.
                await trio.lowlevel.checkpoint_if_cancelled()
                await self._nursery.start(self._keep_watching, wanted)
        self._store.agent.ready = True

    async def _keep_watching(
        self, wanted: TargetList, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        name = wanted.name

        def crashed(loop: str, where: str) -> None:
            watcher = self._watchers.pop(name, None)
            if watcher is not None:
                problems = (f"our own code crashed: {where}",)
                broken = (replace(one, up=False, problems=problems) for one in watcher.statuses)
                self._broken[name] = tuple(broken)
            self._carry(name)  # a crash takes no target away
            self._crashed(loop, where)

        with trio.CancelScope() as scope:
            self._watched[name], self._holds[name] = (wanted, scope), holds_of(wanted)
            watch = partial(self._watch, wanted)
            await supervised("discovery", watch, crashed, task_status=task_status)

    async def _watch(
        self, wanted: TargetList, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        watcher = TargetWatcher(wanted, self._parts.secrets, self._holds[wanted.name])
        self._watchers[wanted.name] = watcher

        async def changed(targets: tuple[Target, ...]) -> None:
            self._log.info("targets changed", list=wanted.name, targets=len(targets))
            await self._give(wanted.name)

        async with trio.open_nursery() as nursery:
            await nursery.start(watcher.watch, changed, self._tell)
            await self._give(wanted.name)
            task_status.started()

    def _carry(self, name: str) -> None:
        """Keep what a list gave last, also when its watcher did not live to give it once more."""
        self._carried[name] = self._given.pop(name, self._carried.get(name, ()))

    async def _give(self, name: str) -> None:
        """Hand on a list as it is now, with what is carried over from its former sources."""
        watcher = self._watchers[name]
        if all(one.kind == "static" or one.good_at is not None for one in watcher.statuses):
            self._carried.pop(name, None)
        parts = watcher.targets, self._carried.get(name, ())
        known = self._joined.get(name) if name in self._given else None
        if known is not None and all(map(operator.is_, parts, known)):
            return
        whole = parts[0]
        if parts[1]:
            labels = {target.label for target in whole}
            whole += tuple(target for target in parts[1] if target.label not in labels)
        if self._given.get(name) != whole:
            await self._set_targets(name, whole)
        if self._watchers.get(name) is watcher:
            self._given[name], self._joined[name] = whole, parts

    def _tell(self, status: SourceStatus) -> None:
        """One line for news of a source."""
        for problem in status.problems[:_PROBLEMS_LOGGED]:
            self._log.warning("target source", list=status.list_name, problem=problem)
        if not status.problems:
            notes = {"note": "; ".join(status.notes)} if status.notes else {}
            self._log.info(
                "target source is good",
                list=status.list_name,
                source=status.source,
                targets=status.targets,
                **notes,
            )

    def views(self) -> tuple[SourceView, ...]:
        """How every source of every list is now."""
        return tuple(
            _view(status)
            for name in self._watched
            for status in (
                self._watchers[name].statuses
                if name in self._watchers
                else self._broken.get(name, ())
            )
        )


def _view(status: SourceStatus) -> SourceView:
    now, wall = trio.current_time(), time.time()
    good_at = now if status.kind == "static" else status.good_at
    return SourceView(
        status.list_name,
        status.source,
        status.up,
        status.targets,
        status.rejected,
        None if good_at is None else wall - (now - good_at),
        "; ".join(status.problems[:3]),
        status.unused,
        None if status.held_since is None else wall - (now - status.held_since),
    )
