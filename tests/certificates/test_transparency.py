"""Timestamps of Certificate Transparency: counted, checked, and held against browsers' policies."""

from __future__ import annotations

import base64
import hashlib
import ssl
import subprocess
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import certifi
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import ocsp

from probe.certificates import Judge, Roots, Verdict
from probe.certificates.der import elements
from probe.certificates.trust import public_roots
from probe.documents.log_list import read_log_list
from probe.documents.problem import DocumentError
from probe.model.failure import Reason
from probe.model.tls import ChainExpectations, Trust
from tests.support.ports import free_port

from .authority import DAY, NOW, Made, intermediate, leaf, root, rsa_key, sequence
from .logs import EMBEDDED, STAPLED, Log, logged, some_logs, tls_list, write_list

AT = NOW.timestamp()
TOP = root()
ISSUING = intermediate(TOP)
FEW, BAD = Reason.TOO_FEW_SCTS, Reason.SCT_INVALID


async def judged(
    server: Made,
    expect: ChainExpectations | None = None,
    *,
    public: bool = True,
    staple: bytes | None = None,
    at: float = AT,
) -> Verdict:
    judge = Judge(
        lambda _: Roots.of([TOP.der]),
        public=lambda: frozenset([hashlib.sha256(TOP.der).digest()] if public else []),
    )
    expect = expect or ChainExpectations()
    chain = [server.der, ISSUING.der]
    return await judge.judge(chain, "shop.example", at, trust=Trust(), expect=expect, staple=staple)


def reasons(verdict: Verdict) -> tuple[list[Reason], list[Reason]]:
    return [f.reason for f in verdict.failures], [f.reason for f in verdict.warnings]


async def test_enough_timestamps_are_counted_and_nothing_is_found() -> None:
    verdict = await judged(logged(ISSUING, some_logs()[:2]))
    assert reasons(verdict) == ([], [])
    assert verdict.timestamps is not None
    assert (verdict.timestamps.embedded, verdict.timestamps.logs) == (2, 2)
    assert not verdict.timestamps.checked


@pytest.mark.parametrize(("days", "needed"), [(90, 2), (180, 2), (181, 3), (398, 3)])
async def test_how_many_are_needed_goes_by_the_lifetime(days: int, needed: int) -> None:
    """NotAfter is part of the lifetime: an authority's 180 days end a second early."""
    server = logged(
        ISSUING, some_logs()[:1], not_after=NOW - 30 * DAY + timedelta(days=days, seconds=-1)
    )
    verdict = await judged(server)
    assert reasons(verdict) == ([], [FEW])
    assert verdict.timestamps is not None
    assert verdict.timestamps.needed == needed
    assert f"1 of distinct logs count, and browsers need {needed}" in verdict.warnings[0].detail


async def test_two_of_one_log_are_one() -> None:
    oak = some_logs()[0]
    verdict = await judged(logged(ISSUING, [oak, replace(oak, at=NOW - 29 * DAY)]))
    assert reasons(verdict) == ([], [FEW])


async def test_a_private_root_is_never_asked() -> None:
    verdict = await judged(leaf(ISSUING), ChainExpectations(ct="require"), public=False)
    assert reasons(verdict) == ([], [])
    assert verdict.timestamps is None


async def test_a_check_may_ignore_them() -> None:
    verdict = await judged(leaf(ISSUING), ChainExpectations(ct="ignore"))
    assert reasons(verdict) == ([], [])
    assert verdict.timestamps is None


async def test_too_few_fail_where_the_check_requires_them() -> None:
    verdict = await judged(logged(ISSUING, some_logs()[:1]), ChainExpectations(ct="require"))
    assert reasons(verdict) == ([FEW], [])


async def test_none_at_all_may_come_in_the_extension_that_is_not_looked_at() -> None:
    verdict = await judged(leaf(ISSUING), ChainExpectations(ct="require"))
    assert reasons(verdict) == ([], [FEW])
    assert "the extension of the handshake, which may carry more, is not looked at" in (
        verdict.warnings[0].detail
    )


