"""Templates fill in names, and nothing else; what they cannot mean is found when they are read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.model.expressions import Placeholder, TemplateProblem, UnknownName, names, parse, render


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("", ()),
        ("plain", ("plain",)),
        ("{a}", (Placeholder("a"),)),
        ("x{a}y{b}z", ("x", Placeholder("a"), "y", Placeholder("b"), "z")),
        ("{labels.tier}", (Placeholder("labels.tier"),)),
        ("{{", ("{",)),
        ("}}", ("}",)),
        ("{{a}}", ("{a}",)),
        ("{{{a}}}", ("{", Placeholder("a"), "}")),
        ("{a}{{b}}", (Placeholder("a"), "{b}")),
        ("ä{_x1}\n", ("ä", Placeholder("_x1"), "\n")),
    ],
)
def test_a_template_is_texts_and_placeholders(
    text: str, pieces: tuple[str | Placeholder, ...]
) -> None:
    assert parse(text).pieces == pieces


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        ("{", 0),
        ("a}", 1),
        ("{}", 0),
        ("x{ a }", 1),
        ("{a.b.c}", 0),
        ("{a:>10}", 0),
        ("{a!r}", 0),
        ("{0}", 0),
        ("{a-b}", 0),
        ('{"json": 1}', 0),
        ("{{{", 2),
        ("{é}", 0),
    ],
)
def test_a_brace_without_meaning_is_a_problem_at_its_place(text: str, offset: int) -> None:
    with pytest.raises(TemplateProblem) as raised:
        parse(text)
    assert raised.value.offset == offset
    assert "for the brace itself" in str(raised.value)


def test_names_come_once_in_the_order_of_their_use() -> None:
    assert names("{b}{a}{b}{labels.x}{{c}}") == ("b", "a", "labels.x")


def test_values_are_not_templates_themselves() -> None:
    assert render("{a}/{b}", {"a": "{b}", "b": "{{"}) == "{b}/{{"


def test_an_unknown_name_says_which() -> None:
    with pytest.raises(UnknownName) as raised:
        render("{known}{labels.tier}", {"known": "x"})
    assert raised.value.name == "labels.tier"
    assert str(raised.value) == "there is no value for {labels.tier}"


@given(st.text())
def test_a_text_with_doubled_braces_renders_as_itself(text: str) -> None:
    assert render(text.replace("{", "{{").replace("}", "}}"), {}) == text


@given(st.text(alphabet="{}ab.", max_size=30))
def test_any_text_renders_or_has_a_problem(text: str) -> None:
    try:
        template = parse(text)
    except TemplateProblem as problem:
        place = problem.offset
    else:
        filled = template.render(dict.fromkeys(template.names, "x"))
        assert len(filled) <= len(text)
        return
    assert text[place] in "{}"
