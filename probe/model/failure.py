"""What can go wrong: a phase, a reason from a closed list, and free detail.

Phase and reason become metric labels, so both are closed enumerations. ``detail``
is evidence for a person (addresses, names, library messages) and never a label.

A defect of our own is a failure too. What an exception says may repeat what a server sent or what
a secret holds, so only types and places in the code are kept: what a developer needs first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from pathlib import PurePath
from traceback import walk_tb
from typing import TypedDict


class Phase(StrEnum):
    """The part of an attempt that failed, in the order in which an attempt goes through them."""

    RESOLVE = "resolve"
    CONNECT = "connect"
    STARTTLS = "starttls"  # the plain-text dialogue before TLS (RFC 3207, 2595, 4511)
    TLS = "tls"  # from ClientHello to Finished
    CERTIFICATE = "certificate"  # the handshake worked; the presented chain was judged
    AUTH = "auth"  # obtaining a token or secret for a call
    SEND = "send"  # writing the request
    WAIT = "wait"  # from the request's last byte to the response's first byte
    RECEIVE = "receive"  # from the response's first byte to its last
    EXPECT = "expect"  # the answer arrived whole; it is not what the check expects


class Reason(StrEnum):
    """Why it failed. Closed: what fits nothing is ``UNKNOWN``, which counts as our defect."""

    # -- any phase that waits for the network
    TIMEOUT = "timeout"
    REFUSED = "refused"  # connect: RST to our SYN; resolve: DNS rcode REFUSED
    RESET = "reset"  # RST after the connection was there
    CLOSED = "closed"  # FIN where more was due

    # -- resolve (RFC 1035 rcodes; RFC 2308 for the empty answer)
    NXDOMAIN = "nxdomain"
    SERVFAIL = "servfail"
    NO_ADDRESSES = "no_addresses"  # the name exists and has neither A nor AAAA
    HINT_NOT_AN_EDGE = "hint_not_an_edge"  # an HTTPS record hints at another address (RFC 9460)
    MALFORMED = "malformed"  # an answer that cannot be parsed (DNS, STARTTLS dialogue)

    # -- connect
    UNREACHABLE = "unreachable"  # ICMP said no host, network or port

    # -- tls: the server said why (RFC 8446 section 6.2, RFC 6066, RFC 7301)
    ALERT_UNEXPECTED_MESSAGE = "alert_unexpected_message"
    ALERT_BAD_RECORD_MAC = "alert_bad_record_mac"
    ALERT_RECORD_OVERFLOW = "alert_record_overflow"
    ALERT_HANDSHAKE_FAILURE = "alert_handshake_failure"
    ALERT_BAD_CERTIFICATE = "alert_bad_certificate"
    ALERT_UNSUPPORTED_CERTIFICATE = "alert_unsupported_certificate"
    ALERT_CERTIFICATE_REVOKED = "alert_certificate_revoked"
    ALERT_CERTIFICATE_EXPIRED = "alert_certificate_expired"
    ALERT_CERTIFICATE_UNKNOWN = "alert_certificate_unknown"
    ALERT_ILLEGAL_PARAMETER = "alert_illegal_parameter"
    ALERT_UNKNOWN_CA = "alert_unknown_ca"
    ALERT_ACCESS_DENIED = "alert_access_denied"
    ALERT_DECODE_ERROR = "alert_decode_error"
    ALERT_DECRYPT_ERROR = "alert_decrypt_error"
    ALERT_PROTOCOL_VERSION = "alert_protocol_version"
    ALERT_INSUFFICIENT_SECURITY = "alert_insufficient_security"
    ALERT_INTERNAL_ERROR = "alert_internal_error"
    ALERT_INAPPROPRIATE_FALLBACK = "alert_inappropriate_fallback"
    ALERT_USER_CANCELED = "alert_user_canceled"
    ALERT_MISSING_EXTENSION = "alert_missing_extension"
    ALERT_UNSUPPORTED_EXTENSION = "alert_unsupported_extension"
    ALERT_UNRECOGNIZED_NAME = "alert_unrecognized_name"
    ALERT_BAD_CERTIFICATE_STATUS_RESPONSE = "alert_bad_certificate_status_response"
    ALERT_UNKNOWN_PSK_IDENTITY = "alert_unknown_psk_identity"
    ALERT_CERTIFICATE_REQUIRED = "alert_certificate_required"
    ALERT_NO_APPLICATION_PROTOCOL = "alert_no_application_protocol"
    ALERT_OTHER = (
        "alert_other"  # a number without a name in the RFCs above; it stands in the detail
    )

    # -- tls: we found out ourselves
    PLAIN_TEXT = "plain_text"  # the port speaks HTTP or shows a banner instead of TLS
    NOT_TLS = "not_tls"  # neither TLS records nor readable text
    PROTOCOL_REFUSED = "protocol_refused"  # the server chose a version that we did not offer
    CIPHER_REFUSED = "cipher_refused"  # the server chose a cipher that we did not offer
    HANDSHAKE_INVALID = "handshake_invalid"  # TLS records whose contents break the protocol
    BAD_SIGNATURE = "bad_signature"  # the edge does not hold the key of the certificate it shows
    HANDSHAKE_TOO_LARGE = "handshake_too_large"  # more bytes than any honest handshake needs
    ALPN_MISMATCH = "alpn_mismatch"  # an application protocol was expected and not chosen
    ALPN_NOT_SERVED = "alpn_not_served"  # promised by the HTTPS record (RFC 9460), not chosen
    RESUMPTION_FAILED = (
        "resumption_failed"  # another edge's ticket breaks the handshake, which passes without
    )
    STARTTLS_REFUSED = "starttls_refused"  # the server has no STARTTLS, or declined it

    # -- certificate (RFC 5280, RFC 6125 / 9525, RFC 6960, RFC 7633, CA/B baseline requirements)
    UNPARSABLE = "unparsable"
    NAME_MISMATCH = "name_mismatch"
    DEFAULT_CERTIFICATE = "default_certificate"  # a mismatch whose names are the provider's own
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    EXPIRES_SOON = "expires_soon"
    SELF_SIGNED = "self_signed"
    UNKNOWN_ISSUER = "unknown_issuer"
    MISSING_INTERMEDIATE = "missing_intermediate"
    WRONG_ORDER = "wrong_order"
    SUPERFLUOUS = "superfluous"
    CHAIN_TOO_LONG = "chain_too_long"
    WEAK_KEY = "weak_key"
    WEAK_SIGNATURE = "weak_signature"
    WRONG_KEY_USAGE = "wrong_key_usage"
    NOT_SERVER_CERTIFICATE = "not_server_certificate"
    NAME_CONSTRAINTS = "name_constraints"
    CHAIN_INVALID = "chain_invalid"  # path validation refused it, and no finer finding says why
    CAA_FORBIDS_ISSUER = "caa_forbids_issuer"  # as the records are now (RFC 8659)
    UNEXPECTED_ISSUER = "unexpected_issuer"
    UNEXPECTED_FINGERPRINT = "unexpected_fingerprint"
    OLDER_THAN_EXPECTED = "older_than_expected"
    OCSP_MISSING = "ocsp_missing"  # absent though the certificate demands it (must-staple)
    OCSP_EXPIRED = "ocsp_expired"
    OCSP_REVOKED = "ocsp_revoked"
    OCSP_MISMATCH = "ocsp_mismatch"  # the stapled answer speaks of another certificate
    OCSP_INVALID = "ocsp_invalid"
    TOO_FEW_SCTS = "too_few_scts"  # signed certificate timestamps (RFC 6962)
    SCT_INVALID = "sct_invalid"
    CRL_REVOKED = "crl_revoked"  # a revocation list names the certificate, or one of its issuers
    CRL_UNAVAILABLE = "crl_unavailable"  # nothing usable came from its URL
    CRL_EXPIRED = "crl_expired"  # past its nextUpdate
    CRL_INVALID = "crl_invalid"  # damaged, signed by somebody else, or about other certificates

    # -- HTTP: send, wait, receive
    HTTP_INVALID = "http_invalid"  # bytes that are no HTTP, an endless header, a broken chunk
    HTTP2_ERROR = "http2_error"  # GOAWAY or RST_STREAM
    TOO_LARGE = "too_large"  # header or body over its cap
    UNDECODABLE = "undecodable"  # content coding or text that cannot be decoded
    REDIRECT_REFUSED = "redirect_refused"  # to another origin with credentials, or too many

    # -- expect
    STATUS = "status"
    HEADER = "header"
    JSON = "json"  # no JSON, or a condition on it is false
    WEB_PAGE = "web_page"  # HTML for a call that must be refused where JSON is due: no access
    BODY = "body"
    REGEX = "regex"
    SIZE = "size"
    TOO_SLOW = "too_slow"  # only ever degrades
    CAPTURE_MISSING = "capture_missing"  # the answer lacks a value that later steps need
    EXIT_CODE = "exit_code"  # kind `command`
    OUTPUT = "output"  # kind `command`: text expected on stdout

    # -- auth
    LOGIN_FAILED = "login_failed"  # the token service failed: its outage
    TOKEN_MALFORMED = "token_malformed"  # noqa: S105 - a reason, not a password
    TOKEN_EXPIRED = "token_expired"  # noqa: S105 - a reason; expired already when it was issued
    TOKEN_REFUSED = "token_refused"  # noqa: S105 - a kept token, before its end; renewed
    RATE_LIMITED = "rate_limited"  # 429 (RFC 6585)

    # -- ours: never blamed on a target
    SECRET_MISSING = "secret_missing"  # noqa: S105 - a reason, not a password
    CREDENTIALS_REFUSED = "credentials_refused"  # invalid_client, invalid_grant, WrongCredentials
    REFUSAL_UNCLEAR = "refusal_unclear"  # they had worked; whether others' are refused is asked
    CLOCK_OFF = "clock_off"
    LOCAL_RESOURCE = "local_resource"  # out of file descriptors, ports or memory
    NO_ROUTE = "no_route"  # this host has no route of that address family
    VANTAGE_ILL = "vantage_ill"
    COMMAND_UNAVAILABLE = "command_unavailable"  # kind `command`: no such program here
    UNSAFE_VALUE = "unsafe_value"  # a value that must not be sent there (a newline in a header)
    ADDRESS_REFUSED = "address_refused"  # no configuration permits to connect to it
    CREDENTIALS_WITHHELD = "credentials_withheld"  # they are not bound to the host of the call
    DEFECT = "defect"  # our own code raised or hung: nothing was seen, whatever the target does

    UNKNOWN = "unknown"  # a defect of ours: tell us


OURS: frozenset[Reason] = frozenset(
    {
        Reason.SECRET_MISSING,
        Reason.CREDENTIALS_REFUSED,
        Reason.REFUSAL_UNCLEAR,
        Reason.CLOCK_OFF,
        Reason.LOCAL_RESOURCE,
        Reason.NO_ROUTE,
        Reason.VANTAGE_ILL,
        Reason.COMMAND_UNAVAILABLE,
        Reason.UNSAFE_VALUE,
        Reason.ADDRESS_REFUSED,
        Reason.CREDENTIALS_WITHHELD,
        Reason.DEFECT,
    }
)
"""Reasons that make a result inconclusive: the fault is the agent's or its configuration's."""


def printable(text: str, kept: str = "") -> str:
    r"""Write what acts on a terminal, a log or a reader's eye as an escape: ``\x1b``, ``\u202e``.

    Every text from outside passes here on its way to metrics, log, page and terminal. Replaced is
    what Unicode calls not printable: controls (C0, C1), line separators, marks that turn the
    direction of writing, characters without a shape, and halves of pairs.

    Args:
        text: as it was received.
        kept: characters that may stay, such as a line feed.
    """
    if text.isprintable():
        return text
    return "".join(
        one if one.isprintable() or one in kept else one.encode("unicode_escape").decode()
        for one in text
    )


@dataclass(frozen=True, slots=True)
class Failure:
    """One thing that went wrong.

    Attributes:
        phase: where in the attempt.
        reason: why, bounded.
        detail: evidence in words, for people; never a metric label, never a secret.
    """

    phase: Phase
    reason: Reason
    detail: str = ""

    @property
    def ours(self) -> bool:
        """Whether the fault is the agent's own, so that no target may be blamed."""
        return self.reason in OURS

    def __str__(self) -> str:
        text = f"{self.phase}/{self.reason}"
        return f"{text}: {self.detail}" if self.detail else text


