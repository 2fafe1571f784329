"""Credentials on disk and a prober for the tests against real servers."""

from __future__ import annotations

import base64
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from probe.certificates import Judge
from probe.connection.contexts import TlsContexts
from probe.lab.ca import Credential, Pki
from probe.model.result import Failed, TlsResult
from probe.model.secret import Secret, SecretRef
from probe.model.spec import TlsCheck
from probe.model.target import Edge, EdgeKey, Target
from probe.model.tls import ClientProfile, Trust
from probe.probers.tls import TlsProber
from tests.support.ports import HERE

NAME = "www.example"
_CHECK = TlsCheck("stores", targets="stores", providers=("cdn-a",), timeout=5.0, addresses=HERE)


@pytest.fixture(scope="session")
def pki() -> Pki:
    return Pki(datetime.now(UTC))


class Shelf:
    """Credentials as PEM files in one folder."""

    def __init__(self, folder: Path, pki: Pki) -> None:
        self.folder = folder
        self.pki = pki
        self.root = folder / "root.pem"
        self.root.write_bytes(pki.roots_pem())

    def put(self, stem: str, credential: Credential) -> tuple[Path, Path]:
        """Chain and key as ``stem.crt`` and ``stem.key``, both as ``stem.pem``."""
        chain = b"".join(one.public_bytes(serialization.Encoding.PEM) for one in credential.chain)
        key = _key_pem(credential)
        for suffix, content in ((".crt", chain), (".key", key), (".pem", chain + key)):
            (self.folder / stem).with_suffix(suffix).write_bytes(content)
        if credential.ocsp is not None:
            (self.folder / stem).with_suffix(".ocsp").write_bytes(credential.ocsp)
        return self.folder / f"{stem}.crt", self.folder / f"{stem}.key"


def _key_pem(credential: Credential) -> bytes:
    if isinstance(credential.key, bytes):
        body = base64.encodebytes(credential.key).decode()
        return f"-----BEGIN EC PRIVATE KEY-----\n{body}-----END EC PRIVATE KEY-----\n".encode()
    return credential.key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory, pki: Pki) -> Shelf:
    return Shelf(tmp_path_factory.mktemp("tls"), pki)


class Probe:
    """The whole prober against one port of the loopback."""

    def __init__(self, root: Path) -> None:
        self._check = replace(_CHECK, trust=Trust("file", str(root)))
        self._prober = TlsProber(TlsContexts(read_file), Judge(), time.time)

    async def __call__(
        self,
        port: int,
        *,
        name: str = NAME,
        profile: ClientProfile = ClientProfile(),  # noqa: B008 - immutable
        **changes: object,
    ) -> TlsResult:
        edge = Edge("127.0.0.1", port)
        check = replace(self._check, **changes)  # type: ignore[arg-type]
        key = EdgeKey(check.name, name, "cdn-a", edge.label, profile.name)
        return await self._prober.probe(key, edge, Target(name), check, profile)


def read_file(ref: SecretRef) -> Secret:
    return Secret(Path(ref.name).read_text())


@pytest.fixture
def probe(shelf: Shelf) -> Probe:
    return Probe(shelf.root)


def said(result: TlsResult) -> str:
    """``passed``, or phase and reason: short enough for a table."""
    if isinstance(result.outcome, Failed):
        return f"{result.outcome.failure.phase}/{result.outcome.failure.reason}"
    return type(result.outcome).__name__.lower()