async def test_an_unverified_chain_is_not_asked() -> None:
    verdict = await judged(leaf(intermediate(root("Other"))))
    assert FEW not in [f.reason for f in (*verdict.failures, *verdict.warnings)]
    assert verdict.timestamps is None


# ---------------------------------------------------------------- the staple


def stapled(server: Made, logs: Sequence[Log]) -> bytes:
    size = len(server.der).to_bytes(3, "big")
    value = tls_list(log.sign(0, size + server.der) for log in logs)
    builder = ocsp.OCSPResponseBuilder().add_response(
        server.certificate,
        ISSUING.certificate,
        hashes.SHA256(),
        ocsp.OCSPCertStatus.GOOD,
        NOW - DAY,
        NOW + 6 * DAY,
        None,
        None,
    )
    builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, ISSUING.certificate)
    response = builder.sign(ISSUING.key, hashes.SHA256())
    return with_single_extension(response, value)


def with_single_extension(response: ocsp.OCSPResponse, value: bytes) -> bytes:
    """The library sets extensions of the whole answer alone: put one into its only part."""
    data, algorithm, _, *rest = elements(_basic(response))
    before, singles = [], b""
    for part in elements(data):
        if part[0] == 0x30:
            singles = part
        elif not singles:
            before.append(part)
    oid = bytes([0x06, 10]) + bytes.fromhex("2b06010401d679020405")
    assert STAPLED.dotted_string == "1.3.6.1.4.1.11129.2.4.5"
    extensions = sequence(sequence(sequence(oid, sequence(value, tag=0x04))), tag=0xA1)
    (single,) = elements(singles)
    singles = sequence(sequence(*elements(single), extensions))
    tbs = sequence(*before, singles)
    assert isinstance(ISSUING.key, ec.EllipticCurvePrivateKey)
    signature = sequence(b"\0", ISSUING.key.sign(tbs, ec.ECDSA(hashes.SHA256())), tag=0x03)
    basic = sequence(tbs, algorithm, signature, *rest)
    kind = bytes.fromhex("06092b0601050507300101")
    return sequence(
        bytes.fromhex("0a0100"), sequence(sequence(kind, sequence(basic, tag=0x04)), tag=0xA0)
    )


def _basic(response: ocsp.OCSPResponse) -> bytes:
    _, wrapped = elements(response.public_bytes(Encoding.DER))
    _, octets = elements(next(elements(wrapped)))
    return next(elements(octets))


async def test_those_of_the_staple_count(tmp_path: Path) -> None:
    logs = some_logs()
    server = logged(ISSUING, logs[:1], days=398)
    list_path = write_list(tmp_path / "logs.json", logs)
    for expect in (ChainExpectations(), ChainExpectations(ct_log_list=list_path)):
        verdict = await judged(server, expect, staple=stapled(server, logs[1:2]))
        assert verdict.ocsp == "good"
        assert reasons(verdict) == ([], [])
        assert verdict.timestamps is not None
        assert (verdict.timestamps.stapled, verdict.timestamps.needed) == (1, 2)


async def test_a_staple_for_another_certificate_counts_for_nothing() -> None:
    logs = some_logs()
    other = stapled(logged(ISSUING, logs[:1]), logs[1:])
    verdict = await judged(logged(ISSUING, logs[:1]), staple=other)
    assert FEW in reasons(verdict)[1]


# ---------------------------------------------------------------- a list of logs


@pytest.fixture
def listed(tmp_path: Path) -> ChainExpectations:
    path = write_list(tmp_path / "logs.json", some_logs())
    return ChainExpectations(ct="require", ct_log_list=path)


async def test_signatures_of_listed_logs_are_checked(listed: ChainExpectations) -> None:
    verdict = await judged(logged(ISSUING, some_logs()[:2]), listed)
    assert reasons(verdict) == ([], [])
    assert verdict.timestamps is not None
    assert verdict.timestamps.checked
    verdict = await judged(logged(ISSUING, some_logs()[:2], spoilt=True), listed)
    assert reasons(verdict) == ([FEW], [BAD])
    assert "the signature of Oak does not hold and 1 more" in verdict.warnings[0].detail


