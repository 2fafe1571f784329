"""Trust roots: read once, kept as bytes and indexed by name, parsed only when a chain asks.

A parsed list of Mozilla's roots costs about 2 MiB, and 2.5 MiB more as an OpenSSL store; the
bytes cost 0.2 MiB, and any one chain concerns only the roots whose names it mentions.
"""

from __future__ import annotations

import binascii
import hashlib
import re
import ssl
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import certifi

from probe.certificates.certificate import Certificate, read
from probe.documents.files import pem_problem, read_regular
from probe.model.tls import Trust

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", re.DOTALL)


class TrustError(Exception):
    """Trust roots cannot be read: a fault of this host or its configuration."""


@dataclass(frozen=True, slots=True)
class Roots:
    """A set of trust anchors.

    Attributes:
        by_name: DER certificates by canonical subject (``certificate.name_key``).
        digests: SHA-256 of every one of them.
        organizations: of their subjects, case folded.
    """

    by_name: dict[bytes, tuple[bytes, ...]]
    digests: frozenset[bytes]
    organizations: frozenset[str] = frozenset()
    _parsed: dict[bytes, Certificate] = field(default_factory=dict, repr=False, compare=False)

    def __reduce__(self) -> tuple[type[Roots], tuple[object, ...]]:
        """Pickle without what was parsed."""
        return Roots, (self.by_name, self.digests, self.organizations)

    @classmethod
    def of(cls, ders: Iterable[bytes]) -> Roots:
        """Index DER certificates.

        Those that cannot be parsed are left out, and those with a key that no client accepts
        (see ``Certificate.costly_key``).
        """
        by_name: dict[bytes, tuple[bytes, ...]] = {}
        digests: set[bytes] = set()
        organizations: set[str] = set()
        for der in ders:
            root = read(der)
            if not isinstance(root, Certificate) or root.costly_key or root.digest in digests:
                continue
            digests.add(root.digest)
            organizations |= root.subject_organizations()
            by_name[root.subject_key] = (*by_name.get(root.subject_key, ()), der)
        return cls(by_name, frozenset(digests), frozenset(organizations))

    def concerning(self, certificates: Iterable[Certificate]) -> list[Certificate]:
        """Return the roots that a path from these certificates can end in: by subject or issuer."""
        names = dict.fromkeys(name for c in certificates for name in (c.subject_key, c.issuer_key))
        return [self._root(der) for name in names for der in self.by_name.get(name, ())]

    def _root(self, der: bytes) -> Certificate:
        if der not in self._parsed:
            root = read(der)
            assert isinstance(root, Certificate)  # noqa: S101 - it was read when it was indexed
            self._parsed[der] = root
        return self._parsed[der]


def load_roots(trust: Trust) -> Roots:
    """Read the roots that a configuration names. Blocks for some milliseconds.

    Raises:
        TrustError: nothing can be read there, or no certificate is in it.
    """
    match trust.kind:
        case "mozilla":
            source, sources = "the Mozilla list of certifi", [Path(certifi.where())]
        case "system":
            source, sources = "the trust store of this host", list(_system_files())
        case "file":
            if not trust.file:
                raise TrustError("trust from a file, and no file is named")
            source, sources = trust.file, [Path(trust.file)]
    try:
        roots = Roots.of(der for path in sources for der in _pem_certificates(_bytes_of(path)))
    except OSError as error:
        raise TrustError(f"{source}: {error.strerror or error}") from error
    if not roots.digests:
        other = trust.file and pem_problem(_bytes_of(sources[0]), "certificate", trust.file)
        raise TrustError(f"{source}: {other or 'no certificate in it can be read'}")
    return roots


_LARGEST = 64 * 1024 * 1024


def _bytes_of(path: Path) -> bytes:
    return read_regular(path, _LARGEST)[1]


def public_roots() -> frozenset[bytes]:
    """Return SHA-256 of every root of Mozilla's list: the ones that browsers trust too.

    A root that only this host's store or a file of the check holds is a private one.

    Raises:
        TrustError: the list cannot be read.
    """
    try:
        text = Path(certifi.where()).read_bytes()
    except OSError as error:
        why = f"the Mozilla list of certifi: {error.strerror or error}"
        raise TrustError(why) from error
    return frozenset(hashlib.sha256(der).digest() for der in _pem_certificates(text))


def _system_files() -> Iterator[Path]:
    """Yield the bundle that OpenSSL uses on this host, or the files of its directory."""
    paths = ssl.get_default_verify_paths()
    if paths.cafile:
        yield Path(paths.cafile)
    elif paths.capath:
        yield from sorted(path for path in Path(paths.capath).iterdir() if path.is_file())


def _pem_certificates(text: bytes) -> Iterator[bytes]:
    for block in _PEM.finditer(text):
        with suppress(binascii.Error):
            yield binascii.a2b_base64(block.group(1))
