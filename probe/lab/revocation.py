"""Revocation lists of the lab's issuing authority, right and wrong, and who serves them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import h11
import trio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from probe.lab.ca import REVOKED, Authority, Pki


def revocation_list(
    pki: Pki,
    *,
    signer: Authority | None = None,
    updated: timedelta = timedelta(hours=-1),
    lasts: timedelta = timedelta(days=3),
) -> bytes:
    """A list of the issuing authority as DER, which revokes the serial number ``REVOKED``.

    ``updated`` is thisUpdate, counted from now; nextUpdate follows it by ``lasts``.
    """
    issuer, begins = pki.issuer, pki.now + updated
    entry = (
        x509.RevokedCertificateBuilder()
        .serial_number(REVOKED)
        .revocation_date(begins)
        .add_extension(x509.CRLReason(x509.ReasonFlags.key_compromise), critical=False)
        .build()
    )
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(begins)
        .next_update(begins + lasts)
        .add_revoked_certificate(entry)
        .add_extension(x509.CRLNumber(1), critical=False)
    )
    signed = builder.sign((signer or issuer).key, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.DER)


_LISTS: dict[str, Callable[[Pki], bytes]] = {
    "/good.crl": revocation_list,
    "/expired.crl": lambda pki: revocation_list(pki, updated=timedelta(days=-5)),
    "/forged.crl": lambda pki: revocation_list(pki, signer=pki.stranger),
}
"""What is served; everything else is not there (404)."""

_LONGEST = 30.0


class ListServer:
    """Serves the lists over plain http, one request a connection.

    Args:
        pki: whose lists; told where they are.

    Attributes:
        requests: how many arrived, by path.
    """

    def __init__(self, pki: Pki) -> None:
        self._pki = pki
        self.requests: dict[str, int] = {}

    async def run(
        self, ip: str, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Serve on one address, at a port that the system chooses."""
        listeners = await trio.open_tcp_listeners(0, host=ip)
        self._pki.lists = f"http://{ip}:{listeners[0].socket.getsockname()[1]}"
        task_status.started()
        await trio.serve_listeners(self._serve, listeners)

    async def _serve(self, stream: trio.SocketStream) -> None:
        connection = h11.Connection(h11.SERVER)
        try:
            with trio.move_on_after(_LONGEST):
                while (event := connection.next_event()) is h11.NEED_DATA:
                    connection.receive_data(await stream.receive_some())
                if isinstance(event, h11.Request):
                    await stream.send_all(self._answer(connection, event.target.decode()))
        except (trio.BrokenResourceError, h11.RemoteProtocolError):
            return  # whoever asked is gone, or speaks no HTTP
        finally:
            await trio.aclose_forcefully(stream)

    def _answer(self, connection: h11.Connection, path: str) -> bytes:
        self.requests[path] = self.requests.get(path, 0) + 1
        make = _LISTS.get(path)
        body = b"" if make is None else make(self._pki)
        headers = [
            ("Content-Type", "application/pkix-crl"),
            ("Content-Length", str(len(body))),
            ("Connection", "close"),
        ]
        response = h11.Response(status_code=404 if make is None else 200, headers=headers)
        parts = [connection.send(response)]
        if body:
            parts.append(connection.send(h11.Data(data=body)))
        parts.append(connection.send(h11.EndOfMessage()))
        return b"".join(part for part in parts if part)
