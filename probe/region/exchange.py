"""One short question over HTTP, for services of the neighbourhood: no proxy, no redirect.

The standard library's client on purpose: it runs once, before the event loop does, and follows
nothing and trusts nobody of its own accord.
"""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

TIMEOUT = 1.5
"""Seconds for each wait on the socket. A metadata service answers within milliseconds; where
there is none, packets to its address often vanish."""

_LARGEST = 1024 * 1024


class Silence(Exception):
    """No use can be made of what came back; the message says why and holds no secret."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer with status 200."""

    text: str
    headers: Mapping[str, str]


def ask(
    method: str,
    base: str,
    path: str,
    headers: Mapping[str, str],
    *,
    trust: ssl.SSLContext | None = None,
) -> Answer:
    """Ask once.

    Args:
        method: GET or PUT.
        base: ``http://HOST:PORT`` or ``https://HOST:PORT``.
        path: with its query.
        headers: sent as they are.
        trust: whom to trust; needed for https.

    Raises:
        Silence: no answer, another status than 200, or no text.
    """
    parts = urlsplit(base)
    host = parts.hostname or ""
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(host, parts.port, timeout=TIMEOUT, context=trust)
    else:
        connection = http.client.HTTPConnection(host, parts.port, timeout=TIMEOUT)
    try:
        connection.request(method, path, headers=dict(headers))
        response = connection.getresponse()
        data = response.read(_LARGEST + 1)
    except (OSError, http.client.HTTPException) as error:
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise Silence(f"no answer from {host} ({why})") from None
    finally:
        connection.close()
    if response.status != http.client.OK:
        raise Silence(f"{host} answers {response.status}")
    if len(data) > _LARGEST:
        raise Silence(f"the answer of {host} is larger than {_LARGEST // 1024} KiB")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise Silence(f"the answer of {host} is no text") from None
    return Answer(text, {name.lower(): value for name, value in response.getheaders()})
