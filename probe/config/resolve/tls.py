"""TLS settings: client profiles, files of roots, client certificates and keys."""

from __future__ import annotations

from pathlib import Path

from probe.config.resolve.file import ConfigFile
from probe.config.shape.tls import ClientCertificateShape, ProfileShape, TrustShape
from probe.documents.files import UnreadableFile, Wanted, pem_problem, read_bytes
from probe.documents.nodes import Node
from probe.documents.problem import DocumentError
from probe.model.tls import ClientCertificate, ClientProfile, Trust
from probe.net.names import quoted

_MOST_BYTES = 16 * 1024 * 1024


def client_profiles(
    file: ConfigFile, shapes: list[ProfileShape] | None
) -> tuple[ClientProfile, ...]:
    """Client profiles with names of their own; none where none are written."""
    profiles: dict[str, ClientProfile] = {}
    for shape in shapes or ():
        profile = _profile(file, shape)
        if profile.name in profiles:
            message = f"two profiles are named {quoted(profile.name)}; give one a name: of its own"
            file.problem(shape.at("name"), message)
        profiles.setdefault(profile.name, profile)
    return tuple(profiles.values())


def _profile(file: ConfigFile, shape: ProfileShape) -> ClientProfile:
    if shape.kind.startswith("tls12") and shape.min_version == "TLSv1.3":
        file.problem(
            shape.at("min_version"),
            f"the profile {shape.kind} speaks TLS 1.2 only; leave min_version out, "
            "or write kind: tls13",
        )
    if shape.kind == "tls13" and shape.ciphers is not None:
        file.problem(
            shape.key_position("ciphers"),
            "ciphers are chosen for TLS 1.2 only, and the profile tls13 does not speak it; "
            "leave them out",
        )
    certificate = client_certificate(file, shape.client_certificate)
    name = shape.name or shape.kind
    return file.built(ClientProfile, shape, name=name, client_certificate=certificate)


def trust(file: ConfigFile, shape: TrustShape | None) -> Trust | None:
    """Which roots verify a chain, None where nothing says; a file of roots must be there."""
    if shape is None:
        return None
    if shape.file is None:
        return Trust() if shape.roots is None else Trust(shape.roots)
    file.one_of(shape, "file", "roots")
    if not file.beside(shape.file).is_file():
        file.problem(
            shape.at("file"),
            f"there is no file {file.beside(shape.file)}; "
            "paths are relative to the configuration file",
        )
    elif file.strict:
        _must_hold(file, file.absolute(shape.file), "certificate", shape.at("file"))
    return Trust("file", file.absolute(shape.file))


def client_certificate(
    file: ConfigFile, shape: ClientCertificateShape | None
) -> ClientCertificate | None:
    """Where certificate and key of a client are."""
    if shape is None:
        return None
    pair = file.built(ClientCertificate, shape)
    if file.strict and pair.certificate.kind == "file":
        _must_hold(file, pair.certificate.name, "certificate", shape.at("certificate"))
    if file.strict and pair.key.kind == "file":
        _must_hold(file, pair.key.name, "key", shape.at("key"))
    return pair


def _must_hold(file: ConfigFile, path: str, wanted: Wanted, where: Node) -> None:
    """Note a file that is not what its use needs; one that cannot be read here is let be."""
    try:
        problem = pem_problem(read_bytes(Path(path), _MOST_BYTES), wanted, path)
    except UnreadableFile:
        return  # secrets are not mounted everywhere; the agent reports what it cannot read
    except DocumentError as error:
        problem = error.problems[0].message
    if problem is not None:
        file.problem(where, f"{path}: {problem}")
