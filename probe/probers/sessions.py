"""Offers an edge the session ticket of another edge, after a good handshake without one.

Most clients of a large site come back with a ticket, and DNS may send them to another edge than
the one that gave it. An edge with the same keys resumes the session, one with other keys does a
full handshake. Where keys are half rolled out some edges do neither: they send an alert, or nothing
more, and only clients that were there before notice. Imported when a profile first asks for it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from probe.connection.choices import noted
from probe.connection.failures import AttemptFailed
from probe.connection.resumption import SessionTicket, TicketStore, take_ticket
from probe.connection.timeline import Presented, Timeline
from probe.connection.tls import TlsStream
from probe.model.failure import Failure, Phase, Reason
from probe.model.result import SessionTrial
from probe.model.target import Edge, EdgeKey

After = Callable[[TlsStream, float], Awaitable[None]]
"""Called with a good connection and its deadline, before that is closed."""

Connect = Callable[[Timeline, float, bytes | None, After | None], Awaitable[Presented]]
"""Connects to the edge of an attempt as that did, with these seconds, session and what follows."""

_LEAST = 0.05
_SHARES = 3  # the ticket, without it, the ticket again


class Sessions:
    """Keeps tickets and offers them; one serves all checks of an agent."""

    def __init__(self) -> None:
        self.store = TicketStore()

    def keeping(self, key: EdgeKey) -> After:
        """Return what keeps the ticket of a connection to this edge."""

        async def keep(stream: TlsStream, deadline: float) -> None:
            ticket = await take_ticket(stream, deadline)
            if ticket is not None:
                self.store.keep(key, ticket)

        return keep

    async def across(
        self, key: EdgeKey, connect: Connect, deadline: float
    ) -> tuple[SessionTrial, Failure | None]:
        """Offer another edge's ticket to an edge that has just passed a full handshake.

        A handshake that fails with the ticket is tried without, and with it once more: one that was
        lost by chance blames nobody, and an edge that fails without it has another fault.

        Args:
            key: the edge, and what it was probed as.
            connect: as the attempt did.
            deadline: of the attempt, by trio's clock.

        Returns:
            what became of the ticket, and the failure to file for the attempt, if any.
        """
        found = self.store.other(key, trio.current_time())
        left = deadline - trio.current_time()
        if found is None or left < _LEAST:
            return SessionTrial("untried"), None
        giver, ticket = found
        seconds = left / _SHARES
        first = await self._offer(connect, seconds, ticket)
        if isinstance(first, Failure) and _after_hello(first):
            without = await self._full(connect, seconds)
            if without is not None:
                return SessionTrial("untried", giver), without
            first = await self._offer(connect, seconds, ticket)
        if not isinstance(first, Failure):
            self.store.note(key, broken=False)
            return SessionTrial("resumed" if first else "refused", giver), None
        if not _after_hello(first):
            return SessionTrial("untried", giver), None
        self.store.note(key, broken=True)
        age = trio.current_time() - ticket.taken
        detail = (
            f"with a session ticket that {giver} gave {age:.0f} s ago the handshake fails, twice: "
            f"{first}; between them it passed without one"
        )
        return SessionTrial("broken", giver), Failure(Phase.TLS, Reason.RESUMPTION_FAILED, detail)

    @staticmethod
    async def _offer(connect: Connect, seconds: float, ticket: SessionTicket) -> bool | Failure:
        """Return whether the session was resumed, or why there was no handshake."""
        taken = False

        async def look(stream: TlsStream, _deadline: float) -> None:
            nonlocal taken
            taken = stream.resumed()

        try:
            await connect(Timeline(trio.current_time()), seconds, ticket.session, look)
        except AttemptFailed as failed:
            return failed.failure
        return taken

    @staticmethod
    async def _full(connect: Connect, seconds: float) -> Failure | None:
        """Return why a handshake without a ticket fails; None when it passes."""
        try:
            await connect(Timeline(trio.current_time()), seconds, None, None)
        except AttemptFailed as failed:
            return failed.failure
        return None

    @staticmethod
    def reproduction(giver: str, edge: Edge, command: str) -> str:
        """Write the commands that take a ticket at one edge and offer it to another.

        Args:
            giver: address of the edge that gives it.
            edge: the one that it breaks.
            command: ``openssl s_client …`` for that one, without a ticket.
        """
        note, offer = noted(command.removesuffix(" </dev/null"))
        take = offer.replace(f"-connect {edge.label}", f"-connect {giver}", 1)
        return (
            f'{note}S=$(mktemp); sleep 3 | {take} -sess_out "$S"; '
            f'{offer} -sess_in "$S" </dev/null; rm "$S"'
        )


def _after_hello(failure: Failure) -> bool:
    """Whether the edge had seen the ticket when it failed, and the fault is not ours."""
    return failure.phase is Phase.TLS and not failure.ours