async def test_an_rsa_log_is_checked_too(tmp_path: Path) -> None:
    logs = [Log("Old", key=rsa_key()), some_logs()[0]]
    expect = ChainExpectations(ct_log_list=write_list(tmp_path / "logs.json", logs))
    assert reasons(await judged(logged(ISSUING, logs), expect)) == ([], [])
    assert reasons(await judged(logged(ISSUING, logs, spoilt=True), expect)) == ([], [FEW, BAD])


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"state": "rejected"}, "(1 of logs that the list does not approve)"),
        ({"state": "pending"}, "(1 of logs that the list does not approve)"),
        ({"state": "retired"}, "(1 of logs that the list does not approve)"),
        ({"operator": "Elm"}, "all that count are of one operator"),
    ],
)
async def test_what_the_list_says_of_a_log_counts(
    tmp_path: Path, changes: dict[str, str], says: str
) -> None:
    """A log that was retired in January does not count with a timestamp of May."""
    oak, elm, _ = some_logs()
    odd = replace(oak, **changes)  # type: ignore[arg-type]  # all are texts
    path = write_list(tmp_path / "logs.json", [odd, replace(elm, operator="Elm")])
    verdict = await judged(logged(ISSUING, [odd, elm]), ChainExpectations(ct_log_list=path))
    assert reasons(verdict) == ([], [FEW])
    assert says in verdict.warnings[0].detail


async def test_a_log_that_was_retired_later_counts_beside_one_in_use(tmp_path: Path) -> None:
    old = replace(some_logs()[0], state="retired", at=NOW - 300 * DAY)
    for second, expected in (
        (some_logs()[1], []),
        (replace(old, name="Yew", key=rsa_key()), [FEW]),
    ):
        path = write_list(tmp_path / "logs.json", [old, second])
        verdict = await judged(logged(ISSUING, [old, second]), ChainExpectations(ct_log_list=path))
        assert reasons(verdict) == ([], expected)


async def test_tiled_logs_alone_are_too_few_while_there_are_others(tmp_path: Path) -> None:
    oak, elm, fir = (replace(log, tiled=True) for log in some_logs())
    server = logged(ISSUING, [oak, elm])
    path = write_list(tmp_path / "logs.json", [oak, elm, replace(fir, tiled=False)])
    assert reasons(await judged(server, ChainExpectations(ct_log_list=path))) == ([], [FEW])
    path = write_list(tmp_path / "logs.json", [oak, elm])
    assert reasons(await judged(server, ChainExpectations(ct_log_list=path))) == ([], [])


async def test_a_timestamp_of_tomorrow_counts_tomorrow(listed: ChainExpectations) -> None:
    oak, elm, _ = some_logs()
    server = logged(ISSUING, [oak, replace(elm, at=NOW + DAY)])
    verdict = await judged(server, listed)
    assert reasons(verdict) == ([FEW], [BAD])
    assert verdict.valid_until == AT + DAY.total_seconds()
    assert reasons(await judged(server, listed, at=AT + DAY.total_seconds())) == ([], [])


async def test_a_new_list_is_used_at_once(tmp_path: Path) -> None:
    """What a reload reads goes before every remembered verdict."""
    logs = some_logs()
    path = write_list(tmp_path / "logs.json", logs[:1])
    public = frozenset([hashlib.sha256(TOP.der).digest()])
    judge = Judge(lambda _: Roots.of([TOP.der]), public=lambda: public)
    chain = [logged(ISSUING, logs[:2]).der, ISSUING.der]
    expect = ChainExpectations(ct_log_list=path)

    async def ask() -> Verdict:
        return await judge.judge(chain, "shop.example", AT, trust=Trust(), expect=expect)

    assert reasons(await ask()) == ([], [FEW])
    write_list(tmp_path / "logs.json", logs)
    judge.read_logs(path)
    assert reasons(await ask()) == ([], [])
    Path(path).write_text("{}")
    with pytest.raises(DocumentError):
        judge.read_logs(path)
    assert reasons(await ask()) == ([], [])


