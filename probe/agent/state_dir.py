"""Watches the state directory: a full or read-only one is known before a token is lost in it."""

from __future__ import annotations

from collections.abc import Iterator

import trio

from probe.agent.log import EventLog
from probe.auth.tokens import RefreshTokens
from probe.serve.series import families
from probe.serve.series.family import Sample

EVERY = 30.0
"""Seconds between tries. Each writes and removes a small file."""


class StateWatch:
    """Tries to write the directory, and says in log and metrics when that changes.

    Args:
        tokens: what is kept there; writes what it could not, once it can.
        folder: as configured.
        log: one line when it fails, for another reason too, and when it is good again.
    """

    def __init__(self, tokens: RefreshTokens, folder: str, log: EventLog) -> None:
        self._tokens = tokens
        self._folder = folder
        self._log = log
        self._told = ""

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Look until cancelled; started after the first try is under way."""
        task_status.started()
        while True:
            await self._tokens.check()
            self._tell(self._tokens.problem)
            await trio.sleep(EVERY)

    def samples(self) -> Iterator[Sample]:
        """Yield whether it can be written."""
        yield families.AGENT_STATE_DIR_WRITABLE, float(not self._tokens.problem), ()

    def _tell(self, problem: str) -> None:
        if problem and problem != self._told:
            note = "rotated refresh tokens are kept in memory only, and a restart loses them"
            self._log.error(
                "state_dir cannot be written", folder=self._folder, problem=problem, note=note
            )
        elif self._told and not problem:
            self._log.info("state_dir can be written again", folder=self._folder)
        self._told = problem
