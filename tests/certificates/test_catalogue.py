"""Every entry of the catalogue: its findings, and agreement with two other verifiers."""

from __future__ import annotations

import ipaddress
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError
from OpenSSL import crypto

from probe.certificates import Roots, Verdict
from probe.certificates.certificate import Certificate, read
from probe.certificates.verdict import IMPORTANCE
from probe.model.failure import Phase, Reason

from . import catalogue_names, catalogue_ocsp, catalogue_oddities, catalogue_paths
from .case import CATALOGUE, Case, judge_chain

# Importing them enters their cases.
CATALOGUES = (catalogue_names, catalogue_ocsp, catalogue_oddities, catalogue_paths)

each_case = pytest.mark.parametrize("name", sorted(CATALOGUE))


def judged(case: Case) -> Verdict:
    known = [read(made.der) for made in case.known]
    return judge_chain(
        case.ders,
        case.name,
        case.now.timestamp(),
        roots=Roots.of(made.der for made in case.roots),
        expect=case.expect,
        staple=case.staple,
        own_names=case.own_names,
        known=[certificate for certificate in known if isinstance(certificate, Certificate)],
    )


@each_case
def test_findings_are_exactly_those_expected_and_in_order(name: str) -> None:
    case = CATALOGUE[name]()
    verdict = judged(case)
    assert [f.reason for f in verdict.failures] == list(case.failures), verdict
    assert [f.reason for f in verdict.warnings] == list(case.warnings), verdict
    assert {f.phase for f in verdict.failures + verdict.warnings} <= {Phase.CERTIFICATE}
    for first in (verdict.failures + verdict.warnings)[:1]:
        assert all(text in first.detail for text in case.says), first
    if case.verified_not_after:
        assert verdict.verified_not_after == case.verified_not_after.timestamp()


@each_case
def test_nothing_is_accepted_that_the_others_refuse_and_good_chains_are(name: str) -> None:
    case = CATALOGUE[name]()
    assert webpki_accepts(case) is case.webpki, "the case is wrong about cryptography"
    accepted = judged(case).accepted
    if not (case.openssl or case.webpki) or not openssl_finds_a_path(case):
        assert not accepted
    if case.openssl and case.webpki:
        assert accepted is not bool(case.stricter)


@each_case
def test_a_path_is_verified_only_when_a_verifier_has_one(name: str) -> None:
    case = CATALOGUE[name]()
    verdict = judged(case)
    untrusted = {
        Reason.SELF_SIGNED,
        Reason.UNKNOWN_ISSUER,
        Reason.MISSING_INTERMEDIATE,
        Reason.EXPIRED,
        Reason.NOT_YET_VALID,
        Reason.NAME_CONSTRAINTS,
    }
    if untrusted & {failure.reason for failure in verdict.failures}:
        assert verdict.verified_not_after is None
    if verdict.accepted:
        assert verdict.verified_not_after is not None


@pytest.mark.real
@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl command on this host")
@each_case
def test_openssl_of_this_host_says_what_the_case_says(name: str, tmp_path: Path) -> None:
    case = CATALOGUE[name]()
    if not case.sent or any(isinstance(entry, bytes) for entry in case.sent):
        pytest.skip("openssl verify reads files, not a message with garbage in it")
    if name == "last_second_of_validity":
        pytest.skip("older releases of OpenSSL count the last second as over")
    assert openssl_accepts(case, tmp_path) is case.openssl


def test_every_reason_has_a_case() -> None:
    cases = [make() for make in CATALOGUE.values()]
    found = {reason for case in cases for reason in (*case.failures, *case.warnings)}
    own_tests = {Reason.LOCAL_RESOURCE, Reason.TOO_FEW_SCTS, Reason.SCT_INVALID}
    own_tests |= {one for one in IMPORTANCE if one.startswith("crl_")}
    assert found == set(IMPORTANCE) - own_tests, "test_trust.py, test_transparency.py, test_crl.py"


def webpki_accepts(case: Case) -> bool:
    """cryptography's verifier with its defaults, the name included."""
    try:
        certificates = [
            x509.load_der_x509_certificate(der) if at == 0 or der != b"garbage" else None
            for at, der in enumerate(case.ders)
        ]
    except ValueError:
        return False
    leaf, *others = certificates or [None]
    if leaf is None:
        return False
    bare = case.name.rstrip(".")
    try:
        subject: x509.DNSName | x509.IPAddress = x509.IPAddress(ipaddress.ip_address(bare))
    except ValueError:
        subject = x509.DNSName(bare)
    store = Store([made.certificate for made in case.roots])
    builder = PolicyBuilder().store(store).time(case.now)
    try:
        verifier = builder.build_server_verifier(subject)
    except ValueError:
        return False
    try:
        verifier.verify(leaf, [other for other in others if other is not None])
    except VerificationError:
        return False
    return True


def openssl_finds_a_path(case: Case) -> bool:
    """OpenSSL as the binding offers it: the path alone, neither name nor purpose."""
    store = crypto.X509Store()
    store.set_time(case.now)
    store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)
    for made in case.roots:
        store.add_cert(crypto.X509.from_cryptography(made.certificate))
    try:
        leaf, *others = [crypto.load_certificate(crypto.FILETYPE_ASN1, d) for d in case.ders]
        crypto.X509StoreContext(store, leaf, others).verify_certificate()
    except (ValueError, crypto.Error, crypto.X509StoreContextError):
        return False
    return True


def openssl_accepts(case: Case, folder: Path) -> bool:
    """``openssl verify`` with purpose, name, instant and partial chains, as curl does."""
    files = {
        "leaf": case.ders[:1],
        "others": case.ders[1:],
        "roots": [made.der for made in case.roots],
    }
    for name, ders in files.items():
        pem = b"".join(
            x509.load_der_x509_certificate(der).public_bytes(serialization.Encoding.PEM)
            for der in ders
        )
        (folder / name).write_bytes(pem)
    host = case.name.rstrip(".")
    try:
        named = ["-verify_ip", str(ipaddress.ip_address(host))]
    except ValueError:
        named = ["-verify_hostname", host]
    untrusted = ["-untrusted", str(folder / "others")] if case.ders[1:] else []
    done = subprocess.run(
        [
            *("openssl", "verify", "-no-CApath", "-no-CAfile", "-no-CAstore"),
            *("-partial_chain", "-purpose", "sslserver"),
            *("-attime", str(int(case.now.timestamp()))),
            *("-CAfile", str(folder / "roots")),
            *untrusted,
            *named,
            str(folder / "leaf"),
        ],
        check=False,
        capture_output=True,
    )
    return done.returncode == 0


SAID = [
    ("staple_good", "good"),
    ("staple_good_by_pss", "good"),
    ("staple_revoked_by_pss", "revoked"),
    ("staple_by_a_responder_with_ed25519", "good"),
    ("staple_by_a_stranger", None),
    ("staple_forged_by_pss", None),
    ("staple_by_an_algorithm_unknown_here", None),
    ("staple_for_another_certificate", None),
]


@pytest.mark.parametrize(("name", "status"), SAID, ids=[name for name, _ in SAID])
def test_a_staple_says_something_only_if_its_signature_holds(name: str, status: str | None) -> None:
    assert judged(CATALOGUE[name]()).ocsp == status
