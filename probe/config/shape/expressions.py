"""Conditions and captures: JMESPath and regular expressions that compile."""

from __future__ import annotations

import re
import warnings
from typing import Annotated, Any

import jmespath
from jmespath.exceptions import IncompleteExpressionError, JMESPathError
from jmespath.functions import Functions
from pydantic import AfterValidator

from probe.config.shape.base import wrong
from probe.documents.problem import unknown
from probe.model.condition import plain
from probe.model.pattern import PatternError, compile_pattern
from probe.net.names import quoted


def check_expression(value: str) -> str:
    """A JMESPath expression that can be read and whose functions exist."""
    return _check_jmespath(value, value)


def _check_condition(value: str) -> str:
    return _check_jmespath(value, plain(value))


def _check_jmespath(written: str, standard: str) -> str:
    try:
        tree: Any = jmespath.compile(standard).parsed
    except IncompleteExpressionError:
        raise wrong(
            f"{quoted(written)} is not a whole JMESPath expression: it ends early"
        ) from None
    except RecursionError:
        raise wrong("this JMESPath expression is nested too deeply") from None
    except JMESPathError as error:
        position = getattr(error, "lex_position", None)
        at = f" at character {position + 1}" if position is not None and written == standard else ""
        raise wrong(
            f"{quoted(written)} is not a JMESPath expression{at}; "
            "write for example data.items | length(@) > 0"
        ) from None
    _check_functions(tree)
    return written


def _check_functions(tree: Any) -> None:
    """Functions must exist and get as many arguments as they take.

    JMESPath finds that out only when it runs, and a condition that cannot run would be
    taken for an answer of the wrong shape: the target would be blamed for it.
    """
    table = Functions.FUNCTION_TABLE
    open_ = [tree]
    while open_:
        node = open_.pop()
        children = [child for child in node.get("children", []) if isinstance(child, dict)]
        open_ += children
        if node.get("type") == "slice" and node["children"][2] == 0:
            raise wrong("the step of a slice cannot be zero; write for example [::2]")
        if node.get("type") != "function_expression":
            continue
        name = node["value"]
        if name not in table:
            raise wrong(unknown("function", name, table))
        signature = table[name]["signature"]
        variadic = bool(signature) and signature[-1].get("variadic", False)
        count = len(children)
        if count < len(signature) or (count > len(signature) and not variadic):
            wanted = f"{len(signature)}{' or more' if variadic else ''}"
            raise wrong(f"the function {name} has {count} arguments here, and takes {wanted}")


ExpressionText = Annotated[str, AfterValidator(check_expression)]
ConditionText = Annotated[str, AfterValidator(_check_condition)]


# ---------------------------------------------------------------- regular expressions


_MOST_PATTERN = 2000


def _compile(value: str) -> re.Pattern[str]:
    pattern = _read(value)
    try:
        compile_pattern(value)
    except PatternError as error:
        # Python reads it, so it is well-formed: it asks for what takes unbounded time.
        raise wrong(
            f"{quoted(value)} is not a regular expression as RE2 reads them ({error}); "
            "write it without look-around and back-references"
        ) from None
    return pattern


def _read(value: str) -> re.Pattern[str]:
    if len(value) > _MOST_PATTERN:
        raise wrong(f"a regular expression has at most {_MOST_PATTERN} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of syntax that a later Python may read otherwise
            return re.compile(value)
    except re.error as error:
        at = "" if error.pos is None else f" at character {error.pos + 1}"
        raise wrong(f"{quoted(value)} is not a regular expression: {error.msg}{at}") from None
    except (OverflowError, RecursionError):
        raise wrong("this regular expression is too large") from None


def _regex(value: str) -> str:
    _compile(value)
    return value


def _capturing_regex(value: str) -> str:
    if _compile(value).groups < 1:
        raise wrong("a capture takes the first group; put the part to keep in ( )")
    return value


Regex = Annotated[str, AfterValidator(_regex)]
CapturingRegex = Annotated[str, AfterValidator(_capturing_regex)]
