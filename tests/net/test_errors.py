"""One errno, one reason: whoever asks, and told apart by who refused."""

from __future__ import annotations

import errno

import pytest

from probe.model.failure import Reason
from probe.net.errors import name_of, reason_of


@pytest.mark.parametrize(
    ("code", "at_once", "later"),
    [
        (errno.EHOSTUNREACH, Reason.NO_ROUTE, Reason.UNREACHABLE),
        (errno.EACCES, Reason.NO_ROUTE, Reason.UNREACHABLE),
        (errno.EADDRNOTAVAIL, Reason.NO_ROUTE, Reason.LOCAL_RESOURCE),
        (errno.ECONNREFUSED, Reason.REFUSED, Reason.REFUSED),
        (errno.EMFILE, Reason.LOCAL_RESOURCE, Reason.LOCAL_RESOURCE),
        (errno.EXDEV, Reason.UNKNOWN, Reason.UNKNOWN),
        (None, Reason.UNKNOWN, Reason.UNKNOWN),
    ],
)
def test_who_refused_decides(code: int | None, at_once: Reason, later: Reason) -> None:
    assert (reason_of(code, at_once=True), reason_of(code, at_once=False)) == (at_once, later)


def test_an_errno_is_named_or_at_least_numbered() -> None:
    assert [name_of(errno.ECONNRESET), name_of(4711), name_of(None)] == ["ECONNRESET", "4711", "0"]
