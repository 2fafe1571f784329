"""Do the CAA records of a name allow who issued its certificate? RFC 8659 section 4. Pure.

Records count when a certificate is issued, so one that was issued before they changed is no
mistake. Its renewal will fail.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from probe.model.failure import printable
from probe.model.records import CaaRecord, CaaSet

_DIGICERT = (
    "www.digicert.com",
    "digicert.com",
    "digicert.ne.jp",
    "cybertrust.ne.jp",
    "thawte.com",
    "geotrust.com",
    "rapidssl.com",
    "symantec.com",
    "digitalcertvalidation.com",
    "volusion.digitalcertvalidation.com",
    "stratossl.digitalcertvalidation.com",
    "intermediatecertificate.digitalcertvalidation.com",
    "1and1.digitalcertvalidation.com",
    "quovadisglobal.com",
    "pkioverheid.nl",
    "amazon.com",
    "amazontrust.com",
    "awstrust.com",
    "amazonaws.com",
)
_AMAZON = ("amazon.com", "amazontrust.com", "awstrust.com", "amazonaws.com", "aws.amazon.com")
_SECTIGO = (
    "sectigo.com",
    "usertrust.com",
    "trust-provider.com",
    "comodo.com",
    "comodoca.com",
    "entrust.net",
    "affirmtrust.com",
)
_GODADDY = ("godaddy.com", "starfieldtech.com")

AUTHORITIES: Mapping[str, tuple[str, ...]] = {
    "Actalis S.p.A.": ("actalis.it",),
    "Amazon": _AMAZON,
    "Apple Inc.": ("pki.apple.com",),
    "Asseco Data Systems S.A.": ("certum.pl", "certum.eu"),
    "COMODO CA Limited": _SECTIGO,
    "Certainly": ("certainly.com",),
    "D-Trust GmbH": ("d-trust.net", "dtrust.net", "d-trust.de", "dtrust.de"),
    "Deutsche Telekom Security GmbH": ("telesec.de", "pki.dfn.de", "dfn.de"),
    "DigiCert Inc": _DIGICERT,
    "DigiCert, Inc.": _DIGICERT,
    "GlobalSign nv-sa": ("globalsign.com",),
    "GoDaddy.com, Inc.": _GODADDY,
    "Google Trust Services": ("pki.goog",),
    "Google Trust Services LLC": ("pki.goog",),
    "Hellenic Academic and Research Institutions CA": ("harica.gr",),
    "IdenTrust": ("identrust.com",),
    "Let's Encrypt": ("letsencrypt.org",),
    "Microsoft Corporation": ("microsoft.com", *_DIGICERT),
    "SSL Corp": ("ssl.com", "entrust.net", "affirmtrust.com"),
    "SSL Corporation": ("ssl.com", "entrust.net", "affirmtrust.com"),
    "Sectigo Limited": _SECTIGO,
    "Starfield Technologies, Inc.": _GODADDY,
    "SwissSign AG": ("swisssign.com",),
    "ZeroSSL": _SECTIGO,
}
"""Organisation in the issuer's name → names by which CAA records allow it.

From the list of CAA identifiers that authorities declare in the CCADB (the Common CA Database,
https://ccadb.my.salesforce-sites.com/ccadb/AllCAAIdentifiersReportV2) and from their certification
practice statements, as of September 2026. An authority whose names are in doubt is left out: then
nothing can be told.
"""

_TAGS = frozenset(
    {"issue", "issuewild", "iodef", "issuemail", "issuevmc", "contactemail", "contactphone"}
)
"""Tags that authorities know (IANA, Certification Authority Restriction Properties)."""


@dataclass(frozen=True, slots=True)
class CaaOpinion:
    """What the records say about an issuer.

    Attributes:
        forbids: they allow others only, or nobody.
        why: in words; empty where the issuer is allowed.
    """

    forbids: bool = False
    why: str = ""


def caa_opinion(
    found: CaaSet, issuer: str, *, wildcard: bool, own: Mapping[str, tuple[str, ...]]
) -> CaaOpinion:
    """Tell whether records allow the issuer of a certificate.

    Args:
        found: the records that hold for the name.
        issuer: name of the issuer (RFC 4514).
        wildcard: the certificate is for a wildcard: then ``issuewild`` goes before ``issue``.
        own: names by which records allow an organisation, before those of `AUTHORITIES`.
    """
    strange = [one.tag for one in found.records if one.critical and one.tag not in _TAGS]
    if strange:
        what = f"CAA of {found.name} has the critical property {printable(strange[0])}"
        return CaaOpinion(why=f"{what}: whether its issuer knows that cannot be told")
    tag, allowed = _allowed(found.records, wildcard=wildcard)
    if allowed is None:
        return CaaOpinion()
    organisations = tuple(_organisations(issuer))
    known = [names for one in organisations if (names := own.get(one) or AUTHORITIES.get(one))]
    shown = ", ".join(dict.fromkeys(printable(one) for one in allowed if one)) or "nobody"
    said = f"CAA of {found.name} allows {shown} ({tag})"
    who = printable(organisations[0] if organisations else issuer)
    if not any(allowed):
        return CaaOpinion(forbids=True, why=f"{said}; the certificate is from {who}")
    if not known:
        return CaaOpinion(why=f"{said}; which name {who} has there cannot be told")
    if {name for names in known for name in names} & set(allowed):
        return CaaOpinion()
    called = ", ".join(known[0][:3])
    return CaaOpinion(forbids=True, why=f"{said}; the certificate is from {who} ({called})")


def _allowed(records: tuple[CaaRecord, ...], *, wildcard: bool) -> tuple[str, list[str] | None]:
    """The names that are allowed, empty ones for nobody; None where nothing is restricted."""
    for tag in ("issuewild", "issue") if wildcard else ("issue",):
        values = [record.value for record in records if record.tag == tag]
        if values:
            return tag, [_issuer_name(value) for value in values]
    return "", None


def _issuer_name(value: str) -> str:
    """RFC 8659 section 4.2: a value that is malformed, or has no name, allows nobody."""
    name = value.partition(";")[0].strip(" \t").lower().removesuffix(".")
    parts = name.split(".")
    valid = all(part.replace("-", "").isalnum() and part.isascii() for part in parts)
    return name if valid else ""


def _organisations(name: str) -> Iterator[str]:
    """The O parts of a distinguished name as RFC 4514 writes it."""
    part, escaped = "", False
    for one in f"{name},":
        if escaped:
            part, escaped = part + one, False
        elif one == "\\":
            escaped = True
        elif one in ",+":
            kind, _, value = part.partition("=")
            if kind == "O":
                yield value
            part = ""
        else:
            part += one
