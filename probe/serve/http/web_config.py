"""The web configuration file: TLS, client certificates and logins of the port.

The format is that of the Prometheus exporter toolkit, as its ``docs/web-configuration.md`` says
it, so that one file serves node_exporter and this agent. Where the toolkit accepts what cannot
work or protects nothing, this reader says so. Every problem has its line and column, and no
message repeats a key or a hash.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from probe.config.units import UnitProblem, parse_duration
from probe.documents.compose import compose
from probe.documents.files import Stamp, Wanted, decode, pem_problem, read_bytes, stamp
from probe.documents.nodes import MappingNode, Node, ScalarNode, SequenceNode, found, key_position
from probe.documents.problem import DocumentError, Problem, unknown
from probe.serve.http.tls import CIPHERS, CLIENT_AUTH, CURVES, VERSIONS, PortTls, TlsProblem

_MOST = 1024 * 1024
_MOST_COST = 15
"""bcrypt's cost doubles with each: 15 takes some two seconds of a core, 20 a minute."""

_STRICT = "RequireAndVerifyClientCert"
_HASH = r"^\$2[abxy]?\$\d\d\$[./A-Za-z0-9]{53}$"
_SECTIONS = ("tls_server_config", "http_server_config", "basic_auth_users", "rate_limit")
_TLS = (
    *("cert", "key", "client_ca", "cert_file", "key_file", "client_ca_file"),
    *("client_auth_type", "client_allowed_sans", "min_version", "max_version"),
    *("cipher_suites", "prefer_server_cipher_suites", "curve_preferences"),
)
_HEADERS: Mapping[str, tuple[str, ...]] = {
    "Content-Security-Policy": (),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-Content-Type-Options": ("nosniff",),
    "X-XSS-Protection": (),
    "Strict-Transport-Security": (),
}


@dataclass(frozen=True, slots=True)
class WebConfig:
    """What a web configuration file says, ready to use.

    Attributes:
        tls: None where the port speaks plain HTTP.
        users: bcrypt hashes by name; nobody logs in where it is empty.
        headers: added to every answer.
        interval: seconds between two requests; 0 limits nothing.
        burst: requests that may come at once.
        stamps: of each file that was read.
    """

    tls: PortTls | None = None
    users: Mapping[str, bytes] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    interval: float = 0.0
    burst: int = 0
    stamps: Mapping[Path, Stamp | None] = field(default_factory=dict)

    def summary(self) -> str:
        """What it asks of clients, in a few words: ``TLS, client certificates, 2 users``."""
        asked = {
            "TLS": self.tls is not None,
            "client certificates": self.tls is not None and self.tls.required,
            f"{len(self.users)} user{'s' if len(self.users) != 1 else ''}": bool(self.users),
        }
        return ", ".join(word for word, so in asked.items() if so) or "no TLS and no login"


def read_web_config(path: Path) -> WebConfig:
    """Read a web configuration file and the certificates that it names. Blocks.

    Raises:
        DocumentError: with every problem.
    """
    return _Reader(path).read()


