"""What there is to probe: each target of a check, through each provider, in each way. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeVar

from probe.model.flow import ApiCheck, Persona
from probe.model.spec import Check, Spec, TlsCheck
from probe.model.target import Edge, EdgeKey, FlowKey, ProviderKey, Target
from probe.model.tls import ClientProfile

JobKey = EdgeKey | ProviderKey | FlowKey
"""An attempt on an edge, a question to a provider's DNS, or a run of a flow."""

CheckT = TypeVar("CheckT", TlsCheck, ApiCheck)

UNLISTED: Final = ""
"""The list of flows that have no target list: each is a target of its check's name."""

_RESOLVING = ":resolve"

PART = 100
"""Targets followed in one step: some three milliseconds."""

T = TypeVar("T")


def parts(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """Cut what may be long into parts of at most ``PART``."""
    return (items[start : start + PART] for start in range(0, len(items), PART))


def checks_of(spec: Spec, kind: type[CheckT]) -> dict[str, CheckT]:
    """Return the checks of one kind by name."""
    return {check.name: check for check in spec.checks if isinstance(check, kind)}


def unlisted(spec: Spec) -> tuple[Target, ...]:
    """Make the list ``UNLISTED``: a target for each flow that names no list."""
    return tuple(Target(check.name) for check in spec.checks if check.targets is None)


def targets_of(check: Check, lists: Mapping[str, tuple[Target, ...]]) -> tuple[Target, ...]:
    """Return the targets of a check. A flow without a list is its own target."""
    if check.targets is not None:
        return lists.get(check.targets, ())
    return tuple(target for target in lists.get(UNLISTED, ()) if target.label == check.name)


def provider_jobs(check: Check, targets: Iterable[Target]) -> dict[ProviderKey, Target]:
    """Pair each target with each provider. The provider is empty for a flow that names none."""
    return {
        ProviderKey(check.name, target.label, provider): target
        for target in targets
        for provider in check.providers or ("",)
    }


def edge_jobs(
    check: TlsCheck, through: ProviderKey, edges: Iterable[Edge]
) -> dict[EdgeKey, tuple[Edge, ClientProfile]]:
    """Pair each edge of a target through one provider with each client profile."""
    return {
        EdgeKey(*through, edge.label, profile.name): (edge, profile)
        for edge in edges
        for profile in check.profiles
    }


def flow_jobs(check: ApiCheck, through: ProviderKey) -> dict[FlowKey, Persona | None]:
    """Make a key for each persona of a flow; one without a persona where the flow has none."""
    return {
        FlowKey(*through, persona.name if persona is not None else ""): persona
        for persona in check.personas or (None,)
    }


def persona_of(check: ApiCheck, name: str) -> Persona | None:
    """Find a persona by its name; None where a flow has none."""
    return next((persona for persona in check.personas if persona.name == name), None)


def resolving(check: str) -> str:
    """Name the runner's group for the DNS questions of a check: they have lanes of their own."""
    return check + _RESOLVING


def check_of(group: str) -> str:
    """Name the check that a group of the runner works for."""
    return group.removesuffix(_RESOLVING)
