"""Syntax errors have a place and say what to do; keys, aliases and tags hold no surprises."""

from collections.abc import Callable

import pytest
import yaml

from probe.documents import compose as composing
from probe.documents.compose import MOST_DEPTH, compose
from probe.documents.nodes import MappingNode, Node, Position, ScalarNode, SequenceNode, to_data

Problems = Callable[..., list[str]]

INDENT = "wrong indentation; indent all entries of a list or mapping equally"
COLON = (
    "unexpected colon; indent all keys of a mapping equally, and put text with a colon in quotes"
)
TAGS = "tags (words that start with !) are not supported; put the text in quotes"
ALIAS = (
    "unknown alias (*name): no anchor (&name) above defines it; "
    "put it in quotes if it is meant as text"
)
SYNTAX = [
    ("a: 'x'\n  b: 1\n", f"2:3: {INDENT}"),
    ("a:\n  - 1\n - 2\n", f"3:2: {INDENT}"),
    ("- a\nb: 1\n", f"2:1: {INDENT}"),
    ("a: b: c\n", f"1:5: {COLON}"),
    ("key\nb: 1\n", f"2:2: {COLON}"),
    ("a:\n\tb: 1\n", "2:1: tabs cannot indent YAML; use spaces"),
    ("a: @x\n", "1:4: text cannot start with this character; put it in quotes"),
    (
        "a: [1, 2\nb: 3\n",
        "2:2: the list in [ ] is not closed; write , between entries and ] at the end",
    ),
    (
        "a: {x: 1]\n",
        "1:9: the mapping in { } is not closed; write , between entries and } at the end",
    ),
    (
        "a: {x: 1\n",
        "1:4: the mapping in { } is not closed; write , between entries and } at the end",
    ),
    ("a: 'x\n", "1:4: the quoted text is not closed; write the closing quote"),
    ('a: "\\q"\n', "1:6: an unknown \\ escape; write \\\\ for a backslash, or use single quotes"),
    ("- 1\n2\n", "2:1: a key without a colon; write key: value"),
    ("a: !foo!bar x\n", f"1:4: {TAGS}"),
    ("a: !secret x\n", f"1:4: {TAGS}"),
    ("a: !!python/object/apply:os.system [x]\n", f"1:4: {TAGS}"),
    ("a: !!int x\n", f"1:4: {TAGS}"),
    ("a: *hunter2\n", f"1:4: {ALIAS}"),
    ("a: &x [*x]\n", f"1:8: {ALIAS}"),
    ("&x a: 1\n*x : 2\n", "2:1: " + ALIAS),
    ("b: &x a\n*x : 2\n", "2:1: an alias cannot be a key; write the key itself"),
    (
        "{a: 1}: 2\n",
        "1:1: a list or mapping cannot be a key; put text that starts with { or [ in quotes",
    ),
    (
        "a: {{x}}\n",
        "1:5: a list or mapping cannot be a key; put text that starts with { or [ in quotes",
    ),
    ("a: 1\nb: 2\na: 3\n", '3:1: duplicate key "a", first defined on line 1'),
    ("a: &x 1\nb:\n  <<: *x\n", "3:3: <<: needs a mapping; write for example <<: *defaults"),
    (
        "a: 1234567890123456789\n",
        "1:4: this number has too many digits; put it in quotes to make it text",
    ),
    ("a: 1e999\n", "1:4: this number is too large; put it in quotes to make it text"),
]


@pytest.mark.parametrize(("text", "expected"), SYNTAX)
@pytest.mark.parametrize("loader", ["CSafeLoader", "SafeLoader"])
def test_each_error_has_its_place_with_libyaml_and_without(
    monkeypatch: pytest.MonkeyPatch, text: str, expected: str, loader: str
) -> None:
    monkeypatch.setattr(composing, "_FAST", getattr(yaml, loader))
    _, problems = compose(text, "f")
    assert [str(problem) for problem in problems] == [f"f:{expected}"]


def test_a_syntax_error_is_the_only_problem_reported(problems: Problems) -> None:
    assert problems("foo: 1\nfoo: 2\nchecks: [\n") == [
        "probe.yaml:4:1: expected a value; close every open bracket"
    ]


@pytest.mark.parametrize(
    "secret", ["*hunter2", "!hunter2", "!a!hunter2", "&hunter2 [", '"\\hunter2']
)
def test_no_syntax_error_repeats_what_might_be_a_secret(problems: Problems, secret: str) -> None:
    found = problems(f"password: {secret}\n")
    assert found
    assert "hunter2" not in "".join(found)


