"""Whatever stands in the file, loading it gives a spec or problems: no other error, and soon."""

import contextlib
import json
import string
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from probe.config.loading import load
from probe.config.shape.file import FileShape
from probe.documents.problem import MOST_PROBLEMS, DocumentError
from probe.documents.targets import load_targets
from probe.model.spec import Spec
from probe.model.target import Target

CONFIG = Path(__file__).parents[2] / "config"
EXAMPLES = [path.read_text(encoding="utf-8") for path in sorted(CONFIG.glob("**/*.yaml"))]

quiet = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("any") / "probe.yaml"


def outcome(path: Path, text: str | bytes) -> Spec | DocumentError:
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    try:
        return load(path, environ={})
    except DocumentError as error:
        for problem in error.problems:
            assert problem.line >= 1
            assert problem.column >= 1
            assert problem.message
            assert problem.message.isprintable(), problem.message
        return error


def names_of_ours() -> list[str]:
    """Every key that the schema knows, and words that mean something as values."""
    schema = FileShape.model_json_schema(by_alias=True)
    keys = {key for one in (schema, *schema["$defs"].values()) for key in one.get("properties", {})}
    values = {"tls", "api", "command", "bearer", "oauth2", "json_login", "tls13", "live", "none"}
    return sorted(keys | values)


words = st.sampled_from(names_of_ours())
leaves = (
    words
    | st.text(max_size=12)
    | st.integers()
    | st.floats()
    | st.booleans()
    | st.none()
    | st.sampled_from(["15s", "https://{x}/", "env:TOKEN", "{", "*.a", "a b", "[::1]:5", "64KiB"])
)
documents: st.SearchStrategy[Any] = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=5),
    max_leaves=25,
)


@quiet
@given(st.binary(max_size=200))
def test_any_bytes(path: Path, data: bytes) -> None:
    outcome(path, data)


@quiet
@given(st.text(alphabet=string.printable + "äß\u2028\x85\ud800\U0001f600", max_size=200))
@example('a: "\\ud800"')
@example('checks: "\\0"')
@example("? a\n: b\n? [c]\n: d")
@example("%YAML 1.1\n---\na: 1")
@example("a: &a\n  <<: *a")
@example("{<<: {<<: [{a: 1}, {a: 2}]}}")
@example("<<: 5")
@example("- &x\n- *x")
def test_any_text(path: Path, text: str) -> None:
    outcome(path, text)


@quiet
@given(documents)
def test_any_document(path: Path, document: Any) -> None:
    outcome(path, json.dumps(document, allow_nan=False, default=str) if _finite(document) else "{}")


def _finite(document: Any) -> bool:
    try:
        json.dumps(document, allow_nan=False)
    except ValueError:
        return False
    return True


@quiet
@given(st.sampled_from(EXAMPLES), st.data())
def test_any_damage_to_an_example(path: Path, text: str, data: st.DataObject) -> None:
    """A character replaced, a piece cut out or doubled: what people do to files by accident."""
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 40)))
    piece = data.draw(
        st.sampled_from(["", " ", "\n", "\t", ":", "'", '"', "{", "}", "[", "]", "- ", "#", "&a ",
                         "*a", "!x ", "\x00", "é", text[start:end] * 2])
    )  # fmt: skip
    outcome(path, text[:start] + piece + text[end:])


@quiet
@given(st.sampled_from(EXAMPLES), st.data())
def test_any_value_in_the_place_of_another(path: Path, text: str, data: st.DataObject) -> None:
    """One value of an example replaced by anything: problems, or a spec, and nothing raises."""
    document = json.loads(json.dumps(yaml.safe_load(text), default=str))
    holders = list(_holders(document))
    holder, key = data.draw(st.sampled_from(holders))
    holder[key] = data.draw(documents)
    if _finite(document):
        outcome(path, json.dumps(document))


def _holders(node: Any) -> Iterator[tuple[Any, Any]]:
    items = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in items:
        yield node, key
        if isinstance(value, dict | list):
            yield from _holders(value)


@quiet
@given(st.text(max_size=100) | documents.filter(_finite).map(json.dumps))
def test_any_target_file(path: Path, text: str) -> None:
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    targets: tuple[Target, ...] = ()
    with contextlib.suppress(DocumentError):
        targets = load_targets(path)
    assert all(target.name for target in targets)


# ---------------------------------------------------------------- much of everything


def many(count: int, make: Callable[[int], str]) -> str:
    return ", ".join(make(index) for index in range(count))


@pytest.mark.parametrize(
    "text",
    [
        "{" + many(40_000, lambda n: f"k{n}: 1") + "}",
        "{" + many(40_000, lambda n: "k: 1") + "}",
        "checks: [" + many(60_000, lambda n: "5") + "]",
        "checks: [" + many(20_000, lambda n: "{kind: tls}") + "]",
        "checks: [{name: a, kind: tls, targets: [" + many(60_000, lambda n: "a b") + "]}]",
        "checks: [{name: a, kind: tls, targets: [a.example], providers: ["
        + many(60_000, lambda n: f"p{n}")
        + "]}]",
        "providers: {p: {addresses: [" + many(50_000, lambda n: "192.0.2.1") + "]}}",
        "providers: {" + many(20_000, lambda n: f"p{n}: {{}}") + "}",
        "checks: [{name: a, kind: api, vars: {"
        + many(20_000, lambda n: f"v{n}: x")
        + "}, steps: [{name: s, post: 'https://x.example/', json: ["
        + many(20_000, lambda n: f"'{{w{n}}}'")
        + "]}]}]",
        "checks: [{name: a, kind: api, steps: ["
        + many(10_000, lambda n: f"{{name: s{n}, get: 'https://x.example/'}}")
        + "]}]",
        "checks: [{name: a, kind: api, steps: [], personas: {"
        + many(10_000, lambda n: f"p{n}: {{vars: {{v{n}: x}}}}")
        + "}}]",
        "a: '" + "x" * 900_000 + "'",
        'a: "' + "\\n" * 400_000 + '"',
        "#" * 900_000,
        "a: |\n" + "  x\n" * 200_000,
    ],
    ids=lambda text: text[:40],
)
def test_much_of_anything_ends_soon_with_a_bounded_answer(path: Path, text: str) -> None:
    """No clock here: work that grows with the square would take minutes, and be noticed."""
    found = outcome(path, text)
    assert isinstance(found, DocumentError)
    assert len(found.problems) <= MOST_PROBLEMS + 1
    assert len(str(found)) < 1_000_000


def test_the_end_of_too_many_problems_says_so(path: Path) -> None:
    found = outcome(path, "checks: [" + many(5000, lambda n: "5") + "]")
    assert str(found).endswith(f"stopped after {MOST_PROBLEMS} problems; fix these and run again")
