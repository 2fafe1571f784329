"""Where an agent runs, and with whom it shares the work."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from probe.config.shape.base import Shape
from probe.config.shape.short import OneOrMany, Short
from probe.config.shape.texts import Duration, Name, between
from probe.config.shape.tls import Host

RegionSourceName = Literal["kubernetes", "aws", "gce", "azure"]


class RegionShape(Shape):
    """Where this agent runs: its name, or who is asked for it when the agent starts."""

    name: Name | None = Field(default=None, description="Name of the region; or auto.")
    sources: Annotated[list[RegionSourceName], OneOrMany()] = Field(
        default=[],
        alias="from",
        description="Whom to ask, in this order: the node's label in Kubernetes "
        "(topology.kubernetes.io/region), or the metadata service of a cloud.",
        examples=[["kubernetes", "aws"]],
    )


RegionField = Annotated[RegionShape, Short({str: "name"})]


class ShareShape(Shape):
    """Agents of one region divide the targets among themselves."""

    peers: Host = Field(
        description="DNS name that has the addresses of all agents of the region, such as a "
        "headless Service of Kubernetes. Each agent needs its own in PROBE_ADDRESS.",
        examples=["probe-peers.monitoring.svc.cluster.local"],
    )
    replicas: Annotated[int, Field(ge=1, le=100)] | None = Field(
        default=None, description="How many agents probe each target (2)."
    )
    refresh: Annotated[Duration, between("1s", "5m")] | None = Field(
        default=None, description="How often the name is looked up (5s)."
    )
