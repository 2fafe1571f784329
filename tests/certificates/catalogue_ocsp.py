"""Catalogue: stapled OCSP answers, each on the valid chain Leaf -> Issuing -> [Root]."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from probe.model.failure import Reason
from probe.model.tls import ChainExpectations

from .authority import DAY, NOW, Made, ec_key, intermediate, leaf, root, rsa_key
from .case import Case, case

MUST_STAPLE = (x509.TLSFeature([x509.TLSFeatureType.status_request]), False)
REQUIRED = ChainExpectations(ocsp="require")
IGNORED = ChainExpectations(ocsp="ignore")
RESPONDER = (ExtendedKeyUsageOID.OCSP_SIGNING,)


@dataclass(frozen=True)
class World:
    """A root, an issuing authority, and a server whose certificate it signed."""

    top: Made
    issuing: Made
    server: Made

    def case(
        self,
        staple: bytes | None,
        *failures: Reason,
        warnings: tuple[Reason, ...] = (),
        expect: ChainExpectations | None = None,
        says: tuple[str, ...] = (),
    ) -> Case:
        return Case(
            sent=[self.server, self.issuing],
            roots=[self.top],
            staple=staple,
            expect=expect or ChainExpectations(),
            failures=failures,
            warnings=warnings,
            stricter="neither verifier looks at the staple" if failures else "",
            says=says,
        )


def world(*, must_staple: bool = False, rsa: bool = False) -> World:
    top = root()
    issuing = intermediate(top, key=rsa_key() if rsa else ec_key())
    return World(top, issuing, leaf(issuing, extra=[MUST_STAPLE] if must_staple else []))


def answer(
    server: Made,
    issuer: Made,
    *,
    signer: Made | None = None,
    status: ocsp.OCSPCertStatus = ocsp.OCSPCertStatus.GOOD,
    this_update: datetime = NOW - DAY,
    next_update: datetime | None = NOW + 6 * DAY,
    enclosed: tuple[Made, ...] = (),
) -> bytes:
    """A response about one certificate, signed by its issuer unless another signer is given."""
    revoked = status is ocsp.OCSPCertStatus.REVOKED
    signer = signer or issuer
    builder = (
        ocsp.OCSPResponseBuilder()
        .add_response(
            cert=server.certificate,
            issuer=issuer.certificate,
            algorithm=hashes.SHA256(),
            cert_status=status,
            this_update=this_update,
            next_update=next_update,
            revocation_time=NOW - 2 * DAY if revoked else None,
            revocation_reason=x509.ReasonFlags.key_compromise if revoked else None,
        )
        .responder_id(ocsp.OCSPResponderEncoding.HASH, signer.certificate)
    )
    if enclosed:
        builder = builder.certificates([made.certificate for made in enclosed])
    algorithm = None if isinstance(signer.key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    response = builder.sign(signer.key, algorithm)
    return response.public_bytes(serialization.Encoding.DER)


def der(tag: int, *parts: bytes) -> bytes:
    """One element of DER (X.690 section 8.1)."""
    content = b"".join(parts)
    size = len(content)
    head = bytes([size]) if size < 128 else b"\x82" + size.to_bytes(2, "big")
    return bytes([tag]) + head + content


def resigned(staple: bytes, algorithm: bytes, sign: Callable[[bytes], bytes]) -> bytes:
    """The same answer under another signature, which the library cannot make by itself."""
    text = ocsp.load_der_ocsp_response(staple).tbs_response_bytes
    basic = der(0x30, text, algorithm, der(0x03, b"\0", sign(text)))
    kind = bytes.fromhex("06092b0601050507300101")  # id-pkix-ocsp-basic
    return der(0x30, der(0x0A, b"\0"), der(0xA0, der(0x30, kind, der(0x04, basic))))


SHA = "0609608648016503040"  # and two digits more: 201 SHA-256, 202 SHA-384, 208 SHA3-256


def pss(digest: str, mask: str, salt: int | None) -> bytes:
    """The AlgorithmIdentifier of RSASSA-PSS (RFC 4055 section 3.1)."""
    mgf1 = bytes.fromhex("06092a864886f70d010108")
    fields = [
        der(0xA0, der(0x30, bytes.fromhex(SHA + digest), b"\5\0")),
        der(0xA1, der(0x30, mgf1, der(0x30, bytes.fromhex(SHA + mask), b"\5\0"))),
    ]
    if salt is not None:
        fields.append(der(0xA2, der(0x02, bytes([salt]))))
    return der(0x30, bytes.fromhex("06092a864886f70d01010a"), der(0x30, *fields))


def by_pss(
    w: World, staple: bytes, *, digest: hashes.HashAlgorithm, named: str, salt: int | None = 32
) -> bytes:
    def sign(text: bytes) -> bytes:
        assert isinstance(w.issuing.key, rsa.RSAPrivateKey)
        scheme = padding.PSS(padding.MGF1(digest), 20 if salt is None else salt)
        return w.issuing.key.sign(text, scheme, digest)

    return resigned(staple, pss(named, named, salt), sign)


@case
def staple_good_by_pss() -> Case:
    """Good, signed with RSASSA-PSS and SHA-256, of a must-staple certificate: valid."""
    w = world(must_staple=True, rsa=True)
    good = answer(w.server, w.issuing)
    return w.case(by_pss(w, good, digest=hashes.SHA256(), named="201"))


@case
def staple_good_by_pss_of_another_hash_and_salt() -> Case:
    """Good, signed with RSASSA-PSS, SHA-384 and a salt of the length that need not be named."""
    w = world(must_staple=True, rsa=True)
    good = answer(w.server, w.issuing)
    return w.case(by_pss(w, good, digest=hashes.SHA384(), named="202", salt=None))


@case
def staple_revoked_by_pss() -> Case:
    """Revoked, signed with RSASSA-PSS: fatal."""
    w = world(rsa=True)
    revoked = answer(w.server, w.issuing, status=ocsp.OCSPCertStatus.REVOKED)
    return w.case(by_pss(w, revoked, digest=hashes.SHA256(), named="201"), Reason.OCSP_REVOKED)


@case
def staple_forged_by_pss() -> Case:
    """The signature is another hash's: worth nothing."""
    w = world(must_staple=True, rsa=True)
    staple = by_pss(w, answer(w.server, w.issuing), digest=hashes.SHA384(), named="201")
    return w.case(staple, Reason.OCSP_INVALID, says=("neither by the issuer nor",))


