"""What a defect leaves behind: types and places, bounded, and nothing that was said."""

from __future__ import annotations

import json

from probe.model.failure import Phase, Reason, defect, trace

SECRET = "s3cr3t-\x1b[31m\r\n"


def raised(error: Exception) -> Exception:
    try:
        raise error
    except Exception as caught:
        return caught


def deep(levels: int) -> None:
    if levels:
        deep(levels - 1)
    else:
        raise KeyError(SECRET)


def test_it_names_type_file_and_line_and_is_inconclusive() -> None:
    failure = defect(raised(IndexError(SECRET)), Phase.TLS)
    assert (failure.phase, failure.reason, failure.ours) == (Phase.TLS, Reason.DEFECT, True)
    assert failure.detail.startswith("IndexError at ")
    assert "model/test_defect.py:" in failure.detail
    assert failure.detail.endswith(" raised")


def test_what_was_said_is_not_kept_nor_any_control_byte() -> None:
    text = trace(ExceptionGroup(SECRET, [raised(ValueError(SECRET)), raised(OSError(5, SECRET))]))
    assert "s3cr3t" not in text
    assert text.isprintable()


def test_a_group_is_named_by_what_it_holds() -> None:
    inner = ExceptionGroup("", [raised(KeyError("a")), raised(TypeError("b"))])
    text = trace(raised(ExceptionGroup("", [inner, raised(ValueError("c"))])))
    assert [one.partition(" at ")[0] for one in text.split("; ")] == [
        "KeyError",
        "TypeError",
        "ValueError",
    ]


def test_what_came_before_is_named_too() -> None:
    try:
        try:
            json.loads("{")
        except ValueError as error:
            raise RuntimeError(SECRET) from error
    except RuntimeError as error:
        text = trace(error)
    assert "RuntimeError at " in text
    assert ", after JSONDecodeError at " in text


def test_it_is_bounded() -> None:
    def caught() -> Exception:
        try:
            deep(500)
        except KeyError as error:
            return error
        raise AssertionError

    text = trace(ExceptionGroup("", [caught() for _ in range(50)]))
    assert len(text) < 3000
    assert text.endswith("; and more")
    assert text.startswith("KeyError at ")
