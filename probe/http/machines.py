"""httpcore's HTTP machines, for one request at a time.

httpcore serves many requests at once over one connection. For that it takes locks, and for
HTTP/2 one permit for each stream beyond the first; on trio each of them is a pass of the
scheduler, some 200 for a connection that serves a single request, which cost more than the TLS
handshake. A flow asks one thing after the other on connections of its own, so there is nothing
to lock, and one permit is enough. Should a later httpcore name these parts otherwise, the locks
are merely back.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any

import httpcore
from h2.config import H2Configuration
from h2.settings import SettingCodes

from probe.http.stream import WatchedStream


class _Free:
    """A lock that nobody contends for."""

    async def __aenter__(self) -> _Free:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        return None


_FREE: Any = _Free()  # stands where httpcore declares its own lock


class Http1(httpcore.AsyncHTTP11Connection):
    """HTTP/1.1 without locks."""

    def __init__(self, origin: httpcore.Origin, stream: WatchedStream) -> None:
        super().__init__(origin, stream)
        self._state_lock = _FREE


class Http2(httpcore.AsyncHTTP2Connection):
    """HTTP/2 with a single stream at a time."""

    # What we send was checked when it was filled in; what we receive, httpcore leaves unchecked.
    CONFIG = H2Configuration(validate_inbound_headers=False, validate_outbound_headers=False)

    def __init__(self, origin: httpcore.Origin, stream: WatchedStream) -> None:
        super().__init__(origin, stream)
        self._init_lock = self._state_lock = self._read_lock = self._write_lock = _FREE

    async def _send_connection_init(self, request: httpcore.Request) -> None:
        await super()._send_connection_init(request)
        # What was sent to the server stays as it was; only our own reckoning changes.
        settings = self._h2_state.local_settings
        settings[SettingCodes.MAX_CONCURRENT_STREAMS] = 1
        settings.acknowledge()


Machine = Http1 | Http2


def machine(origin: httpcore.Origin, stream: WatchedStream, *, http2: bool) -> Machine:
    """The machine for a connection."""
    return Http2(origin, stream) if http2 else Http1(origin, stream)
