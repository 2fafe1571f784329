"""Narrowing a configuration to what one command line asks for. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from probe.model.flow import ApiCheck
from probe.model.spec import LIVE, Provider, Spec, TargetList, TlsCheck
from probe.model.target import Target
from probe.net.names import NameProblem, parse_target


class SelectionError(Exception):
    """A name on the command line that the configuration does not have; says which it has."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What to probe; empty means everything.

    Attributes:
        checks: names of checks.
        targets: names of targets and of flows without targets, as `normal` writes them.
        providers: names of providers. One that a check does not list is used all the same:
            that is how a batch is tried on a CDN before any check names it.
        batch: targets that replace every target list; None keeps the lists.
        fingerprints: SHA-256 of the only leaf certificates that are right; hex.
        not_before: leaf certificates older than this are wrong; seconds since the epoch.
    """

    checks: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    batch: tuple[Target, ...] | None = None
    fingerprints: tuple[str, ...] = ()
    not_before: float | None = None


def normal(name: str) -> str:
    """Write the name of a target or flow for comparing: ``Shop.Example.`` is shop.example."""
    try:
        return parse_target(name).label
    except NameProblem:
        return name.lower()


def narrow(spec: Spec, selection: Selection) -> Spec:
    """Return the configuration with only what was selected.

    Raises:
        SelectionError: for an unknown check or provider, or a selection that leaves nothing.
    """
    _known("check", selection.checks, [check.name for check in spec.checks])
    if LIVE in selection.providers:  # checks may name it undeclared too
        spec = replace(spec, providers={LIVE: Provider(LIVE), **spec.providers})
    _known("provider", selection.providers, {LIVE, *spec.providers})
    checks = tuple(
        _narrow_check(check, selection)
        for check in spec.checks
        if not selection.checks or check.name in selection.checks
    )
    if selection.batch is not None:
        checks = tuple(check for check in checks if check.targets is not None)
        lists = {name: TargetList(name, static=selection.batch) for name in spec.targets}
        spec = replace(spec, targets=lists)
    if selection.targets:  # a flow without a list has its own name for a target
        checks = tuple(
            check
            for check in checks
            if check.targets is not None or normal(check.name) in selection.targets
        )
    if not checks:
        raise SelectionError(
            "no check is left: a batch or choice of targets needs a check over targets"
        )
    return replace(spec, checks=checks)


def wanted(targets: Iterable[Target], selection: Selection) -> tuple[Target, ...]:
    """Return the targets that were selected by name."""
    names = frozenset(selection.targets)
    return tuple(t for t in targets if not names or t.name in names or t.label in names)


def _narrow_check(check: TlsCheck | ApiCheck, selection: Selection) -> TlsCheck | ApiCheck:
    if isinstance(check, ApiCheck):
        if check.targets is None:
            return check
        return replace(check, providers=selection.providers or check.providers)
    expect = check.expect
    if selection.fingerprints:
        expect = replace(expect, fingerprints=selection.fingerprints)
    if selection.not_before is not None:
        expect = replace(expect, not_before=selection.not_before)
    return replace(check, providers=selection.providers or check.providers, expect=expect)


def _known(kind: str, names: Sequence[str], known: Iterable[str]) -> None:
    have = list(known)
    for name in names:
        if name not in have:
            near = difflib.get_close_matches(name, have, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(sorted(have))}"
            raise SelectionError(f"no {kind} is called {name!r}; {hint}")
