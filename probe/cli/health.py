"""``probe health``: asks a running agent how it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from probe.cli.options import FAIL, die

if TYPE_CHECKING:
    from http.client import HTTPConnection

_UNSPECIFIED = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - asked, not listened on


@click.command(short_help="Ask a running agent whether it is well.")
@click.option(
    "--listen",
    default="127.0.0.1:9469",
    show_default=True,
    help="ADDRESS:PORT where the agent serves.",
)
@click.option("--ready", is_flag=True, help="Ask whether it is ready, not only alive.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0.01),
    default=2.0,
    show_default=True,
    help="Seconds that it has to answer.",
)
def health(listen: str, ready: bool, timeout: float) -> None:
    r"""Ask a running agent whether it is well; for containers, which have no curl.

    \b
      probe health
      probe health --listen 127.0.0.1:9469 --ready

    Over TLS where the port speaks it. Health needs no login and no client certificate.
    Exit status: 0 well, 1 not.
    """
    problem = ask(listen, "/readyz" if ready else "/healthz", timeout)
    if problem is not None:
        die(problem, FAIL)


def ask(listen: str, path: str, timeout: float) -> str | None:
    """Ask an agent for a path, and return what is wrong. None: its answer has status 200.

    Args:
        listen: ``ADDRESS:PORT`` as given to the agent; for the address of every network the
            loopback address is asked.
        path: ``/healthz`` or ``/readyz``.
        timeout: seconds for each wait on the socket.
    """
    import http.client
    import ssl

    from probe.net.names import NameProblem, parse_listen

    try:
        where = parse_listen(listen)
    except NameProblem as problem:
        return f"--listen: {problem}"
    host = _UNSPECIFIED.get(where.host, where.host)
    try:
        status, said = _answer(http.client.HTTPConnection(host, where.port, timeout=timeout), path)
        if status == http.client.BAD_REQUEST and "HTTPS" in said:
            # The agent asks about itself and tells nothing, so no certificate is verified.
            trusting = ssl.create_default_context()
            trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
            secured = http.client.HTTPSConnection(
                host, where.port, timeout=timeout, context=trusting
            )
            status, said = _answer(secured, path)
    except (OSError, http.client.HTTPException) as error:
        return f"{listen} does not answer: {str(error) or type(error).__name__}"
    return None if status == http.client.OK else f"{listen} answers {status}: {said}"


def _answer(connection: HTTPConnection, path: str) -> tuple[int, str]:
    """Status and first words of an answer."""
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read(200).decode("utf-8", "replace").strip()
    finally:
        connection.close()
