"""The one table: every fault of the lab, and what a prober must make of it.

A row says what a check with shipped settings reports, or, where ``given`` names something, what
a check with that setting reports. A fault may have several rows; ``reason`` None means that a
prober must not mind.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from probe.lab.faults.kinds import Fault
from probe.lab.faults.row import Given, Row
from probe.lab.faults.rows_http import HTTP, LOGIN, TUNNEL
from probe.lab.faults.rows_network import CONNECT, DNS, STARTTLS, WIRE
from probe.lab.faults.rows_tls import CHAINS, NEGOTIATION, TICKETS

__all__ = ["FAULTS", "TABLE", "Given", "Row"]

TABLE: tuple[Row, ...] = (
    *DNS,
    *CONNECT,
    *STARTTLS,
    *WIRE,
    *NEGOTIATION,
    *TICKETS,
    *CHAINS,
    *TUNNEL,
    *LOGIN,
    *HTTP,
)
"""Every fault, in the order in which an attempt could meet it."""

FAULTS: Mapping[str, Fault] = MappingProxyType({row.name: row.fault for row in TABLE})
"""Faults by name, for ``inject``."""
