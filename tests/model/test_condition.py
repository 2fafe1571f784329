"""Conditions as people write them: what they are in JMESPath, and when they hold."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.model.expressions import (
    ExpressionError,
    compile_condition,
    compile_expression,
    holds,
    plain,
    select,
)

DOCUMENT = {
    "data": {"items": [1, 2]}, "n": 3, "zero": 0, "yes": True, "no": False, "s": "active",
    "empty": "", "none": [], "quoted": 'a"b', "nothing": None, "tick": "a`b",
}  # fmt: skip

HOLD = [
    "data.items | length(@) > 0",
    "length(data.items) == 2",
    "yes == true",
    "no == false",
    "nothing == null",
    "missing == null",
    's == "active"',
    's != "other"',
    "s == 'active'",
    "n >= 3 && n < 4.5",
    "-1 < n",
    "zero == 0",
    "zero",
    "yes",
    "!no",
    "data.items[0] == 1",
    "data.items[?@ > 1] | [0] == 2",
    "contains(s, 'act')",
    "n == `3`",
    'quoted == "a\\"b"',
    'tick == "a`b"',
    "@.s == s",
]
FAIL = [
    "length(data.items) > 2",
    "no",
    "empty",
    "none",
    "nothing",
    "missing",
    "missing > 0",
    "length(n) > 0",
    "s > 0",
    "yes == 'true'",
]


@pytest.mark.parametrize("text", HOLD)
def test_holds(text: str) -> None:
    assert holds(compile_condition(text), DOCUMENT)


@pytest.mark.parametrize("text", FAIL)
def test_does_not_hold(text: str) -> None:
    assert not holds(compile_condition(text), DOCUMENT)


@pytest.mark.parametrize("text", ["", "a ==", "length(", "a b", "data.items[", "> 0", "'"])
def test_what_is_no_condition_is_refused(text: str) -> None:
    with pytest.raises(ExpressionError):
        compile_condition(text)


def test_standard_expressions_are_left_alone() -> None:
    for text in (
        "a.b[0].c",
        "a[1:2]",
        "{x: a, y: 'q'}",
        "a || `1`",
        '"odd name".x',
        "sort_by(@, &n)",
    ):
        assert plain(text) == text
        compile_expression(text)


def test_a_wrong_type_selects_nothing() -> None:
    assert select(compile_expression("sum(s)"), DOCUMENT) is None


@given(st.one_of(st.integers(-(10**6), 10**6), st.booleans(), st.none()))
def test_a_plain_literal_means_itself(value: Any) -> None:
    written = {True: "true", False: "false", None: "null"}.get(value) if (
        value is None or isinstance(value, bool)
    ) else str(value)  # fmt: skip
    assert holds(compile_condition(f"x == {written}"), {"x": value})
    assert not holds(compile_condition(f"x != {written}"), {"x": value})


@given(st.text(st.characters(codec="ascii", exclude_characters='"\\'), max_size=12))
def test_a_quoted_text_beside_a_comparison_means_itself(text: str) -> None:
    if text.isprintable():
        assert holds(compile_condition(f'x == "{text}"'), {"x": text})


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=12,
)


@given(JSON, st.sampled_from(
    ["a > 0", "@ > `1`", "sum(@)", "ceil(@)", "floor(a)", "sort(@)", "max(@)", "length(@) > 0",
     "sort_by(@, &a)", "@[?@ > 1]", "*.a", "to_number(@)", "join(',', @)", "avg(@)", "keys(@)",
     "max_by(@, &a)", "abs(@)", "merge(@, @)", "starts_with(@, 'a')", "@ == a", "map(&a, @)"]
))  # fmt: skip
def test_no_document_makes_a_condition_raise(document: Any, text: str) -> None:
    holds(compile_condition(text), {"a": document} if document is None else document)
