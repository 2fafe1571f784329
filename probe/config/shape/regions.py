"""The section ``regions``: other agents, whose pages are joined on one."""

from __future__ import annotations

from pydantic import Field

from probe.config.shape.base import Several, Shape
from probe.config.shape.texts import Reference, Text
from probe.config.shape.tls import ClientCertificateShape, TrustField


class RegionsLoginShape(Shape):
    """A user of the other agents' web configuration."""

    username: Text = Field(examples=["page"])
    """Name of the user, as basic_auth_users has it."""
    password: Reference = Field(examples=["file:page.password"])
    """Where the password is: file:, env: or credential:."""


class RegionsShape(Shape):
    """Other agents, asked what they see while somebody looks at /regions."""

    pages: Several[str] = Field(
        default=[],
        examples=[["https://probe.eu-west.example.com:9469", "https://probe.us.example.com:9469"]],
    )
    """URLs of their pages. A host name here must be among their host_names."""
    agents: str | None = Field(default=None, examples=["http://probe.monitoring.svc:9469"])
    """URL whose host name has the addresses of all agents, this one included; each is asked by its
    address. Over https:// their certificates need this name."""
    trust: TrustField | None = None
    """Which roots verify them; left out: Mozilla's list, or the file that SSL_CERT_FILE names."""
    client_certificate: ClientCertificateShape | None = None
    """Certificate and key (file:) for agents whose web configuration asks clients for one."""
    basic_auth: RegionsLoginShape | None = None
    """Login for agents whose web configuration names users; only to https:// URLs."""
