"""What all kinds of checks have, and TLS checks."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from probe.config.shape.base import Shape
from probe.config.shape.short import OneOrMany
from probe.config.shape.texts import Duration, Name, between
from probe.config.shape.tls import (
    ChainShape,
    ConfirmShape,
    ConsensusShape,
    EdgeSeries,
    Host,
    Port,
    ProfileField,
    TrustField,
)
from probe.config.shape.world import CheckTargetsField, Labels
from probe.model.tls import Starttls

Interval = Annotated[Duration, between("1s", "1d")]
Timeout = Annotated[Duration, between("50ms", "10m")]


class CheckShape(Shape):
    """What all kinds of checks have."""

    name: Name = Field(description="Its name on metrics; unique.", examples=["stores"])
    interval: Interval | None = Field(
        default=None, description="Time between scheduled attempts (30s)."
    )
    timeout: Timeout | None = Field(
        default=None, description="For one attempt, or one step of a flow (10s)."
    )
    labels: Labels = Field(default={}, description="Labels of the check, kept on info series.")


class TlsCheckShape(CheckShape):
    """Handshake with every edge of every provider of every target, and judge the chain."""

    kind: Literal["tls"] = Field(description="tls: handshakes with every edge.")
    targets: CheckTargetsField = Field(
        description="Name of a list under targets, or the targets themselves.",
        examples=["stores"],
    )
    providers: Annotated[list[Name], OneOrMany(), Field(min_length=1)] | None = Field(
        default=None,
        description="Names under providers; left out: what DNS gives customers now (live).",
    )
    port: Port | None = Field(
        default=None, description="For targets and providers that name none (443)."
    )
    sni: Host | None = Field(
        default=None, description="Name sent and judged instead of the target's."
    )
    starttls: Starttls | None = Field(default=None, description="Protocol spoken before TLS.")
    profiles: Annotated[list[ProfileField], OneOrMany(), Field(min_length=1)] | None = Field(
        default=None,
        description="How attempts look to the server: default, tls13, tls12-ecdsa, tls12-rsa, "
        "or mappings.",
        examples=[["tls13", "tls12-ecdsa"]],
    )
    expect: ChainShape | None = Field(
        default=None, description="What the chain must be beyond valid."
    )
    trust: TrustField | None = Field(
        default=None, description="Which roots verify the chain: mozilla, system or {file: …}."
    )
    confirm: ConfirmShape | None = Field(
        default=None, description="How a first failure is confirmed."
    )
    consensus: ConsensusShape | None = Field(
        default=None, description="When differing certificates are worth an alarm."
    )
    edge_series: EdgeSeries | None = Field(
        default=None, description="Which edges get their own metric series."
    )
