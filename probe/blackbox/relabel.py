"""Relabelling as Prometheus does it, for targets that are known beforehand. Pure.

Only so the target, module and labels of a probe are what they are there, whichever way the rules
lead: straight from the address, by a label of a list, or by a regular expression.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from probe.model.expressions import PatternError, compile_pattern

_GROUP = re.compile(r"\$(?:\{([A-Za-z0-9_]+)\}|([A-Za-z0-9_]+)|(\$))")


class CannotRelabel(Exception):
    """A rule that cannot be followed; the message says why."""


@dataclass(frozen=True, slots=True)
class RelabelRule:
    """One entry of ``relabel_configs``, with Prometheus's defaults."""

    action: str = "replace"
    source: tuple[str, ...] = ()
    separator: str = ";"
    regex: str = "(.*)"
    target: str = ""
    replacement: str = "$1"


def relabelled(labels: Mapping[str, str], rules: Iterable[RelabelRule]) -> dict[str, str] | None:
    """Follow the rules; None when they drop the target. Raises CannotRelabel."""
    now = dict(labels)
    for rule in rules:
        value = rule.separator.join(now.get(name, "") for name in rule.source)
        match rule.action:
            case "replace":
                _replace(rule, value, now)
            case "lowercase" | "uppercase":
                now[rule.target] = value.lower() if rule.action == "lowercase" else value.upper()
            case "keep" | "drop" | "keepequal" | "dropequal":
                if not _kept(rule, value, now):
                    return None
            case "labelmap" | "labeldrop" | "labelkeep":
                _renamed(rule, now)
            case other:
                raise CannotRelabel(f"action: {other} is not followed")
    return now


def _kept(rule: RelabelRule, value: str, labels: Mapping[str, str]) -> bool:
    if rule.action.endswith("equal"):
        same = value == labels.get(rule.target, "")
        return same == (rule.action == "keepequal")
    return (_match(rule, value) is not None) == (rule.action == "keep")


def _renamed(rule: RelabelRule, labels: dict[str, str]) -> None:
    for name, old in list(labels.items()):
        found = _match(rule, name)
        if rule.action == "labelmap":
            if found is not None:
                labels[_filled(rule.replacement, found)] = old
        elif (found is None) == (rule.action == "labelkeep"):
            del labels[name]


def _replace(rule: RelabelRule, value: str, labels: dict[str, str]) -> None:
    found = _match(rule, value)
    if found is None:
        return
    name, text = _filled(rule.target, found), _filled(rule.replacement, found)
    if text:
        labels[name] = text
    else:
        labels.pop(name, None)


def _match(rule: RelabelRule, value: str) -> Sequence[str] | None:
    """Match the whole of a value; the groups of the match, the whole of it first."""
    try:
        found = compile_pattern(f"^(?s:{rule.regex})$").match(value)
    except PatternError as error:
        raise CannotRelabel(f"regex: {error}") from None
    return None if found is None else (found.group(0), *(one or "" for one in found.groups()))


def _filled(template: str, groups: Sequence[str]) -> str:
    def group(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        if found[3]:
            return "$"
        return groups[int(name)] if name.isdigit() and int(name) < len(groups) else ""

    return _GROUP.sub(group, template)
