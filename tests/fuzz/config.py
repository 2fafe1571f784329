"""Configuration files, through ``load`` as the agent's child calls it, and ``validate``."""

from __future__ import annotations

import contextlib
import pickle
import tempfile
from collections.abc import Callable
from pathlib import Path

from probe.config.loading import load, validate
from probe.config.shape.file import FileShape
from probe.documents.problem import DocumentError
from probe.model.spec import Spec
from probe.net.child import pickled
from tests.fuzz.target import Finding, Target

_EXAMPLES = Path(__file__).parents[2] / "config"
_FOLDER = Path(tempfile.mkdtemp(prefix="fuzz-config-"))
_FILE = _FOLDER / "probe.yaml"
(_FOLDER / "targets").mkdir()
(_FOLDER / "targets" / "stores.yaml").write_text("- targets: [shop.example]\n")


def run(data: bytes) -> None:
    """Load leniently as an agent does, hand the spec on as its child does, and validate."""
    _FILE.write_bytes(data)
    spec = _read(lambda: load(_FILE, region="r", environ={}))
    if spec is not None and pickle.loads(pickled(spec)) != spec:  # noqa: S301 - what the line before pickled
        raise Finding("the spec is another one for the agent than for its child")
    strict = _read(lambda: validate(_FILE, environ={})[0])
    if strict is not None and spec is None:
        raise Finding("validate accepts what an agent refuses")


def _read(reader: Callable[[], Spec]) -> Spec | None:
    with contextlib.suppress(DocumentError):
        try:
            return reader()
        except DocumentError as error:
            for problem in error.problems:
                told = problem.message.isprintable() and problem.message
                if not told or problem.line < 1 or problem.column < 1:
                    raise Finding(f"a problem that nobody can find: {problem!r}") from error
            raise
    return None


def seeds() -> list[bytes]:
    """The examples, whole, and each entry of a list in them on its own."""
    texts = [path.read_bytes() for path in sorted(_EXAMPLES.glob("*.yaml"))]
    texts += [path.read_bytes() for path in sorted(_EXAMPLES.glob("examples/*.yaml"))]
    small = b"checks: [{name: a, kind: tls, targets: [a.example], providers: {b: {}}}]\n"
    return [*texts, small]


def words() -> list[bytes]:
    """Every key of the schema, and what means something in YAML or as a value."""
    schema = FileShape.model_json_schema(by_alias=True)
    keys = {key for one in (schema, *schema["$defs"].values()) for key in one.get("properties", {})}
    values = "tls api command bearer oauth2 json_login live none env:A file:a 15s 64KiB {a} [::1]:5"
    syntax = ["- ", ": ", "&a ", "*a", "<<: ", "!!str ", "{", "}", "[", "]", "|\n", "\n  ", "xn--a"]
    return [word.encode() for word in (*sorted(keys), *values.split(), *syntax)]


TARGET = Target(run, seeds, words, longest=8192)
