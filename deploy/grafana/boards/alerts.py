"""The shipped alert rules as Grafana evaluates them itself, for those without Alertmanager.

Prometheus fires an alert for every series that an expression returns, whatever its value; Grafana
wants a number other than zero. So each rule asks the same expression, then whether there is a
number at all, which is 1 for each series.

Texts are Grafana's own: its templates cannot query, which Prometheus' do. They say ``.Labels``
where those of Prometheus say ``$labels``: in a provisioning file a dollar begins the name of an
environment variable, and how it is escaped has changed between releases.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

SOURCE_UID = "probe-prometheus"
_STEP = 10
"""Grafana evaluates at multiples of so many seconds."""
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_ANY = "is_number($query) || is_nan($query) || is_inf($query)"
_WORDS = re.compile(r"(?<=[a-z])(?=[A-Z])")
_LABELS = ("region", "provider", "check", "persona", "target", "edge", "reason", "list", "instance")
_EVALUATE = "__expr__"
_FIRST = 2
_LINKS = ("runbook_url", "dashboard")


def provisioned(files: Mapping[str, Mapping[str, Any]], interval: str) -> dict[str, Any]:
    """A provisioning document.

    Args:
        files: rule files of Prometheus, by name.
        interval: how often groups are evaluated that say nothing themselves.
    """
    groups = [
        _group(group, rules, interval)
        for document in files.values()
        for group in document["groups"]
        if (rules := [rule for rule in group["rules"] if "alert" in rule])
    ]
    return {"apiVersion": 1, "groups": groups}


def _group(
    group: Mapping[str, Any], rules: Iterable[Mapping[str, Any]], interval: str
) -> dict[str, Any]:
    every = seconds(str(group.get("interval", interval)))
    return {
        "orgId": 1,
        "name": group["name"],
        "folder": "Regional probe",
        "interval": f"{-(-every // _STEP) * _STEP}s",
        "rules": [_rule(rule) for rule in rules],
    }


def _rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    name = str(rule["alert"])
    made: dict[str, Any] = {
        "uid": "-".join(_WORDS.split(name)).lower()[:40],
        "title": name,
        "condition": "any",
        "data": [_query(str(rule["expr"])), _any()],
        "for": str(rule.get("for", "0s")),
        "noDataState": "OK",
        "execErrState": "Error",
        "labels": {key: without_dollar(text) for key, text in rule.get("labels", {}).items()},
        "annotations": _annotations(name, rule.get("annotations", {})),
    }
    if "dashboard" in rule.get("annotations", {}):
        uid = urlsplit(rule["annotations"]["dashboard"]).path.rsplit("/", 1)[-1]
        # Grafana takes a dashboard only together with a panel: the first one below the first row.
        # It reads the fields, and shows the annotations.
        made |= {"dashboardUid": uid, "panelId": _FIRST}
        made["annotations"] |= {"__dashboardUid__": uid, "__panelId__": str(_FIRST)}
    if "keep_firing_for" in rule:
        made["keepFiringFor"] = str(rule["keep_firing_for"])
    return made


def _query(expr: str) -> dict[str, Any]:
    return {
        "refId": "query",
        "relativeTimeRange": {"from": 600, "to": 0},
        "datasourceUid": SOURCE_UID,
        "model": {"refId": "query", "expr": expr, "instant": True, "range": False},
    }


def _any() -> dict[str, Any]:
    return {
        "refId": "any",
        "relativeTimeRange": {"from": 0, "to": 0},
        "datasourceUid": _EVALUATE,
        "model": {
            "refId": "any",
            "type": "math",
            "expression": _ANY,
            "datasource": {"type": _EVALUATE, "uid": _EVALUATE},
        },
    }


def _annotations(name: str, given: Mapping[str, str]) -> dict[str, str]:
    """Links as they are, and texts that need no query."""
    what = " ".join(_WORDS.split(name)[1:]).capitalize()
    where = "".join(
        f"{{{{ with .Labels.{name} }}}}, {name} {{{{ . }}}}{{{{ end }}}}" for name in _LABELS
    )
    value = "{{ with .Values.query }}Value: {{ . }}. {{ end }}"
    return {
        "summary": f"{what}{where}",
        "description": f"{value}What it means and what to do stands in the runbook.",
        **{key: without_dollar(given[key]) for key in _LINKS if key in given},
    }


def without_dollar(text: str) -> str:
    """A template of Prometheus' as a provisioning file takes it.

    ValueError: it has a variable that Grafana has under no other name.
    """
    changed = text.replace("$labels.", ".Labels.")
    if "$" in changed:
        raise ValueError(f"{text!r} has a variable that Grafana would take for the environment's")
    return changed


def seconds(duration: str) -> int:
    """A duration of Prometheus, such as ``1m30s``. ValueError: it is none."""
    parts = re.findall(r"(\d+)([smhd])", duration)
    if "".join(number + unit for number, unit in parts) != duration or not parts:
        raise ValueError(f"{duration!r} is no duration")
    return sum(int(number) * _UNITS[unit] for number, unit in parts)
