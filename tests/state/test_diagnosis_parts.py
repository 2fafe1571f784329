"""Which part of the server side fails, and for whom."""

from __future__ import annotations

from probe.model.failure import Failure, Phase, Reason
from probe.model.result import Evidence, Failed, Inconclusive, Passed, Skipped, StepResult
from probe.model.target import Edge
from probe.state.personas import divergence
from probe.state.spread import Share, spread, telling

BAD = Failed(Failure(Phase.EXPECT, Reason.STATUS))
OURS = Inconclusive(Failure(Phase.AUTH, Reason.SECRET_MISSING))


def call(cell: str, ip: str, outcome: Passed | Failed | Inconclusive | Skipped) -> StepResult:
    evidence = Evidence(headers={"x-cell": cell})
    return StepResult("a", "backend", outcome, edge=Edge(ip, 443), evidence=evidence)


def test_the_part_that_fails_stands_out_among_those_that_do_not() -> None:
    results = [
        call("blue", "192.0.2.1", Passed()),
        call("green", "192.0.2.1", BAD),
        call("green", "192.0.2.2", BAD),
        call("blue", "192.0.2.2", Passed()),
        call("green", "192.0.2.2", OURS),
    ]
    shares = spread(results, ["X-Cell"])
    assert Share("x-cell", "green", 2, 2) in shares
    assert Share("address", "192.0.2.1:443", 2, 1) in shares
    assert telling(shares) == (Share("x-cell", "green", 2, 2),)


def test_when_all_parts_fail_none_explains_it() -> None:
    results = [call("blue", "192.0.2.1", BAD), call("green", "192.0.2.1", BAD)]
    assert telling(spread(results, ["x-cell"])) == ()


def test_personas_diverge_when_one_fails_and_another_passes() -> None:
    found = divergence({"external": BAD, "internal": Passed(), "other": OURS})
    assert found is not None
    assert (found.failing, found.passing) == (("external",), ("internal",))
    assert str(found) == "fails for external; works for internal"
    assert divergence({"external": BAD, "internal": BAD}) is None
    assert divergence({"external": Passed(), "other": OURS}) is None
