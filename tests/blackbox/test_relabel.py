"""Relabelling gives what Prometheus's does."""

from __future__ import annotations

import pytest

from probe.blackbox.relabel import CannotRelabel, RelabelRule, relabelled

LABELS = {"__address__": "a.example:443", "kind": "tls", "team": "shop"}
ADDRESS = ("__address__",)


@pytest.mark.parametrize(
    ("rule", "changed"),
    [
        (RelabelRule(source=ADDRESS, target="__param_target"), {"__param_target": "a.example:443"}),
        (RelabelRule(source=("kind", "team"), target="both"), {"both": "tls;shop"}),
        (RelabelRule(source=("kind", "team"), separator="/", target="both"), {"both": "tls/shop"}),
        (RelabelRule(target="x", replacement="fixed"), {"x": "fixed"}),
        (
            RelabelRule("replace", ADDRESS, ";", r"(.*):(\d+)", "p", "${2}:$1"),
            {"p": "443:a.example"},
        ),
        (RelabelRule(source=("__address__",), regex="a", target="p"), {}),
        (RelabelRule(source=("none",), target="team"), {"team": None}),  # an empty value drops it
        (RelabelRule("uppercase", ("kind",), target="kind"), {"kind": "TLS"}),
        (RelabelRule("labelmap", regex="(te)am", replacement="$1"), {"te": "shop"}),
        (RelabelRule("labeldrop", regex="k.*"), {"kind": None}),
        (RelabelRule("labelkeep", regex="kind|__.*"), {"team": None}),
        (RelabelRule("keep", ("kind",), regex="tls"), {}),
        (RelabelRule("drop", ("kind",), regex="tcp"), {}),
        (RelabelRule(source=("kind",), target="x", replacement="$$1 $9"), {"x": "$1 "}),
    ],
)  # fmt: skip
def test_a_rule_changes_what_it_says(rule: RelabelRule, changed: dict[str, str | None]) -> None:
    wanted = {key: value for key, value in {**LABELS, **changed}.items() if value is not None}
    assert relabelled(LABELS, [rule]) == wanted


@pytest.mark.parametrize(
    "rule",
    [
        RelabelRule("keep", ("kind",), regex="tl"),
        RelabelRule("drop", ("kind",), regex="t.*"),
        RelabelRule("keepequal", ("kind",), target="team"),
        RelabelRule("dropequal", ("kind",), target="kind"),
    ],
)
def test_a_target_is_dropped(rule: RelabelRule) -> None:
    assert relabelled(LABELS, [rule]) is None


@pytest.mark.parametrize("rule", [RelabelRule("hashmod"), RelabelRule(regex="(")])
def test_what_cannot_be_followed_is_said(rule: RelabelRule) -> None:
    with pytest.raises(CannotRelabel):
        relabelled(LABELS, [rule])
