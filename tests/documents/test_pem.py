"""Files of certificates and keys as people keep them: the format is named, and what converts it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs7,
    pkcs12,
)

from probe.config.loading import validate
from probe.documents.files import Wanted, pem_problem
from probe.documents.problem import DocumentError
from probe.lab.ca import Pki

PKI = Pki(datetime.now(UTC))
ROOT = PKI.root.certificate
KEY = PKI.leaf_key
PEM = ROOT.public_bytes(Encoding.PEM)
SECRET = BestAvailableEncryption(b"hunter2")
KEY_PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def named(label: bytes) -> bytes:
    """The certificate under another label, as old tools write it."""
    return PEM.replace(b"CERTIFICATE", label)


X509 = "convert it with openssl x509 -in 'my ca' -out certificate.pem"
OTHERS: dict[str, tuple[Wanted, bytes, str]] = {
    "empty": ("certificate", b" \n", "this is an empty file; expected a PEM certificate"),
    "DER": (
        "certificate",
        ROOT.public_bytes(Encoding.DER),
        "not a PEM certificate but binary (DER); "
        "convert it with openssl x509 -inform der -in 'my ca' -out certificate.pem",
    ),
    "PKCS #7": (
        "certificate",
        pkcs7.serialize_certificates([ROOT], Encoding.PEM),
        "not a PEM certificate but PKCS #7; "
        "convert it with openssl pkcs7 -in 'my ca' -print_certs -out certificate.pem",
    ),
    "PKCS #7 in DER": (
        "certificate",
        pkcs7.serialize_certificates([ROOT], Encoding.DER),
        "not a PEM certificate but binary PKCS #7 (DER); "
        "convert it with openssl pkcs7 -inform der -in 'my ca' -print_certs -out certificate.pem",
    ),
    "PKCS #12": (
        "certificate",
        pkcs12.serialize_key_and_certificates(None, None, None, [ROOT], SECRET),
        "not a PEM certificate but PKCS #12; "
        "convert it with openssl pkcs12 -in 'my ca' -nokeys -out certificate.pem",
    ),
    "X509 CERTIFICATE": (
        "certificate",
        named(b"X509 CERTIFICATE"),
        f"not a PEM certificate but an X509 CERTIFICATE, an obsolete form; {X509}",
    ),
    "TRUSTED CERTIFICATE": (
        "certificate",
        named(b"TRUSTED CERTIFICATE"),
        f"not a PEM certificate but OpenSSL's TRUSTED CERTIFICATE; {X509}",
    ),
    "a key": ("certificate", KEY_PEM, "not a PEM certificate but a private key"),
    "a web page": (
        "certificate",
        b"<html>",
        "this file has no PEM certificate: no line -----BEGIN …-----",
    ),
    "an encrypted key": (
        "key",
        KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, SECRET),
        "not a PEM key but a private key encrypted with a passphrase, which the agent cannot enter"
        "; convert it with openssl pkey -in 'my ca' -out key.pem",
    ),
    "an encrypted key of old": (
        "key",
        KEY.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, SECRET),
        "not a PEM key but a private key encrypted with a passphrase, which the agent cannot enter"
        "; convert it with openssl pkey -in 'my ca' -out key.pem",
    ),
    "a key in DER": (
        "key",
        KEY.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
        "not a PEM key but binary (DER); "
        "convert it with openssl pkey -inform der -in 'my ca' -out key.pem",
    ),
    "a certificate": ("key", PEM, "not a PEM key but a certificate"),
}


@pytest.mark.parametrize(("wanted", "data", "problem"), OTHERS.values(), ids=OTHERS)
def test_another_format_is_named_with_what_converts_it(
    wanted: Wanted, data: bytes, problem: str
) -> None:
    assert pem_problem(data, wanted, "my ca") == problem


@pytest.mark.parametrize(
    "data",
    [
        PEM,
        PEM.replace(b"\n", b"\r\n"),
        b"\xef\xbb\xbf" + PEM,
        b"Certificate:\n    Data:\n" + PEM,
        KEY_PEM + PEM,
    ],
    ids=["PEM", "CRLF", "byte order mark", "text before it", "a key before it"],
)
def test_what_openssl_reads_is_good(data: bytes) -> None:
    assert pem_problem(data, "certificate", "f") is None


def test_keys_of_each_kind_of_pem_are_good() -> None:
    old = KEY.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    for data in (KEY_PEM, old, PEM + KEY_PEM, b"-----BEGIN EC PARAMETERS-----\n" + old):
        assert pem_problem(data, "key", "f") is None


def test_validate_reads_roots_and_client_certificates_where_it_can(tmp_path: Path) -> None:
    (tmp_path / "roots.der").write_bytes(ROOT.public_bytes(Encoding.DER))
    (tmp_path / "client.pem").write_bytes(PEM)
    (tmp_path / "client.key").write_bytes(OTHERS["an encrypted key"][1])
    path = tmp_path / "probe.yaml"
    path.write_text("""
targets: {t: {http: [{url: "https://sd.example/", trust: {file: roots.der}}]}}
checks:
- name: c
  kind: tls
  targets: t
  profiles:
  - name: own
    client_certificate: {certificate: "file:client.pem", key: "file:client.key"}
  - name: other
    client_certificate: {certificate: "file:elsewhere.pem", key: "env:KEY"}
""")
    with pytest.raises(DocumentError) as raised:
        validate(path, environ={})
    found = [str(problem).removeprefix(f"{path}:") for problem in raised.value.problems]
    assert [problem.split(";")[0] for problem in found] == [
        f"2:65: {tmp_path}/roots.der: not a PEM certificate but binary (DER)",
        f"9:63: {tmp_path}/client.key: not a PEM key but a private key encrypted with a "
        "passphrase, which the agent cannot enter",
    ]
    assert "hunter2" not in "".join(found)
