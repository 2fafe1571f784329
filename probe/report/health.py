"""Asks an agent over HTTP whether it is well: the health check of containers.

Its own few lines on a plain socket, because it is a process of its own every few seconds and has
no use for an event loop.
"""

from __future__ import annotations

import http.client
import ipaddress


def ask(listen: str, path: str, timeout: float) -> str | None:
    """What is wrong, None when the answer has status 200.

    Args:
        listen: ``ADDRESS:PORT`` as given to the agent; for the address of every network the
            loopback address is asked.
        path: ``/healthz`` or ``/readyz``.
        timeout: seconds for each wait on the socket.
    """
    host, _, port = listen.rpartition(":")
    host = _loopback(host.strip("[]"))
    if not (port.isascii() and port.isdecimal() and 0 < int(port[:6]) <= 65535):
        return f"{listen}: write ADDRESS:PORT, for example 127.0.0.1:9469"
    connection = http.client.HTTPConnection(host, int(port), timeout=timeout)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        said = answer.read(200).decode("utf-8", "replace").strip()
    except (OSError, http.client.HTTPException) as error:
        return f"{listen} does not answer: {str(error) or type(error).__name__}"
    finally:
        connection.close()
    return None if answer.status == http.client.OK else f"{listen} answers {answer.status}: {said}"


def _loopback(host: str) -> str:
    try:
        address = ipaddress.ip_address(host or "127.0.0.1")
    except ValueError:
        return host
    if not address.is_unspecified:
        return str(address)
    return "127.0.0.1" if address.version == 4 else "::1"