class _Reader:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._problems: list[Problem] = []
        self._stamps: dict[Path, Stamp | None] = {path: stamp(path)}

    def read(self) -> WebConfig:
        root, problems = compose(
            decode(read_bytes(self._path, _MOST), str(self._path)), str(self._path)
        )
        self._problems += problems
        tls = None
        if root is None or (isinstance(root, ScalarNode) and root.value is None):
            root = MappingNode(root.position) if root is not None else None
        if root is None:
            if problems:
                raise DocumentError(*problems)
            return WebConfig(stamps=self._stamps)
        top = self._mapping(root, _SECTIONS)
        if (section := top.get("tls_server_config")) is not None:
            tls = self._tls(section)
        http = self._mapping(top.get("http_server_config"), ("http2", "headers"))
        self._boolean(http.get("http2"))
        limit = self._mapping(top.get("rate_limit"), ("interval", "burst"))
        interval = self._duration(limit.get("interval"))
        burst = self._number(limit.get("burst"))
        if interval and burst < 1:
            self._problem(top["rate_limit"], "write burst: 1 or more; else no request is answered")
        config = WebConfig(
            tls,
            self._users(top.get("basic_auth_users")),
            self._headers(http.get("headers")),
            interval,
            burst,
            self._stamps,
        )
        if self._problems:
            raise DocumentError(*self._problems)
        return config

    # ------------------------------------------------------------ values

    def _problem(self, node: Node, message: str, key: str | None = None) -> None:
        where = node.position if key is None else key_position(node, key)
        self._problems.append(Problem(str(self._path), where.line, where.column, message))

    def _mapping(
        self, node: Node | None, known: Collection[str] | None, *, strict: bool = False
    ) -> dict[str, Node]:
        """Entries of a section without those that say nothing.

        Args:
            node: the section.
            known: its keys; None takes any.
            strict: a key without a value is a problem. A variable that a template left empty must
                not open the port.
        """
        if node is None or (isinstance(node, ScalarNode) and node.value is None):
            return {}
        if not isinstance(node, MappingNode):
            self._problem(node, f"expected a mapping of key: value, found {found(node)}")
            return {}
        for key, value in node.entries.items():
            if known is not None and key not in known:
                self._problem(node, unknown("key", key, known), key)
            elif strict and isinstance(value, ScalarNode) and value.value is None:
                self._problem(node, f"{key}: has no value; write one, or leave the key out", key)
        return {
            key: value
            for key, value in node.entries.items()
            if not (isinstance(value, ScalarNode) and value.value is None)
        }

    def _text(self, node: Node | None) -> str:
        if node is None:
            return ""
        if not isinstance(node, ScalarNode) or not isinstance(node.value, str):
            self._problem(node, f"expected text, found {found(node)}")
            return ""
        return node.value

    def _texts(self, node: Node | None) -> list[tuple[str, Node]]:
        if node is None:
            return []
        if not isinstance(node, SequenceNode):
            self._problem(node, f"expected a list, found {found(node)}")
            return []
        return [(self._text(item), item) for item in node.items]

    def _boolean(self, node: Node | None, default: bool = True) -> bool:
        if node is None:
            return default
        if isinstance(node, ScalarNode) and isinstance(node.value, bool):
            return node.value
        self._problem(node, f"expected true or false, found {found(node)}")
        return default

    def _number(self, node: Node | None) -> int:
        if node is None:
            return 0
        if isinstance(node, ScalarNode) and type(node.value) is int and node.value >= 0:
            return node.value
        self._problem(node, f"expected a whole number, found {found(node)}")
        return 0

    def _duration(self, node: Node | None) -> float:
        if node is None:
            return 0.0
        try:
            return parse_duration(node.value if isinstance(node, ScalarNode) else None)
        except UnitProblem as problem:
            self._problem(node, str(problem))
            return 0.0

    def _word(self, node: Node | None, words: Mapping[str, object], what: str, default: str) -> str:
        word = self._text(node) or default
        if node is not None and word not in words:
            self._problem(node, unknown(what, word, list(words)))
            return default
        return word

    # ------------------------------------------------------------ sections

    def _users(self, node: Node | None) -> dict[str, bytes]:
        users = {}
        for name, value in self._mapping(node, None, strict=True).items():
            written = self._text(value)
            if not re.match(_HASH, written):
                self._problem(
                    value,
                    "not a bcrypt hash; write what htpasswd -nBC 10 NAME prints after the colon",
                )
            elif not 4 <= int(written.split("$")[2]) <= _MOST_COST:
                self._problem(
                    value,
                    f"its cost must be from 4 to {_MOST_COST}: each login would take too long",
                )
            if ":" in name or not name:
                self._problem(value, "a user's name is not empty and has no colon (RFC 7617)")
            users[name] = written.encode()
        return users

    def _headers(self, node: Node | None) -> dict[str, str]:
        headers = {}
        for name, value in self._mapping(node, _HEADERS).items():
            text, allowed = self._text(value), _HEADERS.get(name, ())
            if text and allowed and text not in allowed:
                self._problem(value, unknown("value", text, allowed))
            elif not (text.isascii() and text.isprintable()):
                self._problem(value, "a header has printable ASCII characters only")
            elif text:
                headers[name] = text
        return headers

    def _pem(self, entries: Mapping[str, Node], key: str, wanted: Wanted) -> bytes:
        """What stands inline or in the file beside it; nothing where neither is written."""
        inline, named = entries.get(key), entries.get(f"{key}_file")
        node = inline or named
        if node is None or not (text := self._text(node)):
            return b""
        if node is named and not text.isprintable():
            self._problem(node, "not a valid path")
            return b""
        if inline is not None and named is not None:
            self._problem(named, f"{key} and {key}_file cannot be used together; write one of them")
        data, name = text.encode(), key
        if inline is None:
            path = self._path.parent / text
            self._stamps[path], name = stamp(path), str(path)
            try:
                data = read_bytes(path, _MOST)
            except DocumentError as error:
                self._problem(node, f"{path}: {error.problems[0].message}")
                return b""
        if problem := pem_problem(data, wanted, name):
            self._problem(node, f"{name}: {problem}")
            return b""
        return data

    def _tls(self, section: Node) -> PortTls | None:
        before = len(self._problems)
        entries = self._mapping(section, _TLS, strict=True)
        if not entries:
            return None
        certificate, key = (
            self._pem(entries, "cert", "certificate"),
            self._pem(entries, "key", "key"),
        )
        authorities = self._pem(entries, "client_ca", "certificate")
        for name, written in (("cert", certificate), ("key", key)):
            if not written and not {name, f"{name}_file"} & entries.keys():
                self._problem(section, f"write {name}_file: with a path; TLS needs it")
        auth = self._word(entries.get("client_auth_type"), CLIENT_AUTH, "value", "NoClientCert")
        names = [text for text, _ in self._texts(entries.get("client_allowed_sans"))]
        self._client_rules(section, entries, auth, names)
        low = self._word(entries.get("min_version"), VERSIONS, "version", "TLS12")
        high = self._word(entries.get("max_version"), VERSIONS, "version", "TLS13")
        if VERSIONS[low] > VERSIONS[high]:
            self._problem(section, f"min_version {low} is above max_version {high}", "min_version")
        ciphers, curves = (
            self._texts(entries.get("cipher_suites")),
            self._texts(entries.get("curve_preferences")),
        )
        for (text, node), words in [
            *((one, CIPHERS) for one in ciphers),
            *((one, CURVES) for one in curves),
        ]:
            if text not in words:
                self._problem(node, unknown("name", text, list(words)))
        prefer = self._boolean(entries.get("prefer_server_cipher_suites"))
        if len(self._problems) > before:
            return None
        try:
            return PortTls.of(
                certificate,
                key,
                authorities,
                auth=auth,
                names=names,
                versions=(low, high),
                ciphers=[text for text, _ in ciphers],
                curves=[text for text, _ in curves],
                prefer=prefer,
            )
        except TlsProblem as problem:
            self._problem(entries.get(problem.key) or section, str(problem))
            return None

    def _client_rules(
        self, section: Node, entries: Mapping[str, Node], auth: str, names: Collection[str]
    ) -> None:
        """What must fit together, so that nobody believes in a check that is not made."""
        _, verified, required = CLIENT_AUTH[auth]
        authorities = {"client_ca", "client_ca_file"} & entries.keys()
        if authorities and auth == "NoClientCert":
            message = f"no client is asked for a certificate; write client_auth_type: {_STRICT}"
            self._problem(section, message, min(authorities))
        if verified and not authorities:
            self._problem(
                section,
                f"{auth} needs client_ca_file: with the authorities of clients",
                "client_auth_type",
            )
        if "client_allowed_sans" in entries and not (names and verified and required):
            message = f"client_allowed_sans needs names, and client_auth_type: {_STRICT}"
            self._problem(section, message, "client_allowed_sans")
