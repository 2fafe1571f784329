"""Whether authorization fails open: said by an answer to a call that must be refused, only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from probe.agent.filing import Excuse
from probe.agent.flow_filing import FlowFiling
from probe.agent.log import EventLog
from probe.model.failure import Reason
from probe.model.flow import Step
from probe.model.spec import Listen, Spec
from probe.model.target import Target
from probe.serve import Store
from probe.state.vantage import Vantage
from tests.state import diagnosis_world as w
from tests.state.diagnosis_world import CHECK, Ending
from tests.support.reading import value

OPEN = {"deny": w.status(200)}
MORE = replace(CHECK, steps=(*CHECK.steps, w.step("second", "authorization", w.A, deny=True)))
UNTOLD = (
    {"deny": w.ours(Reason.VANTAGE_ILL)},
    {"deny": w.SKIPPED},
    {"deny": w.TCP},
    {"deny": w.SILENT},
    {"deny": w.LIMITED},
    {"deny": w.status(503)},
)


class Filed:
    def __init__(self) -> None:
        self.store = Store("here", started_at=0.0)
        self.filing = FlowFiling(self.store, EventLog(), Excuse(Vantage()), lambda *_: None)
        self.spec = Spec("here", Listen("127.0.0.1", 0), {}, {}, (MORE,))
        self.store.configure(self.spec)
        self.store.set_targets(MORE.name, [Target(MORE.name)])
        self.filing.configure(self.spec)

    def after(self, endings: Mapping[str, Ending]) -> float | None:
        self.filing.file(w.run(endings, check=MORE))
        return value(self.store, "probe_flow_fails_open")


@pytest.mark.parametrize("untold", UNTOLD)
async def test_it_fails_open_until_it_is_seen_to_refuse(
    untold: Mapping[str, Ending], autojump_clock: object
) -> None:
    it = Filed()
    nobody = {**untold, "second": untold["deny"]}
    assert it.after(nobody) is None, "a call without an answer was not refused"
    assert it.after({}) == 0.0
    assert it.after(nobody) is None
    assert it.after(OPEN) == 1.0
    for _ in range(5):
        assert it.after(nobody) == 1.0
    assert it.after(untold) == 1.0, "another call is refused"
    assert it.after({"deny": w.status(500)}) == 0.0
    assert it.after(OPEN | {"second": untold["deny"]}) == 1.0


async def test_a_call_that_need_not_be_refused_any_more_ends_it(autojump_clock: object) -> None:
    it = Filed()
    assert it.after(OPEN) == 1.0
    it.filing.configure(replace(it.spec, checks=(replace(MORE, interval=77.0),)))
    assert it.after({"deny": w.SKIPPED}) == 1.0
    steps = tuple(replace(s, deny=False) for s in MORE.steps if isinstance(s, Step))
    it.filing.configure(replace(it.spec, checks=(replace(MORE, steps=steps),)))
    assert it.after({"deny": w.SKIPPED}) is None