def test_scalars_read_as_editors_read_them_not_as_yaml_1_1_does() -> None:
    text = "{a: no, b: on, c: 1:30, d: 0777, e: 2024-05-31, f: .nan, g: 1_000, h: 0x1F, i: +1}"
    root, problems = compose(text, "f")
    assert not problems
    assert root is not None
    assert to_data(root) == {
        "a": "no",
        "b": "on",
        "c": "1:30",
        "d": "0777",
        "e": "2024-05-31",
        "f": ".nan",
        "g": "1_000",
        "h": "0x1F",
        "i": "+1",
    }


def test_scalars_of_json_have_their_types() -> None:
    text = "[1, -2, 0, 1.5, 1e3, true, False, null, ~, '', '1', \"true\", !!str 5, !!int 5]"
    root, problems = compose(text, "f")
    assert not problems
    assert root is not None
    found = to_data(root)
    assert found == [1, -2, 0, 1.5, 1000.0, True, False, None, None, "", "1", "true", "5", 5]
    assert [type(value) for value in found[:5]] == [int, int, int, float, float]


def test_keys_are_text_whatever_they_look_like() -> None:
    root, problems = compose("443: a\ntrue: b\n~: c\n2024-01-01: d\n", "f")
    assert not problems
    assert root is not None
    assert to_data(root) == {"443": "a", "true": "b", "~": "c", "2024-01-01": "d"}


def test_aliases_and_merges_give_the_same_as_writing_it_twice() -> None:
    text = "base: &base {a: 1, b: [x]}\nmore: {<<: *base, a: 2}\nboth: {<<: [{c: 3}, *base]}\n"
    root, problems = compose(text, "f")
    assert not problems
    assert root is not None
    assert to_data(root) == {
        "base": {"a": 1, "b": ["x"]},
        "more": {"a": 2, "b": ["x"]},
        "both": {"a": 1, "b": ["x"], "c": 3},
    }


def test_an_anchor_may_be_given_anew() -> None:
    root, problems = compose("a: &x 1\nb: *x\nc: &x 2\nd: *x\n", "f")
    assert not problems
    assert root is not None
    assert to_data(root) == {"a": 1, "b": 1, "c": 2, "d": 2}


def test_every_value_and_key_knows_its_place() -> None:
    root, _ = compose('a: 1\nb:\n  - "x"\n  -\n    c: |\n      text\nd:\n', "f")
    assert isinstance(root, MappingNode)
    second = root.entries["b"]
    assert isinstance(second, SequenceNode)
    inner = second.items[1]
    assert isinstance(inner, MappingNode)
    found = [root.keys["b"], second.items[0].position, inner.keys["c"]]
    assert found == [Position(2, 1), Position(3, 5), Position(5, 5)]
    assert root.entries["d"].position == Position(7, 1), "nothing stands where its key stands"


# ---------------------------------------------------------------- bounds


def nested(depth: int, opening: str, closing: str) -> str:
    return opening * depth + "x" + closing * depth


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ("{a: ", "}"), ("- ", "")])
def test_nesting_is_bounded_before_anything_recurses(opening: str, closing: str) -> None:
    root, problems = compose(nested(MOST_DEPTH, opening, closing), "f")
    assert (root is not None, problems) == (True, [])
    root, problems = compose(nested(20_000, opening, closing), "f")
    assert root is None
    assert [problem.message for problem in problems] == [
        f"nested more than {MOST_DEPTH} levels deep"
    ]


def test_nesting_through_aliases_is_bounded() -> None:
    lines = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, MOST_DEPTH + 5)]
    root, problems = compose("\n".join(lines), "f")
    assert root is None
    assert [problem.message for problem in problems] == [
        f"nested more than {MOST_DEPTH} levels deep"
    ]


def test_a_billion_laughs_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    for n in range(1, 12):
        lines.append(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]")
    root, problems = compose("\n".join(lines), "f")
    assert root is None
    assert [problem.message for problem in problems] == [
        "more than 100000 values, counting aliases"
    ]


def test_values_are_counted_as_often_as_aliases_repeat_them() -> None:
    def size(node: Node) -> int:
        match node:
            case ScalarNode():
                return 1
            case SequenceNode():
                return 1 + sum(map(size, node.items))
            case MappingNode():
                return 1 + sum(map(size, node.entries.values()))

    text = "a: &a [1, 2, 3]\nb: &b [*a, *a]\nc: [*b, *b]\n"
    root, _ = compose(text, "f")
    assert root is not None
    whole = size(root)
    assert compose(text, "f", whole)[0] is not None
    assert compose(text, "f", whole - 1)[0] is None


def test_half_a_character_is_refused_where_the_parser_lets_it_through(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(composing, "_FAST", yaml.SafeLoader)
    _, problems = compose('a: "\\ud83d"', "f")
    assert [str(problem) for problem in problems] == [
        "f:1:4: a lone surrogate (\\ud800 to \\udfff); write the character itself"
    ]
