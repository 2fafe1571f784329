"""From what the HTTP libraries raise to a phase and a reason.

httpcore wraps h11 and h2; what they mean is read from exception types, h11's status hint,
h2's events and what was seen on the stream, never from message text.
"""

from __future__ import annotations

import h2.errors
import h2.events
import h2.exceptions
import h11
import httpcore

from probe.connection.failures import AttemptFailed
from probe.model.defect import defect
from probe.model.failure import Failure, Phase, Reason

_TOO_LONG = 431  # h11's hint for a header that outgrows its buffer (RFC 6585)


def failed(error: Exception, phase: Phase, *, ended: bool, http2: bool) -> Failure:
    """Classify what ended an exchange.

    Args:
        error: raised by httpcore, or by the stream through it.
        phase: where the exchange was.
        ended: the peer had closed its side.
        http2: which protocol was spoken.
    """
    for known in _causes(error):
        if isinstance(known, AttemptFailed):
            return known.failure
    event = error.args[0] if error.args else None
    if isinstance(event, h2.events.StreamReset):
        return _http2(phase, f"RST_STREAM {_code(event.error_code)}")
    if isinstance(event, h2.events.ConnectionTerminated):
        return _http2(phase, f"GOAWAY {_code(event.error_code)}")
    if ended:
        return Failure(phase, Reason.CLOSED, "closed before the answer was whole")
    for known in _causes(error):
        if isinstance(known, h2.exceptions.ProtocolError) or (
            isinstance(event, h2.exceptions.ProtocolError)
        ):
            return _http2(phase, f"not HTTP/2: {type(event or known).__name__}")
        if isinstance(known, h11.RemoteProtocolError):
            if known.error_status_hint == _TOO_LONG:
                return Failure(phase, Reason.TOO_LARGE, "a header or chunk line without end")
            return Failure(phase, Reason.HTTP_INVALID, str(known))
    if isinstance(error, httpcore.RemoteProtocolError):
        return Failure(phase, Reason.HTTP_INVALID, str(error))
    if http2 and isinstance(error, ValueError):
        # httpcore reads ``:status`` as a number without asking whether it is one.
        return Failure(phase, Reason.HTTP_INVALID, "an HTTP/2 header that cannot be read")
    return defect(error, phase)  # not the server's: a slip of ours, or a request that is none


def no_http(failure: Failure, opening: bytes) -> Failure:
    """An HTTP/1.1 answer that did not begin as one; how it ended then matters less."""
    if not opening or failure.reason not in {Reason.CLOSED, Reason.RESET, Reason.HTTP_INVALID}:
        return failure
    detail = f"the answer is no HTTP: it begins with {opening!r}"
    return Failure(failure.phase, Reason.HTTP_INVALID, detail)


def _http2(phase: Phase, detail: str) -> Failure:
    return Failure(phase, Reason.HTTP2_ERROR, detail)


def _code(code: object) -> str:
    if isinstance(code, h2.errors.ErrorCodes):
        return code.name
    return str(code)


def _causes(error: BaseException | None) -> list[BaseException]:
    """The exception and what it was raised from, innermost last."""
    chain: list[BaseException] = []
    while error is not None and error not in chain:
        chain.append(error)
        error = error.__cause__
    return chain
