"""Relabelling gives what Prometheus's does."""

from __future__ import annotations

import pytest

from probe.blackbox.relabel import CannotRelabel, Rule, relabelled

LABELS = {"__address__": "a.example:443", "kind": "tls", "team": "shop"}
ADDRESS = ("__address__",)


@pytest.mark.parametrize(
    ("rule", "changed"),
    [
        (Rule(source=ADDRESS, target="__param_target"), {"__param_target": "a.example:443"}),
        (Rule(source=("kind", "team"), target="both"), {"both": "tls;shop"}),
        (Rule(source=("kind", "team"), separator="/", target="both"), {"both": "tls/shop"}),
        (Rule(target="x", replacement="fixed"), {"x": "fixed"}),
        (Rule("replace", ADDRESS, ";", r"(.*):(\d+)", "p", "${2}:$1"), {"p": "443:a.example"}),
        (Rule(source=("__address__",), regex="a", target="p"), {}),  # the whole value must match
        (Rule(source=("none",), target="team"), {"team": None}),  # an empty value drops it
        (Rule("uppercase", ("kind",), target="kind"), {"kind": "TLS"}),
        (Rule("labelmap", regex="(te)am", replacement="$1"), {"te": "shop"}),
        (Rule("labeldrop", regex="k.*"), {"kind": None}),
        (Rule("labelkeep", regex="kind|__.*"), {"team": None}),
        (Rule("keep", ("kind",), regex="tls"), {}),
        (Rule("drop", ("kind",), regex="tcp"), {}),
        (Rule(source=("kind",), target="x", replacement="$$1 $9"), {"x": "$1 "}),
    ],
)  # fmt: skip
def test_a_rule_changes_what_it_says(rule: Rule, changed: dict[str, str | None]) -> None:
    wanted = {key: value for key, value in {**LABELS, **changed}.items() if value is not None}
    assert relabelled(LABELS, [rule]) == wanted


@pytest.mark.parametrize(
    "rule",
    [
        Rule("keep", ("kind",), regex="tl"),
        Rule("drop", ("kind",), regex="t.*"),
        Rule("keepequal", ("kind",), target="team"),
        Rule("dropequal", ("kind",), target="kind"),
    ],
)
def test_a_target_is_dropped(rule: Rule) -> None:
    assert relabelled(LABELS, [rule]) is None


@pytest.mark.parametrize("rule", [Rule("hashmod"), Rule(regex="(")])
def test_what_cannot_be_followed_is_said(rule: Rule) -> None:
    with pytest.raises(CannotRelabel):
        relabelled(LABELS, [rule])
