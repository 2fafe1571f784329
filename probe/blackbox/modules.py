"""Modules of blackbox_exporter, read as the checks and modules that they become here."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from probe.blackbox.section import Losses, Section
from probe.documents.nodes import Node
from probe.model.auth import carries_credential

Kind = Literal["api", "tls", "tcp"]

_HTTP: Mapping[str, str] = {
    "body_file": "write its content under body:",
    "valid_http_versions": "http2: chooses what is offered, and any answer is taken",
    "fail_if_ssl": "a check cannot demand that there is no TLS",
    "fail_if_header_matches": "a header can be demanded here, and not refused",
    "skip_resolve_phase_with_proxy": "no proxy is used: a probe measures the way to each edge",
    "proxy_url": "no proxy is used: a probe measures the way to each edge",
    "proxy_from_environment": "no proxy is used: a probe measures the way to each edge",
    "no_proxy": "no proxy is used: a probe measures the way to each edge",
    "proxy_connect_header": "no proxy is used: a probe measures the way to each edge",
    "compression": "gzip, deflate and Brotli are always offered and decoded",
    "enable_http3": "HTTP/3 is not spoken",
    "source_ip_address": "the source address is the system's choice",
    "fail_if_body_json_matches_cel": "write a JMESPath condition under expect: json:",
    "fail_if_body_json_not_matches_cel": "write a JMESPath condition under expect: json:",
    "use_resolved_target": "every address is probed with the name that the URL has",
}
_TLS: Mapping[str, str] = {
    "insecure_skip_verify": "chains are always judged; a bad one fails with its own reason",
    "max_version": "choose a client profile, such as tls12-ecdsa",
    "ca": "write the PEM text into a file, and name it as ca_file",
    "cert": "write the PEM text into a file, and name it as cert_file",
    "key": "write the PEM text into a file, and name it as key_file",
}
_PROBERS: Mapping[str, str] = {
    "icmp": "nothing here pings",
    "dns": "DNS is asked for addresses; records are no check of their own",
    "grpc": "gRPC is not spoken",
    "unix": "sockets of this host are not probed",
    "websocket": "WebSocket is not spoken",
}
_STARTTLS = (
    ("pop3", re.compile(r"^STLS\s*$", re.IGNORECASE | re.MULTILINE)),
    ("imap", re.compile(r"^[^\s<]+ STARTTLS\s*$", re.IGNORECASE | re.MULTILINE)),
    ("smtp", re.compile(r"^(?:EHLO|HELO)\b", re.IGNORECASE | re.MULTILINE)),
)
"""What a client says in each protocol before TLS, and in none of the others."""
_SMTP_SERVER = re.compile(r"\b(?:220|250|E?SMTP)\b")
_REDIRECTS = 10
_DURATION = re.compile(r"(?:[0-9.]+(?:ms|[smhd]))+")


@dataclass(slots=True)
class ForeignModule:
    """A module as it becomes here.

    Attributes:
        settings: keys of the check.
        call: keys of its one step, but for method and URL.
        auth: its entry under ``auth``; None without credentials.
        prefer: ``ip4`` or ``ip6`` where the module says so.
        only_tls: the answer must come over TLS.
    """

    name: str
    kind: Kind
    settings: dict[str, Any] = field(default_factory=dict)
    call: dict[str, Any] = field(default_factory=dict)
    method: str = "get"
    auth: dict[str, Any] | None = None
    prefer: str | None = None
    fallback: bool = True
    only_tls: bool = False

    @property
    def secret(self) -> bool:
        """Whether it sends credentials, so that it needs ``hosts``."""
        return self.auth is not None or "client_certificate" in self.settings


KeepSecret = Callable[[str, str], str]
"""Keeps a secret (name, value) in a file of its own; gives the reference to it."""


@dataclass(slots=True)
class ModuleReader:
    """Reads the modules of one file.

    Attributes:
        file: its path.
        keep: keeps what stands in it in the clear.
    """

    file: Path
    losses: Losses
    keep: KeepSecret

    def read(self, root: Node | None) -> dict[str, ForeignModule]:
        """Every module that has a counterpart, by name."""
        whole = Section(root, str(self.file), self.losses)
        modules = whole.section("modules")
        found: dict[str, ForeignModule] = {}
        for name, ours in _fitted(modules.node.entries).items():
            module = self._module(ours, modules.section(name))
            if module is not None:
                found[name] = module
                if ours != name:
                    modules.lose(name, f"its name is {ours} here; ask with module={ours}")
        whole.rest({})
        return found

    def _module(self, name: str, section: Section) -> ForeignModule | None:
        prober = section.take("prober")
        timeout = section.take("timeout")
        match prober:
            case "http":
                module = self._http(name, section.section("http"))
            case "tcp":
                module = self._tcp(name, section.section("tcp"))
            case _:
                why = _PROBERS.get(str(prober), "this prober is not known")
                section.losses.add(section.file, section.position, section.name, why)
                return None
        if timeout is not None and _DURATION.fullmatch(str(timeout)):
            module.settings["timeout"] = str(timeout)
        elif timeout is not None:
            section.lose("timeout", "it is not a duration; the scrape's own time-out counts")
        for other in ("http", "tcp", "icmp", "dns", "grpc", "unix", "websocket"):
            section.take(other)  # of other probers: without effect there too
        section.rest({})
        return module

    # ------------------------------------------------------------ http

    def _http(self, name: str, http: Section) -> ForeignModule:
        module = ForeignModule(name, "api")
        module.method = str(http.take("method") or "GET")
        self._addresses(module, http)
        self._tls_settings(module, http.section("tls_config"))
        self._credentials(module, http)
        self._headers(module, http)
        if (body := http.take("body")) is not None:
            module.call["body"] = _literal(str(body))
        followed = http.take("follow_redirects")
        unfollowed = http.take("no_follow_redirects")
        module.only_tls = http.take("fail_if_not_ssl") is True
        if module.only_tls:
            http.lose("fail_if_not_ssl", "/probe does not demand TLS; ask with https://")
        if followed is not False and unfollowed is not True:
            module.call["follow_redirects"] = _REDIRECTS
            if not module.secret and not module.only_tls:
                module.call["redirect_to_http"] = True
        if (limit := http.take("body_size_limit")) is not None:
            module.settings["max_body"] = re.sub(r"(?i)([kmg])b$", r"\1iB", str(limit))
        if http.take("enable_http2") is False:
            module.settings["http2"] = False
        if http.node.entries.get("compression") is not None:
            http.take("compression")  # always offered and decoded here
        expect = self._expected(http)
        if expect:
            module.call["expect"] = expect
        http.rest(_HTTP)
        return module

    def _expected(self, http: Section) -> dict[str, Any]:
        expect: dict[str, Any] = {}
        codes = http.take("valid_status_codes")
        if codes:
            expect["status"] = codes
        for theirs, ours in (
            ("fail_if_body_not_matches_regexp", "matches"),
            ("fail_if_body_matches_regexp", "not_matches"),
            ("fail_if_matches_regexp", "not_matches"),
            ("fail_if_not_matches_regexp", "matches"),
        ):
            if patterns := http.texts(theirs):
                expect[ours] = [*expect.get(ours, []), *patterns]
        headers: dict[str, str] = {}
        for one in http.sections("fail_if_header_not_matches"):
            header, pattern, missing = (one.take(k) for k in ("header", "regexp", "allow_missing"))
            if missing is True:
                why = "a header that is demanded must be there"
                one.losses.add(one.file, one.position, f"{one.name} of {header}", why)
            elif header in headers:
                why = "a header has one pattern; join them with a regular expression"
                one.losses.add(one.file, one.position, f"{one.name} of {header}", why)
            else:
                headers[str(header)] = str(pattern)
        if headers:
            expect["headers"] = headers
        return expect

    def _headers(self, module: ForeignModule, http: Section) -> None:
        own = http.section("headers")
        plain: dict[str, str] = {}
        secret: dict[str, str] = {}
        for header in list(own.node.entries):
            value = str(own.take(header))
            if carries_credential(header.lower()):
                secret[header] = self.keep(f"{module.name}-{header.lower()}", value)
            else:
                plain[header] = _literal(value)
        if plain:
            module.call["headers"] = plain
        if secret and module.auth is not None:
            http.lose("headers", "credentials in headers beside another login; write one of them")
        elif secret:
            module.auth = {"kind": "headers", "headers": secret}

    def _credentials(self, module: ForeignModule, http: Section) -> None:
        basic, bearer = http.section("basic_auth"), http.section("authorization")
        oauth2 = http.section("oauth2")
        token = self._secret(module, http, "bearer_token", "bearer_token_file")
        if basic:
            user = basic.take("username") or ""
            password = self._secret(module, basic, "password", "password_file")
            module.auth = {"kind": "basic", "username": user, "password": password or ""}
            basic.rest({})
        elif bearer or token is not None:
            scheme = str(bearer.take("type") or "Bearer")
            own = self._secret(module, bearer, "credentials", "credentials_file")
            module.auth = {"kind": "bearer", "token": own or token}
            if scheme != "Bearer":
                module.auth["scheme"] = scheme
            bearer.rest({})
        elif oauth2:
            module.auth = self._oauth2(module, oauth2)

    def _oauth2(self, module: ForeignModule, section: Section) -> dict[str, Any]:
        entry: dict[str, Any] = {"kind": "oauth2", "grant": "client_credentials"}
        entry["token_url"] = _literal(str(section.take("token_url") or ""))
        entry["client_id"] = str(section.take("client_id") or "")
        secret = self._secret(module, section, "client_secret", "client_secret_file")
        if secret is not None:
            entry["client_secret"] = secret
        if scopes := section.texts("scopes"):
            entry["scope"] = " ".join(scopes)
        extra = section.section("endpoint_params")
        if extra:
            entry["extra"] = {key: str(extra.take(key)) for key in list(extra.node.entries)}
        section.lose("tls_config", "a login is verified by the check's own trust")
        section.rest(_HTTP)
        return entry

    def _secret(
        self, module: ForeignModule, section: Section, inline: str, file: str
    ) -> str | None:
        """The reference to a secret: to its file, or to one that it is kept in from now on."""
        path, value = section.take(file), section.take(inline)
        if path is not None:
            return f"file:{self._beside(str(path))}"
        return None if value is None else self.keep(f"{module.name}-{inline}", str(value))

    # ------------------------------------------------------------ tcp

    def _tcp(self, name: str, tcp: Section) -> ForeignModule:
        dialogue = tcp.take("query_response")
        starttls = _starttls(dialogue)
        secured = tcp.take("tls") is True or starttls is not None
        module = ForeignModule(name, "tls" if secured else "tcp")
        self._addresses(module, tcp)
        config = tcp.section("tls_config")
        if secured:
            self._tls_settings(module, config)
        if starttls is not None:
            module.settings["starttls"] = starttls
            tcp.lose("query_response", "what is said besides STARTTLS is not compared")
        elif _leads_to_tls(dialogue):
            why = "STARTTLS of this protocol is not known; TLS after it is not probed"
            tcp.lose("query_response", why)
        elif dialogue:
            tcp.lose("query_response", "what a server says is not compared; the connection is")
        tcp.rest({"source_ip_address": _HTTP["source_ip_address"]})
        return module

    # ------------------------------------------------------------ both

    def _addresses(self, module: ForeignModule, section: Section) -> None:
        prefer = section.take("preferred_ip_protocol")
        module.prefer = None if prefer is None else str(prefer)
        module.fallback = section.take("ip_protocol_fallback") is not False

    def _tls_settings(self, module: ForeignModule, tls: Section) -> None:
        if (roots := tls.take("ca_file")) is not None:
            path = self._beside(str(roots))
            if Path(path).is_file():
                module.settings["trust"] = {"file": path}
            else:
                tls.lose("ca_file", "there is no such file; the system's roots verify instead")
        certificate, key = tls.take("cert_file"), tls.take("key_file")
        pair = None
        if certificate is not None and key is not None:
            pair = {
                "certificate": f"file:{self._beside(str(certificate))}",
                "key": f"file:{self._beside(str(key))}",
            }
        newest = tls.take("min_version") == "TLS13"
        name = tls.take("server_name")
        if module.kind == "api":
            if pair is not None:
                module.settings["client_certificate"] = pair
            if name is not None:
                tls.lose("server_name", "a call asks for the name in its URL; use ?hostname=")
            if newest:
                tls.lose("min_version", "calls take TLS 1.2 and 1.3; tls checks can tell")
        else:
            if name is not None:
                module.settings["sni"] = str(name)
            profile: dict[str, Any] = {"kind": "tls13" if newest else "default"}
            if pair is not None:
                profile["client_certificate"] = pair
            if newest or pair is not None:
                module.settings["profiles"] = [profile]
        tls.rest(_TLS)

    def _beside(self, written: str) -> str:
        """A path of the foreign file, which is relative to where that file is."""
        return str((self.file.parent / written).absolute())


def _leads_to_tls(dialogue: Any) -> bool:
    steps = dialogue if isinstance(dialogue, list) else []
    return any(isinstance(step, dict) and step.get("starttls") for step in steps)


def _starttls(dialogue: Any) -> str | None:
    """The protocol of a dialogue that leads to TLS; None when it is another one."""
    if not _leads_to_tls(dialogue):
        return None
    steps = [step for step in dialogue if isinstance(step, dict)]
    sent, expected = (
        "\n".join(str(step[key]) for step in steps if step.get(key) is not None)
        for key in ("send", "expect")
    )
    for name, pattern in _STARTTLS:
        if pattern.search(sent):
            return name
    plain = re.search(r"^STARTTLS\s*$", sent, re.IGNORECASE | re.MULTILINE)
    return "smtp" if plain and _SMTP_SERVER.search(expected) else None


def _literal(text: str) -> str:
    """A text as a template that stands for itself."""
    return text.replace("{", "{{").replace("}", "}}")


def _fit(name: str) -> str:
    """A name as one that ours takes."""
    fit = re.sub(r"[^A-Za-z0-9_.-]", "-", name)[:60]
    return fit if fit[:1].isalnum() else f"m{fit}"


def _fitted(names: Iterable[str]) -> dict[str, str]:
    """A name of ours for each, and no two alike; a name that fits stays as it is."""
    fitted = {name: name for name in names if _fit(name) == name}
    for name in names:
        if name not in fitted:
            ours, number = _fit(name), 1
            while ours in fitted.values():
                number += 1
                ours = f"{_fit(name)[:55]}-{number}"
            fitted[name] = ours
    return {name: fitted[name] for name in names}
