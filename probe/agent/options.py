"""What an agent is started with, and what that means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from probe.model.spec import Listen, RegionSource, Spec
from probe.net.names import NameProblem, parse_listen
from probe.region import RegionError, find_region
from probe.schedule import WHOLE, Shard


class AgentError(Exception):
    """The agent cannot start; the message says why and what to do."""


class NoRegionError(AgentError):
    """Nothing says where this agent is."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line said.

    Attributes:
        listen: ``ADDRESS:PORT`` that goes before the configuration's.
        environ: the environment, for secrets, PROBE_REGION and the service manager's socket.
        region_from: who is asked for the region, instead of those that the configuration names.
        handover: seconds to probe before an address is taken over from another agent; None
            shares no address.
        shard: which targets are this agent's, where several share a region.
    """

    config: Path
    environ: Mapping[str, str]
    region: str | None = None
    listen: str | None = None
    region_from: tuple[RegionSource, ...] = ()
    handover: float | None = None
    shard: Shard = WHOLE


def region_asked(spec: Spec, options: Options) -> str:
    """Ask the sources that the command line or the configuration names for the region.

    Raises:
        NoRegionError: no source is named, or none knows the region.
    """
    sources = options.region_from or spec.region_from
    if not sources:
        raise NoRegionError(
            "nothing names this agent's region: write --region NAME, or set PROBE_REGION, "
            f"or write region: NAME in {options.config}, or have it asked: --region-from aws"
        )
    try:
        return find_region(sources, options.environ)
    except RegionError as error:
        raise NoRegionError(
            f"nobody names this agent's region ({error}): write --region NAME or set PROBE_REGION"
        ) from None


def listen_asked(text: str) -> Listen:
    """Read the address of ``--listen`` by the rules of ``listen:``. Raises AgentError."""
    try:
        return parse_listen(text)
    except NameProblem as problem:
        raise AgentError(f"--listen: {problem}") from None
