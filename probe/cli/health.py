"""``probe health``: asks a running agent how it is."""

from __future__ import annotations

import click

from probe.cli.options import FAIL, die

_UNSPECIFIED = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - asked, not listened on


@click.command()
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
    """Ask a running agent whether it is well; for containers, which have no curl.

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

    from probe.net.names import NameProblem, parse_listen

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
