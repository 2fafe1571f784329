"""The configuration file as a whole."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from probe.config.shape.api import ApiCheckShape
from probe.config.shape.base import Shape
from probe.config.shape.check import Interval, Timeout, TlsCheckShape
from probe.config.shape.place import RegionField, ShareShape
from probe.config.shape.short import OneOrMany
from probe.config.shape.texts import (
    STRING_SCHEMA,
    Duration,
    Name,
    PathText,
    Text,
    between,
    from_text,
)
from probe.config.shape.tls import (
    ConfirmShape,
    ConsensusShape,
    EdgeSeries,
    ProfileField,
    TrustField,
)
from probe.config.shape.world import ProviderShape, TargetListField
from probe.model.spec import Listen
from probe.net.names import parse_listen

CheckField = Annotated[TlsCheckShape | ApiCheckShape, Field(discriminator="kind")]
Listening = Annotated[Listen, from_text(parse_listen, "127.0.0.1:9469"), STRING_SCHEMA]


class DefaultsShape(Shape):
    """What checks use where they say nothing themselves."""

    interval: Interval | None = Field(default=None, description="Time between attempts (30s).")
    timeout: Timeout | None = Field(default=None, description="For one attempt or step (10s).")
    flow_timeout: Timeout | None = Field(
        default=None, description="For a whole run of a flow (25s)."
    )
    profiles: Annotated[list[ProfileField], OneOrMany(), Field(min_length=1)] | None = Field(
        default=None, description="Client profiles of TLS checks ([default])."
    )
    trust: TrustField | None = Field(
        default=None, description="Which roots verify chains (mozilla)."
    )
    confirm: ConfirmShape | None = Field(
        default=None, description="How failures of TLS checks are confirmed."
    )
    consensus: ConsensusShape | None = Field(
        default=None, description="When differing certificates are worth an alarm."
    )
    edge_series: EdgeSeries | None = Field(
        default=None, description="Which edges get their own metric series (all)."
    )


class LimitsShape(Shape):
    """Bounds that keep an ill world from making the agent ill."""

    concurrency: Annotated[int, Field(ge=1, le=100_000)] | None = Field(
        default=None, description="Most attempts in flight, per check (500)."
    )
    lag_bound: Annotated[Duration, between("1ms", "10s")] | None = Field(
        default=None, description="Event-loop lag above which timings are not trusted (20ms)."
    )


class VantageShape(Shape):
    """What the agent judges its own network, DNS and clock by."""

    references: Annotated[list[Text], OneOrMany()] = Field(
        default=[],
        description="URLs of endpoints that have nothing in common with the targets or each "
        "other; three or more. Any answer will do.",
        examples=[["https://one.example/", "https://two.example/", "https://three.example/"]],
    )
    interval: Annotated[Duration, between("1s", "10s")] | None = Field(
        default=None, description="Time between looks at them (5s)."
    )


class FileShape(Shape):
    """The configuration of a regional probe."""

    region: RegionField | None = Field(
        default=None,
        description="Where this agent runs; --region and PROBE_REGION go before it. "
        "auto: one of them must be there.",
        examples=["auto", "sa-east", {"from": ["aws"]}],
    )
    listen: Listening | None = Field(
        default=None,
        description="Address of the metrics and the status page (127.0.0.1:9469).",
        examples=["127.0.0.1:9469"],
    )
    share: ShareShape | None = Field(
        default=None, description="Divide the targets among the agents of this region."
    )
    state_dir: PathText | None = Field(
        default=None, description="Directory where rotated refresh tokens are kept."
    )
    limits: LimitsShape | None = Field(default=None, description="Bounds on the agent itself.")
    vantage: VantageShape | None = Field(
        default=None, description="What the agent judges its own network, DNS and clock by."
    )
    defaults: DefaultsShape | None = Field(
        default=None, description="What checks use where they say nothing themselves."
    )
    providers: dict[Name, ProviderShape] = Field(
        default={}, description="Named ways to reach a target."
    )
    targets: dict[Name, TargetListField] = Field(default={}, description="Named lists of targets.")
    checks: list[CheckField] = Field(
        default=[], description="What to probe, how often, what is expected."
    )
