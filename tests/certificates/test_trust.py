"""Where trust roots come from, and what is said when they cannot be had."""

from __future__ import annotations

import os
from pathlib import Path

import certifi
import pytest
from cryptography.hazmat.primitives import serialization

from probe.certificates import Roots, TrustError, load_roots
from probe.certificates.certificate import Certificate, read
from probe.model.tls import Trust

from .authority import Made, dn, intermediate, issue, leaf, root


def pem(*made: Made) -> bytes:
    return b"".join(m.certificate.public_bytes(serialization.Encoding.PEM) for m in made)


def test_mozillas_list_is_the_default_and_every_entry_is_readable() -> None:
    roots = load_roots(Trust())
    listed = Path(certifi.where()).read_bytes().count(b"BEGIN CERTIFICATE")
    assert len(roots.digests) == listed > 100


def test_a_file_may_hold_several_roots_text_between_them_and_repetitions(tmp_path: Path) -> None:
    one, other = root("One"), root("Other")
    path = tmp_path / "roots.pem"
    path.write_bytes(b"# ours\n" + pem(one, one) + b"\nand\n" + pem(other))
    roots = load_roots(Trust("file", str(path)))
    assert len(roots.digests) == 2


def test_an_entry_that_cannot_be_parsed_is_left_out_and_the_others_hold(tmp_path: Path) -> None:
    path = tmp_path / "roots.pem"
    broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    odd = b"-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----\n"
    path.write_bytes(broken + odd + pem(root()))
    roots = load_roots(Trust("file", str(path)))
    assert len(roots.digests) == 1


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_a_file_without_roots_is_an_error_that_names_it(
    tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "roots.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TrustError, match=r"roots\.pem"):
        load_roots(Trust("file", str(path)))


def test_a_pipe_that_nobody_writes_to_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "roots.pem"
    os.mkfifo(path)
    with pytest.raises(TrustError, match=r"roots\.pem: not a regular file"):
        load_roots(Trust("file", str(path)))


def test_a_file_that_is_not_named_is_an_error() -> None:
    with pytest.raises(TrustError, match="no file is named"):
        load_roots(Trust("file"))


def test_the_systems_store_is_the_file_that_openssl_uses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "system.pem"
    path.write_bytes(pem(root("Ours")))
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    assert len(load_roots(Trust("system")).digests) == 1


def test_the_systems_store_may_be_a_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "certs"
    store.mkdir()
    (store / "one.pem").write_bytes(pem(root("One")))
    (store / "two.0").write_bytes(pem(root("Two")))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "absent"))
    monkeypatch.setenv("SSL_CERT_DIR", str(store))
    assert len(load_roots(Trust("system")).digests) == 2


def test_a_host_without_any_store_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "absent"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "absent"))
    with pytest.raises(TrustError, match="this host"):
        load_roots(Trust("system"))


def test_only_roots_whose_names_a_chain_mentions_concern_it() -> None:
    one, other, pinned = root("One"), root("Other"), leaf(None, common_name="pinned")
    roots = Roots.of(made.der for made in (one, other, pinned))
    server, issuing = read(leaf(intermediate(one)).der), read(intermediate(one).der)
    itself = read(pinned.der)
    assert isinstance(server, Certificate)
    assert isinstance(issuing, Certificate)
    assert isinstance(itself, Certificate)
    assert [c.facts.subject for c in roots.concerning([server, issuing])] == [
        "CN=One,O=Trust Services"
    ]
    assert [c.digest for c in roots.concerning([itself])] == [itself.digest]


def test_names_are_the_same_in_other_case_and_spacing() -> None:
    one = read(issue(dn("Shop  Root", "ACME"), None).der)
    other = read(issue(dn("shop root", "Acme"), None).der)
    third = read(issue(dn("shoproot", "Acme"), None).der)
    assert isinstance(one, Certificate)
    assert isinstance(other, Certificate)
    assert isinstance(third, Certificate)
    assert one.subject_key == other.subject_key != third.subject_key