class FailureFields(TypedDict):
    """A failure as texts, for a log line, a row or a page."""

    phase: str
    reason: str
    detail: str


def failure_fields(failure: Failure | None) -> FailureFields:
    """The texts of a failure; all are empty for None."""
    if failure is None:
        return {"phase": "", "reason": "", "detail": ""}
    phase, reason = failure.phase.value, failure.reason.value
    return {"phase": phase, "reason": reason, "detail": failure.detail}


_LEAVES = 3  # of an exception group
_FRAMES = 8  # of each, the innermost ones
_CAUSES = 2


def defect(error: BaseException, phase: Phase) -> Failure:
    """Make the failure of an attempt that our own code could not finish.

    Args:
        error: what was raised, possibly a group.
        phase: what the attempt was about to do.
    """
    return Failure(phase, Reason.DEFECT, trace(error))


def trace(error: BaseException) -> str:
    """Write one bounded line, the innermost place first: ``KeyError at tcp.py:88 connect < …``."""
    found = list(islice(_leaves(error), _LEAVES + 1))
    shown = "; ".join(_chain(leaf) for leaf in found[:_LEAVES])
    return shown if len(found) <= _LEAVES else f"{shown}; and more"


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def _chain(error: BaseException) -> str:
    """An exception and what it was raised for."""
    told = [_one(error, _FRAMES)]
    for _ in range(_CAUSES):
        cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if cause is None:
            break
        error = cause
        told.append(_one(error, 1))
    return ", after ".join(told)


def _one(error: BaseException, most: int) -> str:
    places = [
        f"{'/'.join(PurePath(frame.f_code.co_filename).parts[-3:])}:{line} {frame.f_code.co_name}"
        for frame, line in walk_tb(error.__traceback__)
    ]
    at = " < ".join(reversed(places[-most:]))
    return f"{type(error).__name__} at {at}" if at else type(error).__name__
