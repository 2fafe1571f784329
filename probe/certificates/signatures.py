"""Whether one certificate's key made another's signature."""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from OpenSSL import crypto

from probe.certificates.certificate import Certificate
from probe.certificates.extensions import UNREADABLE

# x509_vfy.h; the binding passes flags through and has no name for this one.
_V_FLAG_NO_CHECK_TIME = 0x200000
_V_ERR_CERT_SIGNATURE_FAILURE = 7
_V_ERR_UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY = 6
_NOT_SIGNED = frozenset({_V_ERR_CERT_SIGNATURE_FAILURE, _V_ERR_UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY})


def signed_by(certificate: Certificate, issuer: Certificate) -> bool:
    """Whether the issuer's name and key stand behind the certificate's signature.

    Never with a costly key: it is refused anyway, and verifying would hold up the event loop.
    """
    if issuer.costly_key:
        return False
    try:
        certificate.parsed.verify_directly_issued_by(issuer.parsed)
    except InvalidSignature:
        return False
    except UNREADABLE:
        # Names that are equal to OpenSSL alone, or MD5 and SHA-1, which cryptography no longer
        # computes: such a path must still be followed, or it would be called untrusted where
        # it is weak.
        return _signed_as_openssl_sees_it(certificate, issuer)
    return True


def _signed_as_openssl_sees_it(certificate: Certificate, issuer: Certificate) -> bool:
    try:
        store = crypto.X509Store()
        store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN | _V_FLAG_NO_CHECK_TIME)
        store.add_cert(crypto.load_certificate(crypto.FILETYPE_ASN1, issuer.der))
        leaf = crypto.load_certificate(crypto.FILETYPE_ASN1, certificate.der)
        chain = crypto.X509StoreContext(store, leaf).get_verified_chain()
    except crypto.X509StoreContextError as refusal:
        code, depth, _ = refusal.errors
        # Refused for what stands in the issuer's certificate, not for the signature: fine here.
        return depth > 0 and code not in _NOT_SIGNED
    except crypto.Error:
        return False
    return len(chain) > 1
