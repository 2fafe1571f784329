"""Words of HTTP and of conditions on answers: headers, statuses, JMESPath, regular expressions."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from typing import Annotated, Any

import jmespath
from jmespath.exceptions import IncompleteExpressionError, JMESPathError
from jmespath.functions import Functions
from pydantic import (
    AfterValidator,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainValidator,
    WithJsonSchema,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from probe.config.problem import unknown
from probe.config.shape.base import Text, text, wrong
from probe.model.condition import plain
from probe.model.names import quoted

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")  # RFC 9110 section 5.6.2
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_MOST_PATTERN = 2000


def _header_name(value: str) -> str:
    if not _TOKEN.match(value):
        raise wrong(f"{quoted(value)} cannot be a header's name; write one such as X-Request-Id")
    return value


def _header_value(value: str) -> str:
    if _CONTROL.search(value):
        raise wrong("a header's value stays on one line; write it without line ends")
    return value


HeaderName = Annotated[str, text(_header_name)]
HeaderValue = Annotated[Text, AfterValidator(_header_value)]


def _status(value: object) -> str:
    written = str(value).lower() if isinstance(value, (int, str)) else ""
    if not re.fullmatch(r"[1-5](?:xx|[0-9]{2})", written) or isinstance(value, bool):
        raise wrong("this is no HTTP status; write a code such as 200, or a class such as 2xx")
    return written


Status = Annotated[
    str,
    PlainValidator(_status),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 100, "maximum": 599},
                {"type": "string", "pattern": "^[1-5]([xX][xX]|[0-9]{2})$"},
            ]
        }
    ),
]


# ---------------------------------------------------------------- JMESPath


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
        if node.get("type") != "function_expression":
            continue
        name = node["value"]
        if name not in table:
            raise wrong(unknown("function", name, table))
        signature = table[name]["signature"]
        variadic = bool(signature) and signature[-1].get("variadic", False)
        count = len(children)
        if count < len(signature) or (count > len(signature) and not variadic):
            wanted = f"{len(signature)} or more" if variadic else str(len(signature))
            raise wrong(f"the function {name} takes {wanted} arguments, and here has {count}")


Expression = Annotated[str, AfterValidator(check_expression)]
Condition = Annotated[str, AfterValidator(_check_condition)]


# ---------------------------------------------------------------- regular expressions


def _compile(value: str) -> re.Pattern[str]:
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


@dataclass(frozen=True)
class Present:
    """A mapping of headers of which only the names may be written, alone or in a list."""

    def __get_pydantic_core_schema__(
        self, source: type[Any], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        def named(value: object) -> object:
            listed = [value] if isinstance(value, str) else value
            if isinstance(listed, list) and all(isinstance(name, str) for name in listed):
                return dict.fromkeys(listed)
            return value

        return core_schema.no_info_before_validator_function(named, handler(source))

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        name = {"type": "string"}
        return {"anyOf": [name, {"type": "array", "items": name}, handler(core)]}


HeaderExpectations = Annotated[dict[HeaderName, Regex | None], Present()]
