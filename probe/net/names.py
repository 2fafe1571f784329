"""Names of targets as people write them, brought to the one form that the rest compares.

Pure text work, shared by the configuration and by discovery. Host names come out as A-labels
(RFC 5890, mapped as UTS #46 says), lower case, without a trailing dot; addresses in canonical
text form (RFC 5952 for IPv6).
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable, Mapping
from urllib.parse import unquote

from probe.model.failure import printable
from probe.model.spec import Listen
from probe.model.target import Target

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_LABEL = re.compile(r"[a-z0-9_-]{1,63}\Z")
_NUMERIC = re.compile(r"(?:[0-9]+|0x[0-9a-f]*)\Z")
_EMPTY = "the name is empty; write for example shop.example"
_MOST = 253  # characters of a name in text form without the trailing dot (RFC 1035 section 2.3.4)


class NameProblem(ValueError):
    """A text that names nothing that can be probed; the message says what to write instead."""


def parse_host(text: str) -> str:
    """The normal form of a host name or IP address, without a port.

    Raises:
        NameProblem: the text is no name and no address.
    """
    _refuse_what_is_no_name(text)
    address = _ip(text.removeprefix("[").removesuffix("]") if text.startswith("[") else text)
    if address is not None:
        return address
    if ":" in text:
        name = text.partition(":")[0]
        raise NameProblem(f"a port is not allowed here; write {quoted(name)[1:-1]}")
    return _host_name(text)


def parse_target(text: str, labels: Mapping[str, str] | None = None) -> Target:
    """A target from ``name``, ``name:port``, an IP address, or ``[v6]:port``.

    Raises:
        NameProblem: the text is no target.
    """
    _refuse_what_is_no_name(text)
    host, port = _split_port(text)
    name = _ip(host) or _host_name(host)
    return Target(name, port, labels) if labels else Target(name, port)


def parse_address(text: str) -> tuple[str, int | None]:
    """An IP address with an optional port: ``198.51.100.7:8443``, ``[2001:db8::7]:443``.

    Raises:
        NameProblem: the text is no address.
    """
    host, port = _split_port(text.strip())
    address = _ip(host)
    if address is None:
        raise NameProblem(
            f"{quoted(text)} is not an IP address; write for example 198.51.100.7, "
            "198.51.100.7:8443, 2001:db8::7 or [2001:db8::7]:8443"
        )
    return address, port


def parse_listen(text: str) -> Listen:
    """``ADDRESS:PORT`` to listen on; port 0 lets the system choose.

    Raises:
        NameProblem: there is no port, or what stands before it is no address and not localhost.
    """
    host, colon, port = text.rpartition(":")
    numeric = port.isascii() and port.isdigit()
    if not colon or not numeric or (":" in host and not host.startswith("[")):
        raise NameProblem(f"{quoted(text)} has no port; write for example 127.0.0.1:9469")
    if not host:
        raise NameProblem(
            f"write 127.0.0.1{text} for this host only, 0.0.0.0{text} for every network"
        )
    if int(port[:6]) > 65535:
        raise NameProblem("the port must be between 0 and 65535; 0 lets the system choose")
    if host == "localhost":
        return Listen(host, int(port))
    address = _ip(host.removeprefix("[").removesuffix("]"))
    if address is None:
        raise NameProblem(f"{quoted(host)} is not an address; write for example 127.0.0.1:{port}")
    return Listen(address, int(port))


def parse_authority(text: str) -> tuple[str, int | None]:
    """Host and port of a URL, without user and password, as curl and browsers read them.

    An address may be written in the old ways of inet_aton(3), a name with percent signs or in
    Unicode; a label that starts with ``xn--`` must be one (RFC 5891 section 5.4).

    Raises:
        NameProblem: the text is no host, or its port none that can be connected to.
    """
    _refuse_what_is_no_name(text)
    if text.count(":") > 1 and not text.startswith("["):
        shown = quoted(text)
        raise NameProblem(f"{shown} is not a host and port; write an IPv6 address in brackets")
    host, port = _split_port(text.removesuffix(":"))  # RFC 3986 section 3.2.3
    if "%" in host and not text.startswith("["):
        host = unquote(host)
    address = _ip(host) or _old_ip(host)
    if address is not None:
        return address, port
    name = _host_name(host)
    for label in name.split("."):
        if label.startswith("xn--"):
            _refuse_false_a_label(label)
    return name, port


def bracketed(text: str) -> str:
    """An IPv6 address as it stands in a URL; any other text as it is."""
    return f"[{text}]" if ":" in text and _ip(text) is not None else text


def parse_name_pattern(text: str) -> str:
    """A host name, or ``*.`` and a host name: the shape of certificates' names (RFC 6125).

    Raises:
        NameProblem: the text is neither.
    """
    if "*" in text.removeprefix("*."):
        raise NameProblem(
            f"{quoted(text)}: a star is allowed only at the start; write names, or *.shop.example"
        )
    if text.startswith("*."):
        return f"*.{parse_host(text[2:])}"
    return parse_host(text)


def parse_probed(text: str) -> tuple[str, int | None]:
    """A pattern of what may be probed, with the port that may, or None for every port.

    It is a name, ``*.`` and a name, ``*``, or a network in CIDR form; the last for one address too.

    Raises:
        NameProblem: the text is none of these.
    """
    written = text.strip()
    if "/" in written:
        try:
            return str(ipaddress.ip_network(written)), None
        except ValueError as error:
            raise NameProblem(f"{quoted(text)} is not a network: {error}") from None
    host, port = _split_port(written)
    if host == "*":
        return host, port
    address = _ip(host)
    if address is not None:
        return str(ipaddress.ip_network(address)), port
    return parse_name_pattern(host), port


def may_be_probed(host: str, port: int, patterns: Iterable[tuple[str, int | None]]) -> bool:
    """Tell whether one of these patterns, as of `parse_probed`, allows a host and port."""
    address = None if _ip(host) is None else ipaddress.ip_address(host)
    for pattern, own in patterns:
        if own is not None and own != port:
            continue
        if pattern == "*":
            return True
        if "/" in pattern:
            if address is not None and address in ipaddress.ip_network(pattern):
                return True
        elif address is None and belongs_to(host, (pattern,)):
            return True
    return False


def belongs_to(name: str, patterns: Iterable[str]) -> bool:
    """Tell whether a name fits one of these patterns.

    ``*.cdn-b.example`` covers every name below ``cdn-b.example``, at any depth and even when
    it is itself a wildcard, and ``cdn-b.example`` itself; a pattern without a star only itself.
    """
    own = name.lower().rstrip(".")
    for written in patterns:
        pattern = written.lower().rstrip(".")
        domain = pattern.removeprefix("*.")
        if own == domain or (pattern != domain and own.endswith(f".{domain}")):
            return True
    return False


def quoted(text: str, most: int = 60) -> str:
    """The text as a message may show it: quoted, on one line, not endless."""
    shown = text if len(text) <= most else text[: most - 1] + "…"
    return f'"{printable(shown)}"'


def _refuse_what_is_no_name(text: str) -> None:
    if not text.strip():
        raise NameProblem(_EMPTY)
    scheme = _SCHEME.match(text)
    if scheme or "/" in text:
        # A URL may hold a password before an @: such a text is never repeated.
        host = re.split(r"[/?#]", text[scheme.end() if scheme else 0 :], maxsplit=1)[0]
        instead = host.rpartition("@")[2].strip() or "only the name, for example shop.example"
        shown = "" if "@" in text else f", not {quoted(text)[1:-1]}"
        raise NameProblem(f"write {quoted(instead)[1:-1]}{shown}")
    if "@" in text:
        raise NameProblem("the name contains an @; write only the name, for example shop.example")
    if any(c.isspace() for c in text):
        raise NameProblem(f"{quoted(text)} contains a space; write one name per entry")
    if "*" in text:
        one = quoted(f"www{text[1:]}")[1:-1] if text.startswith("*.") else "shop.example"
        raise NameProblem(
            f"{quoted(text)} is a pattern, and only names can be probed; "
            f"write a name, for example {one}"
        )


def _split_port(text: str) -> tuple[str, int | None]:
    if text.startswith("["):
        host, closed, rest = text[1:].partition("]")
        if not closed or (rest and not rest.startswith(":")) or ":" not in host:
            raise NameProblem(
                f"{quoted(text)} is not an IPv6 address with a port; write [2001:db8::7]:443"
            )
        return host, _port(rest[1:], text) if rest else None
    if text.count(":") != 1:  # none, or an IPv6 address without brackets
        return text, None
    host, _, port = text.partition(":")
    return host, _port(port, text)


def _port(digits: str, text: str) -> int:
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 5):
        raise NameProblem(f"the port of {quoted(text)} is not a number; write for example :443")
    if not 1 <= int(digits) <= 65535:
        raise NameProblem(f"the port of {quoted(text)} must be between 1 and 65535")
    return int(digits)


def _ip(text: str) -> str | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None:
        raise NameProblem(
            f"{quoted(text)} has a zone (%{quoted(address.scope_id)[1:-1]}), which is valid only "
            "on this host (RFC 4007); write the address without it"
        )
    return str(address)


def _host_name(text: str) -> str:
    name = text.removesuffix(".").lower()
    if not name:
        raise NameProblem(_EMPTY)
    if len(name) > _MOST:
        raise NameProblem(f"{quoted(text)} is longer than the {_MOST} characters of a DNS name")
    if not name.isascii():
        name = _a_labels(name)
        if (address := _ip(name)) is not None:  # full-width digits map to an address
            return address
    labels = name.split(".")
    if "" in labels:
        raise NameProblem(f"{quoted(text)} has an empty part between two dots")
    for label in labels:
        if len(label) > 63:
            raise NameProblem(f"a part of {quoted(text)} is longer than the 63 characters of DNS")
        if label.startswith("-") or label.endswith("-"):
            raise NameProblem(
                f"a part of {quoted(text)} starts or ends with a hyphen, "
                "which host names do not allow; remove it"
            )
        if not _LABEL.match(label):
            raise NameProblem(
                f"{quoted(text)} is not a host name; only letters, digits, hyphens, "
                "underscores and dots are allowed"
            )
    if _NUMERIC.match(labels[-1]):
        raise NameProblem(f"{quoted(text)} is neither a host name nor an IP address")
    return name


def _a_labels(name: str) -> str:
    import idna  # noqa: PLC0415 - its tables cost a megabyte that few names need

    try:
        encoded = idna.encode(name, uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError) as error:
        raise NameProblem(
            f"{quoted(name)} is not a valid internationalised name (IDNA 2008); "
            "write it in its A-label form, xn--…"
        ) from error
    if len(encoded) > _MOST:
        raise NameProblem(f"{quoted(name)} is longer than the {_MOST} characters of a DNS name")
    return encoded


def _old_ip(host: str) -> str | None:
    """An IPv4 address in fewer parts, octal or hexadecimal: ``127.1``, ``0x7f000001``."""
    if not _NUMERIC.match(host.rpartition(".")[2].lower()):
        return None
    try:
        return socket.inet_ntoa(socket.inet_aton(host))
    except (OSError, ValueError):  # ValueError: a NUL or half a surrogate pair
        return None


def _refuse_false_a_label(label: str) -> None:
    """Symbols that IDNA 2008 leaves out are let through, as browsers do; DNS has the say."""
    import idna  # noqa: PLC0415 - as above

    try:
        decoded = label[4:].encode().decode("punycode")
        if not decoded.isascii() and idna.uts46_remap(decoded, std3_rules=False) == decoded:
            return
    except (idna.IDNAError, UnicodeError):
        pass
    raise NameProblem(f"{quoted(label)} is not a valid internationalised label (RFC 5891)")