UNCHECKED = (Reason.OCSP_INVALID,)


@case
def staple_by_pss_with_a_hash_unknown_here() -> Case:
    """RSASSA-PSS with SHA3-256: not accused, also where a staple is demanded."""
    w = world(must_staple=True, rsa=True)
    staple = by_pss(w, answer(w.server, w.issuing), digest=hashes.SHA3_256(), named="208")
    return w.case(staple, warnings=UNCHECKED, says=("cannot be checked here",))


@case
def staple_by_an_algorithm_unknown_here() -> Case:
    """Revoked, signed with GOST R 34.10-2012: neither accused nor believed."""
    w = world(must_staple=True)
    revoked = answer(w.server, w.issuing, status=ocsp.OCSPCertStatus.REVOKED)
    gost = der(0x30, bytes.fromhex("06082a85030701010302"))
    staple = resigned(revoked, gost, lambda text: b"\1" * 64)
    return w.case(staple, warnings=UNCHECKED, says=("1.2.643.7.1.1.3.2",))


@case
def staple_by_pss_without_parameters_that_can_be_read() -> Case:
    """RSASSA-PSS whose parameters are cut: worth nothing."""
    w = world(rsa=True)
    broken = der(0x30, bytes.fromhex("06092a864886f70d01010a"), der(0x30, b"\xa0\x09\x30"))
    staple = resigned(answer(w.server, w.issuing), broken, lambda text: b"\1" * 256)
    return w.case(staple, warnings=(Reason.OCSP_INVALID,))


@case
def staple_by_a_responder_with_ed25519() -> Case:
    """Good, signed with Ed25519, which needs no hash of its own: valid."""
    w = world(must_staple=True)
    responder = leaf(w.issuing, purposes=RESPONDER, key=ed25519.Ed25519PrivateKey.generate())
    return w.case(answer(w.server, w.issuing, signer=responder, enclosed=(responder,)))


@case
def staple_good() -> Case:
    """Good, signed by the issuer: valid."""
    w = world()
    return w.case(answer(w.server, w.issuing))


@case
def staple_good_by_rsa() -> Case:
    """Good, signed by the issuer's RSA key: valid."""
    w = world(rsa=True)
    return w.case(answer(w.server, w.issuing))


@case
def staple_good_without_end() -> Case:
    """Good, no nextUpdate: newer answers are always there, so it never ends."""
    w = world()
    return w.case(answer(w.server, w.issuing, next_update=None))


@case
def staple_by_appointed_responder() -> Case:
    """Good, signed by a responder that the issuer appointed: valid."""
    w = world()
    responder = leaf(w.issuing, purposes=RESPONDER, common_name="responder")
    return w.case(answer(w.server, w.issuing, signer=responder, enclosed=(responder,)))


@case
def staple_by_responder_without_the_purpose() -> Case:
    """Good, signed by some other certificate of the issuer: worth nothing."""
    w = world()
    other = leaf(w.issuing, common_name="other")
    staple = answer(w.server, w.issuing, signer=other, enclosed=(other,))
    return w.case(staple, warnings=(Reason.OCSP_INVALID,))


