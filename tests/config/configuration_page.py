"""The page about the configuration, made from the shapes that read it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from probe.config.schema import json_schema

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/configuration.md"
Schema = Mapping[str, Any]

_HEAD = """\
# Configuration

The configuration is one YAML file. This page has every key, with its type, its default and an
example. It is made from the program: `python -m tests.regenerate` writes it.

```sh
probe validate probe.yaml
```

This finds every problem, with file, line and column, and says what to write instead. The agent
reads the file again on SIGHUP. A file with problems changes nothing: the agent keeps the old one.
Editors complete and explain keys when the first line names the schema:

```yaml
# yaml-language-server: $schema=probe.schema.json
region: local
checks:
  - name: stores
    kind: tls
    targets: [shop.example]
```

## How to read the types

| type | how to write it |
|---|---|
| duration | numbers with units, such as `1m30s`; the units are `ms`, `s`, `m`, `h`, `d` |
| size | a number with a unit, such as `64KiB` or `1MiB` |
| name | letters, digits, `.`, `_` and `-`, at most 63 characters, the first one a letter or digit |
| secret | where a secret is, never the secret: `file:/path`, `env:NAME` or `credential:name` |
| template | text in which `{name}` stands for a value ([flows.md](flows.md#steps)) |
| one or a list | a single value may be written without the brackets |

`–` as a default means that nothing is set. A check takes from `defaults` what it leaves out itself.
Keys at the top that start with `x-` are ignored, so YAML anchors can stand there. Paths are
relative to the file that names them.
"""

_TITLES = {
    "": "The file",
    "Addresses": "Addresses", "ApiCheck": "Checks of kind api and command",
    "Basic": "Auth of kind basic", "Bearer": "Auth of kind bearer", "Blackbox": "Blackbox",
    "Call": "Steps: a call",
    "Capture": "Captures", "Chain": "Expectations of a chain", "CheckTargets": "Targets of a check",
    "ClientCertificate": "Client certificate", "CommandExpect": "Expectations of a program",
    "CommandStep": "Steps: a program", "Confirm": "Confirmation", "Consensus": "Consensus",
    "Cookie": "Auth of kind cookie", "Defaults": "Defaults", "Digest": "Auth of kind digest",
    "Dns": "DNS", "Expect": "Expectations of an answer", "Group": "Groups of targets",
    "Headers": "Auth of kind headers", "HttpSource": "Targets over HTTP",
    "JsonLogin": "Auth of kind json_login", "JwtKey": "Keys of assertions", "Limits": "Limits",
    "OAuth2": "Auth of kind oauth2", "Persona": "Personas", "Profile": "Profiles",
    "Provider": "Providers", "Region": "Region", "Regions": "Pages of other regions",
    "RegionsLogin": "Login of other regions", "Share": "Sharing",
    "SigV4": "Auth of kind sigv4", "TargetList": "Lists of targets",
    "TlsCheck": "Checks of kind tls", "TcpCheck": "Checks of kind tcp",
    "TlsModule": "Modules of kind tls", "TcpModule": "Modules of kind tcp",
    "ApiModule": "Modules of kind api", "Trust": "Trust", "Vantage": "Vantage",
}  # fmt: skip
"""Headings of shapes; one that is new gets its own name."""


_EXAMPLES: dict[str, dict[str, Any]] = yaml.safe_load(
    (Path(__file__).parent / "examples_of_keys.yaml").read_text()
)


def page() -> str:
    """The whole page in Markdown."""
    schema = json_schema()
    shapes: dict[str, Schema] = schema["$defs"]
    order = list(_reached(schema, shapes))
    parts = [_HEAD, *_section("", schema)]
    for name in order:
        parts += _section(name, shapes[name])
    return "\n".join(parts).rstrip() + "\n"


def _title(name: str) -> str:
    return _TITLES.get(name, name)


def _reached(schema: Schema, shapes: Mapping[str, Schema]) -> Iterator[str]:
    """Shapes in the order in which a reader meets them from the top, depth first."""
    seen: set[str] = set()
    pending = _references(schema.get("properties", {}))
    while pending:
        name = pending.pop(0)
        if name not in seen:
            seen.add(name)
            yield name
            pending = _references(shapes[name]) + pending


def _references(node: Any) -> list[str]:
    match node:
        case {"$ref": str(target)}:
            return [target.removeprefix("#/$defs/")]
        case dict():
            return [name for value in node.values() for name in _references(value)]
        case list():
            return [name for value in node for name in _references(value)]
        case _:
            return []


def keys_of(shape: Schema) -> Iterator[tuple[str, Schema]]:
    """The keys of a shape that are for those who write it."""
    for key, described in shape["properties"].items():
        if not described["description"].startswith("Not for "):
            yield key, described


def _section(name: str, shape: Schema) -> Iterator[str]:
    yield f"## {_title(name)}\n\n{_escaped(shape['description'])}\n"
    yield "| key | type | default | meaning | example |"
    yield "|---|---|---|---|---|"
    required = shape.get("required", ())
    for key, described in keys_of(shape):
        default = default_of(described)
        meaning = str(described["description"])
        if default is not None:
            meaning = meaning.replace(f" ({default})", "")
        cells = (
            f"`{key}`",
            type_of(described),
            "required" if key in required else f"`{default}`" if default else "–",
            _escaped(meaning),
            f"`{key}: {_written(example_of(name, key, described))}`",
        )
        yield "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"
    yield ""


def _escaped(text: str) -> str:
    """Prose without marks that Markdown takes for its own."""
    return re.sub(r"\{\w*\}|\S*\*\S*|--[a-z.-]+\w", r"`\g<0>`", text)


_DEFAULT = re.compile(r" \((\[[^\]]*\]|[\w.:%-]+)\)(?=[.;:] |[.;]?$)")
_NO_DEFAULTS = {"200", "2xx", "mTLS", "PEM", "SubjectPublicKeyInfo"}
"""What else stands in brackets at the end of a sentence."""


def default_of(described: Schema) -> str | None:
    """The default of a key: of its own, or as its description says it in brackets."""
    if "default" in described:
        return _written(described["default"])
    said = [one for one in _DEFAULT.findall(described["description"]) if one not in _NO_DEFAULTS]
    return said[0] if said else None


def example_of(shape: str, key: str, described: Schema) -> Any:
    """What may stand behind a key: an example, another value of a closed list, or the default."""
    if "examples" in described:
        return described["examples"][0]
    like = shape.replace("Module", "Check") or "File"  # a module is a check without targets
    for kept in (_EXAMPLES.get(like, {}), _EXAMPLES["Any"]):
        if key in kept:
            return kept[key]
    if "const" in described:
        return described["const"]
    if "enum" in described:
        default = default_of(described)
        return next(one for one in described["enum"] if _written(one) != default)
    if described.get("type") == "boolean":
        return described.get("default", default_of(described) == "true") is False
    default = None if "$ref" in described else default_of(described)
    return None if default is None else yaml.safe_load(default)


_WRITTEN = {"ms)": "duration", "KiB": "size", "credential": "secret", "[d%]": "text", "A-Z": "name"}
"""What in a pattern tells a type, and the type's word."""


def _by_pattern(pattern: str) -> str:
    return next((word for part, word in _WRITTEN.items() if part in pattern), "text")


def type_of(node: Schema) -> str:
    """The type of a value in words, with links to the mappings it may be."""
    match node:
        case {"$ref": str(target)}:
            title = _title(target.removeprefix("#/$defs/"))
            return f"[{title}](#{title.lower().replace(': ', '-').replace(' ', '-')})"
        case {"enum": list(words)}:
            return ", ".join(f"`{word}`" for word in words)
        case {"const": value}:
            return f"`{_written(value)}`"
        case {"anyOf": list(options)} | {"oneOf": list(options)}:
            return _options(options)
        case {"pattern": str(pattern)}:
            return _by_pattern(pattern)
        case {"type": "array", "items": dict(items)}:
            return f"list of {type_of(items)}"
        case {"type": "object"}:
            return _mapping(node)
        case {"type": list(types)}:
            return " or ".join("text" if one == "string" else str(one) for one in types)
        case {"type": "string"}:
            return "template" if "template" in str(node.get("description")) else "text"
        case {"type": "boolean"}:
            return "`true` or `false`"
        case {"type": str(word)} if "minimum" in node and "maximum" in node:
            return f"{word} from {node['minimum']} to {node['maximum']}"
        case _:
            return "any value"


def _mapping(node: Schema) -> str:
    values = node.get("patternProperties") or {"": node.get("additionalProperties")}
    inner = next(iter(values.values()))
    return f"names to {type_of(inner)}" if isinstance(inner, dict) else "mapping"


def _options(options: list[Schema]) -> str:
    words: list[str] = []
    for option in options:
        word = type_of(option)
        if word == f"list of {' or '.join(words)}":
            words = [f"one or a list of {' or '.join(words)}"]
        elif option != {"const": 0} and word not in words:
            words.append(word)
    return " or ".join(words)


def _written(value: object) -> str:
    """A value as YAML on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, width=1000, allow_unicode=True)
    return text.removesuffix("...\n").strip()
