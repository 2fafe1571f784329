"""For whom a flow fails."""

from __future__ import annotations

from probe.model.failure import Failure, Phase, Reason
from probe.model.result import Failed, Inconclusive, Passed
from probe.state.diagnosis import personas_differ

BAD = Failed(Failure(Phase.EXPECT, Reason.STATUS))
OURS = Inconclusive(Failure(Phase.AUTH, Reason.SECRET_MISSING))


def test_personas_differ_when_one_fails_and_another_passes() -> None:
    assert personas_differ({"external": BAD, "internal": Passed(), "other": OURS})
    assert not personas_differ({"external": BAD, "internal": BAD})
    assert not personas_differ({"external": Passed(), "other": OURS})