@case
def staple_by_expired_responder() -> Case:
    """Good, signed by an appointed responder whose certificate ended."""
    w = world()
    responder = leaf(w.issuing, purposes=RESPONDER, not_after=NOW - DAY)
    staple = answer(w.server, w.issuing, signer=responder, enclosed=(responder,))
    return w.case(staple, warnings=(Reason.OCSP_INVALID,))


@case
def staple_by_a_stranger() -> Case:
    """Revoked, signed by a stranger: it must not be believed."""
    w = world()
    staple = answer(
        w.server, w.issuing, signer=root("Stranger"), status=ocsp.OCSPCertStatus.REVOKED
    )
    return w.case(staple, warnings=(Reason.OCSP_INVALID,))


@case
def staple_revoked() -> Case:
    """Revoked: fatal whatever was demanded."""
    w = world()
    staple = answer(w.server, w.issuing, status=ocsp.OCSPCertStatus.REVOKED)
    return w.case(staple, Reason.OCSP_REVOKED, says=("2026-05-30T00:00:00Z",))


@case
def staple_unknown() -> Case:
    """The responder does not know the certificate: a warning."""
    w = world()
    staple = answer(w.server, w.issuing, status=ocsp.OCSPCertStatus.UNKNOWN)
    return w.case(staple, warnings=(Reason.OCSP_INVALID,))


@case
def staple_expired() -> Case:
    """An answer that ended yesterday: a warning."""
    w = world()
    staple = answer(w.server, w.issuing, this_update=NOW - 8 * DAY, next_update=NOW - DAY)
    return w.case(staple, warnings=(Reason.OCSP_EXPIRED,))


@case
def staple_expired_of_must_staple() -> Case:
    """The same for a certificate that demands a staple: clients that insist fail."""
    w = world(must_staple=True)
    staple = answer(w.server, w.issuing, this_update=NOW - 8 * DAY, next_update=NOW - DAY)
    return w.case(staple, Reason.OCSP_EXPIRED, says=("2026-05-31T00:00:00Z",))


@case
def staple_from_tomorrow() -> Case:
    """An answer that begins tomorrow."""
    w = world()
    staple = answer(w.server, w.issuing, this_update=NOW + DAY)
    return w.case(staple, warnings=(Reason.OCSP_INVALID,))


@case
def staple_from_a_clock_a_little_ahead() -> Case:
    """An answer that begins in two minutes: clocks differ, so it is taken."""
    w = world()
    return w.case(answer(w.server, w.issuing, this_update=NOW + DAY / 720))


@case
def staple_for_another_certificate() -> Case:
    """Good, for another certificate of the same issuer: a warning."""
    w = world()
    return w.case(answer(leaf(w.issuing), w.issuing), warnings=(Reason.OCSP_MISMATCH,))


@case
def staple_for_another_issuers_certificate() -> Case:
    """Good, for the same serial number of an issuer of the same name and another key."""
    w = world()
    namesake = intermediate(w.top)
    twin = leaf(namesake, serial=w.server.certificate.serial_number)
    return w.case(answer(twin, namesake), warnings=(Reason.OCSP_MISMATCH,))


@case
def staple_garbage() -> Case:
    """Bytes that are no answer: a warning."""
    return world().case(b"garbage", warnings=(Reason.OCSP_INVALID,))


@case
def staple_try_later() -> Case:
    """The responder was overloaded, and the server staples that: a warning."""
    status = ocsp.OCSPResponseStatus.TRY_LATER
    staple = ocsp.OCSPResponseBuilder.build_unsuccessful(status)
    der = staple.public_bytes(serialization.Encoding.DER)
    return world().case(der, warnings=(Reason.OCSP_INVALID,))


@case
def staple_missing() -> Case:
    """Nothing stapled, nothing demanded: valid."""
    return world().case(None)


@case
def staple_missing_of_must_staple() -> Case:
    """Nothing stapled though the certificate demands it (RFC 7633)."""
    w = world(must_staple=True)
    return w.case(b"", Reason.OCSP_MISSING, says=("must-staple",))


@case
def staple_missing_though_required() -> Case:
    """Nothing stapled though the check requires it."""
    return world().case(None, Reason.OCSP_MISSING, expect=REQUIRED)


@case
def staple_mismatch_though_required() -> Case:
    """Another certificate's answer where the check requires one."""
    w = world()
    return w.case(answer(leaf(w.issuing), w.issuing), Reason.OCSP_MISMATCH, expect=REQUIRED)


@case
def staple_ignored() -> Case:
    """Revoked and must-staple, and the check ignores OCSP: valid."""
    w = world(must_staple=True)
    staple = answer(w.server, w.issuing, status=ocsp.OCSPCertStatus.REVOKED)
    return w.case(staple, expect=IGNORED)
