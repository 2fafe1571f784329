"""Files of roots, client certificates and keys that a configuration names."""

from __future__ import annotations

from pathlib import Path

from probe.config.resolve.site import Site
from probe.config.shape.tls import ClientCertificateShape, TrustShape
from probe.documents.files import UnreadableFile, read_bytes
from probe.documents.nodes import Node, at, key_place
from probe.documents.pem import Wanted, pem_problem
from probe.documents.problem import DocumentError
from probe.model.secret import SecretRef
from probe.model.tls import ClientCertificate, Trust

_MOST_BYTES = 16 * 1024 * 1024


def trust(site: Site, shape: TrustShape | None, node: Node) -> Trust | None:
    """Which roots verify a chain, None where nothing says; a file of roots must be there."""
    if shape is None:
        return None
    if shape.file is None:
        return Trust(shape.roots or "mozilla")
    if shape.roots is not None:
        site.problem(key_place(node, "roots"), "roots or a file; write one of the two")
    if not site.beside(shape.file).is_file():
        site.problem(
            at(node, "file"),
            f"there is no file {site.beside(shape.file)}; "
            "paths are relative to the configuration file",
        )
    elif site.strict:
        _must_hold(site, site.absolute(shape.file), "certificate", at(node, "file"))
    return Trust("file", site.absolute(shape.file))


def _must_hold(site: Site, file: str, wanted: Wanted, where: Node) -> None:
    """Note a file that is not what its use needs; one that cannot be read here is let be."""
    try:
        problem = pem_problem(read_bytes(Path(file), _MOST_BYTES), wanted, file)
    except UnreadableFile:
        return  # secrets are not mounted everywhere; the agent reports what it cannot read
    except DocumentError as error:
        problem = error.problems[0].message
    if problem is not None:
        site.problem(where, f"{file}: {problem}")


def client_certificate(
    site: Site, shape: ClientCertificateShape | None, node: Node
) -> ClientCertificate | None:
    """Where certificate and key of a client are."""
    if shape is None:
        return None
    return ClientCertificate(
        _pem(site, shape.certificate, "certificate", at(node, "certificate")),
        _pem(site, shape.key, "key", at(node, "key")),
    )


def _pem(site: Site, written: SecretRef, wanted: Wanted, where: Node) -> SecretRef:
    reference = site.secret(written)
    if site.strict and reference.kind == "file":
        _must_hold(site, reference.name, wanted, where)
    return reference
