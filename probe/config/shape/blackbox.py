"""What may be probed at ``/probe``, as at a blackbox_exporter's, and how.

A module is a check without name, schedule and targets: whoever asks names the target.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from probe.config.shape.base import BY_KIND, AtLeastOne, Shape
from probe.config.shape.checks import ApiCheckShape, TcpCheckShape, TlsCheckShape
from probe.config.shape.targets import CheckTargetsField, CheckTargetsShape
from probe.config.shape.texts import STRING_SCHEMA, Duration, Name, Timeout, between, from_text
from probe.model.spec import ASKED, Blackbox
from probe.net.names import parse_probed

NEVER = (
    "name", "targets", "providers", "interval", "labels", "confirm", "consensus", "edge_series",
    "records", "caa_issuers", "personas",
)  # fmt: skip
"""Keys of checks that a module has no use for."""


def _asked() -> CheckTargetsShape:
    return CheckTargetsShape.model_construct(named=ASKED)  # no name that a file can have


class AskedShape(Shape):
    """What all kinds of modules have."""

    name: Name = ""
    """Not for modules: the key names them."""
    timeout: Timeout | None = Field(default=None, examples=["5s"])
    """For the whole probe; left out: what the scrape's own time-out leaves."""
    prefer: Literal["ip4", "ip6"] = "ip6"
    """Which IP version is probed where a name has both."""
    fallback: bool = True
    """Whether the other IP version will do where a name lacks the preferred one."""


class TlsModuleShape(AskedShape, TlsCheckShape):
    """One TLS handshake with one address of the target."""

    targets: CheckTargetsField = Field(default_factory=_asked)
    """Not for modules: the request names the target."""


class TcpModuleShape(AskedShape, TcpCheckShape):
    """One TCP connection to one address of the target."""

    targets: CheckTargetsField = Field(default_factory=_asked)
    """Not for modules: the request names the target."""


class ApiModuleShape(AskedShape, ApiCheckShape):
    """A flow of calls; {target.url} is the URL that was asked for."""

    targets: CheckTargetsField | None = Field(default_factory=_asked)
    """Not for modules: the request names the target."""


ModuleShapes = TlsModuleShape | TcpModuleShape | ApiModuleShape
ProbedName = Annotated[
    tuple[str, int | None], from_text(parse_probed, "*.shop.example"), STRING_SCHEMA
]


class BlackboxShape(Shape):
    """Probes that others may ask for at /probe?target=…&module=…, as at a blackbox_exporter's."""

    spec = Blackbox({}, ())

    modules: dict[Name, Annotated[ModuleShapes, BY_KIND]] = Field(
        default={}, examples=[{"tls": {"kind": "tls", "timeout": "5s"}}]
    )
    """Checks without name, schedule and targets, by the name that stands in ?module=."""
    targets: AtLeastOne[ProbedName] = Field(examples=[["*.shop.example", "198.51.100.0/24"]])
    """What may be probed: names, *.shop.example for all below one, networks, or "*" for every name
    and address; a port behind one allows that port only."""
    concurrency: Annotated[int, Field(ge=1, le=200)] | None = None
    """Most probes at once; more are refused with 503 ({default})."""
    timeout_offset: Annotated[Duration, between("0", "10s")] | None = None
    """Part of the scrape's time-out that is left for the answer ({default})."""
