"""Asks an agent over HTTP whether it is well: the health check of containers.

Its own few lines on a plain socket, because it is a process of its own every few seconds and has
no use for an event loop.
"""

from __future__ import annotations

import http.client

from probe.net.names import NameProblem, parse_listen

_UNSPECIFIED = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - asked, not listened on


def ask(listen: str, path: str, timeout: float) -> str | None:
    """What is wrong, None when the answer has status 200.

    Args:
        listen: ``ADDRESS:PORT`` as given to the agent; for the address of every network the
            loopback address is asked.
        path: ``/healthz`` or ``/readyz``.
        timeout: seconds for each wait on the socket.
    """
    try:
        where = parse_listen(listen)
    except NameProblem as problem:
        return f"--listen: {problem}"
    host = _UNSPECIFIED.get(where.host, where.host)
    connection = http.client.HTTPConnection(host, where.port, timeout=timeout)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        said = answer.read(200).decode("utf-8", "replace").strip()
    except (OSError, http.client.HTTPException) as error:
        return f"{listen} does not answer: {str(error) or type(error).__name__}"
    finally:
        connection.close()
    return None if answer.status == http.client.OK else f"{listen} answers {answer.status}: {said}"
