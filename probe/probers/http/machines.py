"""httpcore's HTTP machines, for one request at a time.

httpcore serves many requests over one HTTP/2 connection. For that it takes and gives back one
permit for each stream beyond the first, each with a pass of the scheduler: 200 passes for a
connection that serves a single request. A flow asks one thing after the other, so one permit
is enough.
"""

from __future__ import annotations

import httpcore
from h2.settings import SettingCodes

from probe.probers.http.stream import WatchedStream

Machine = httpcore.AsyncHTTP11Connection | httpcore.AsyncHTTP2Connection


class OneStream(httpcore.AsyncHTTP2Connection):
    """HTTP/2 with a single stream at a time."""

    async def _send_connection_init(self, request: httpcore.Request) -> None:
        await super()._send_connection_init(request)
        # What was sent to the server stays as it was; only our own reckoning changes.
        settings = self._h2_state.local_settings
        settings[SettingCodes.MAX_CONCURRENT_STREAMS] = 1
        settings.acknowledge()


def machine(origin: httpcore.Origin, stream: WatchedStream, *, http2: bool) -> Machine:
    """The machine for a connection."""
    kind = OneStream if http2 else httpcore.AsyncHTTP11Connection
    return kind(origin, stream)
