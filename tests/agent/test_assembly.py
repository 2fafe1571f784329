"""The parts of an agent, put together."""

from __future__ import annotations

from types import MappingProxyType
from typing import get_args

import trio

from probe.agent.assembly import Assembly
from probe.agent.log import EventLog
from probe.model.flow import ApiCheck
from probe.model.spec import Check, Listen, Provider, Spec, TargetList, TlsCheck
from probe.model.target import Target
from probe.schedule import WHOLE

CHECKS = (TlsCheck("stores", "shops", ("cdn-b",), port=1), ApiCheck("cli", ()))
SPEC = Spec(
    "sa-east",
    Listen(),
    MappingProxyType({"cdn-b": Provider("cdn-b", addresses=(("127.0.0.1", None),))}),
    MappingProxyType({"shops": TargetList("shops", static=(Target("shop.example"),))}),
    CHECKS,
)


async def test_every_kind_of_check_is_probed() -> None:
    """A kind that no part asks for would stand in the configuration, and nobody would look."""
    assert {type(check) for check in CHECKS} == set(get_args(Check)), "add a check of the new kind"
    assembly = Assembly(SPEC, {}, WHOLE, EventLog())
    async with trio.open_nursery() as nursery:
        await assembly.start(nursery)
        keys = list(assembly.keys())
        nursery.cancel_scope.cancel()
    assert {key.check for key in keys} == {check.name for check in CHECKS}