async def test_without_its_list_nothing_is_said_of_a_check(tmp_path: Path) -> None:
    verdict = await judged(leaf(ISSUING), ChainExpectations(ct_log_list=str(tmp_path / "none")))
    assert reasons(verdict) == ([Reason.LOCAL_RESOURCE], [])
    assert "list of logs: " in verdict.failures[0].detail


async def test_garbage_in_their_place_is_a_warning_and_no_crash() -> None:
    for value in (
        b"",
        b"\x04\x00",
        b"\x04\x02\x00\xff",
        tls_list([b"\0" * 7]),
        b"\x04\x82\xff\xff",
    ):
        extension = x509.UnrecognizedExtension(EMBEDDED, value)
        verdict = await judged(leaf(ISSUING, extra=[(extension, False)]))
        assert {FEW, BAD} <= set(reasons(verdict)[1]), value
        assert not verdict.failures


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", ":1:2: not valid JSON"),
        ("[]", ":1:1: expected a list operators; write a log list of version 3"),
        ('{"operators": []}', "the list contains no log"),
        ('{"operators": [{"logs": []}]}', "operators[0] has no name"),
        ('{"operators": [{"name": "x", "logs": [\n{"log_id": "??"}]}]}', "logs[0].key is missing"),
        (
            '{"operators": [{"name": "x", "logs": [\n{"key": "AAAA",\n "log_id": "AAAB"}]}]}',
            ":3:12: operators[0].logs[0]: log_id is not the SHA-256 of key",
        ),
    ],
)
def test_a_bad_list_is_told_with_its_line(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "logs.json"
    path.write_text(text)
    with pytest.raises(DocumentError) as caught:
        read_log_list(str(path))
    assert says in str(caught.value)


def test_the_public_roots_are_those_of_mozilla() -> None:
    context = ssl.create_default_context(cafile=certifi.where())
    ders = context.get_ca_certs(binary_form=True)
    assert public_roots() >= {hashlib.sha256(der).digest() for der in ders}
    assert len(public_roots()) == Path(certifi.where()).read_text().count("BEGIN CERT")


# ---------------------------------------------------------------- a second opinion


@pytest.mark.real
@pytest.mark.parametrize("spoilt", [False, True])
async def test_openssl_sees_the_signatures_alike(tmp_path: Path, spoilt: bool) -> None:
    """A log of the list, one that is not in it, and each with a signature that does not hold."""
    oak, elm, _ = some_logs()
    server = logged(ISSUING, [oak, elm], spoilt=spoilt)
    path = write_list(tmp_path / "logs.json", [oak])
    verdict = await judged(server, ChainExpectations(ct_log_list=path))
    assert reasons(verdict) == ([], [FEW, BAD] if spoilt else [FEW])
    key = base64.b64encode(oak.spki).decode()
    conf = f"enabled_logs = oak\n[oak]\ndescription = Oak\nkey = {key}\n"
    (tmp_path / "logs.conf").write_text(conf)
    write_pem(tmp_path / "root.pem", TOP.certificate)
    write_pem(tmp_path / "issuing.pem", ISSUING.certificate)
    write_pem(tmp_path / "server.pem", server.certificate)
    (tmp_path / "server.key").write_bytes(
        server.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    said = s_client(tmp_path)
    states = [line.split(":")[1].strip() for line in said.splitlines() if "validation st" in line]
    assert set(states) == {"invalid" if spoilt else "valid", "unknown log"}, said


def write_pem(path: Path, certificate: x509.Certificate) -> None:
    path.write_bytes(certificate.public_bytes(Encoding.PEM))


def s_client(folder: Path) -> str:
    port = str(free_port())
    files = ["-cert", "server.pem", "-key", "server.key", "-cert_chain", "issuing.pem"]
    serve = ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", *files, "-quiet"]
    ask = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", "root.pem"]
    ask += ["-ct", "-ctlogfile", "logs.conf", "-attime", str(int(AT))]
    with subprocess.Popen(serve, cwd=folder) as server:
        try:
            for _ in range(100):
                done = subprocess.run(
                    ask, cwd=folder, input="", capture_output=True, text=True, check=False
                )
                if "validation st" in done.stdout:
                    return done.stdout
                time.sleep(0.1)
            return done.stdout + done.stderr
        finally:
            server.terminate()
