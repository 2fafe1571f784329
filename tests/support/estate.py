"""Stores with certificates of their own on one address: TLS, and an HTTP answer with a Date."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from functools import partial
from pathlib import Path

import trio

from probe.lab.ca import Credential, LeafShape, Pki
from tests.support.tls_server import server_context

NAMES = tuple(f"shop-{number}.example" for number in range(6))


def certified(folder: Path) -> Mapping[str, ssl.SSLContext]:
    """A context for each name. Two issuers, each certificate from another week; roots.pem too."""
    pki = Pki(datetime.now(UTC))
    (folder / "roots.pem").write_bytes(pki.roots_pem())
    contexts = {}
    for place, name in enumerate(NAMES):
        shape = LeafShape(timedelta(days=-1 - 7 * place), timedelta(days=89 - 7 * place))
        issuer = pki.other_issuer if place % 2 else pki.issuer
        chain = (pki.leaf([name], issuer=issuer, shape=shape), issuer.certificate)
        contexts[name] = server_context(folder, Credential(chain, pki.leaf_key))
    first = contexts[NAMES[0]]

    def choose(connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        connection.context = contexts.get(name or "", first)

    first.sni_callback = choose
    return contexts


async def _serve(context: ssl.SSLContext, stream: trio.SocketStream) -> None:
    secure = trio.SSLStream(stream, context, server_side=True, https_compatible=True)
    with contextlib.suppress(trio.BrokenResourceError, ssl.SSLError):
        async with secure:
            if await secure.receive_some(4096):
                date = formatdate(usegmt=True)
                head = f"HTTP/1.1 200 OK\r\nDate: {date}\r\nContent-Length: 0\r\n\r\n"
                await secure.send_all(head.encode())


async def open_estate(
    nursery: trio.Nursery, contexts: Mapping[str, ssl.SSLContext], hosts: Sequence[str]
) -> list[str]:
    """Serve at each address; returns them with their ports."""
    serve = partial(_serve, contexts[NAMES[0]])
    opened = []
    for host in hosts:
        (listener,) = await nursery.start(partial(trio.serve_tcp, serve, 0, host=host))
        opened.append(f"{host}:{listener.socket.getsockname()[1]}")
    return opened
