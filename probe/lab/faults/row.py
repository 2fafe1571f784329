"""What a row of the fault table says."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from probe.lab.faults.kinds import Fault
from probe.model.failure import Phase, Reason


class Given(StrEnum):
    """What a check must be set to before it can notice a fault."""

    DEFAULT = "default"
    OWN_NAMES = "own_names"  # the provider's own names are configured
    ISSUERS = "issuers"  # another issuer is expected
    FINGERPRINTS = "fingerprints"  # another leaf is expected
    NOT_BEFORE = "not_before"  # a younger leaf is expected
    ALPN = "alpn"  # h2 is expected
    PUBLIC = "public"  # the lab's root counts as one that browsers trust
    LOGGED = "logged"  # as above, and timestamps of logs are required
    LOGS = "logs"  # as "public", and the lab's logs are listed
    OCSP = "ocsp"  # a staple is required
    RSA_CLIENT = "rsa_client"  # the client profile tls12-rsa
    RSA_NOT_BEFORE = "rsa_not_before"  # the same, and a younger leaf is expected
    ECDSA_CLIENT = "ecdsa_client"  # the client profile tls12-ecdsa
    ANDROID = "android"  # the client profile android
    JAVA = "java"  # the client profile java
    POST_QUANTUM = "post_quantum"  # a client that offers X25519MLKEM768 alone
    RESUMPTION = "resumption"  # tickets of another edge are offered
    HTTP2 = "http2"  # the flow speaks HTTP/2
    LARGE_REQUEST = "large_request"  # a body larger than any socket buffer
    REDIRECTS = "redirects"  # redirects are followed, with credentials
    LATENCY = "latency"  # slower_than is set
    HEADER = "header"  # Content-Type must be JSON
    BODY = "body"  # the body must contain a text
    REGEX = "regex"  # the body must match an expression
    SIZE = "size"  # max_size is set
    CAPTURE = "capture"  # a value is taken from the answer for later steps
    DENIED = "denied"  # the persona must be refused, where others get JSON
    LOGIN = "login"  # the step needs a token from the platform's login
    RECORDS = "records"  # HTTPS and CAA records are looked up beside addresses
    OAUTH = "oauth"  # the step needs a token from the OAuth 2 endpoint


@dataclass(frozen=True, slots=True)
class Row:
    """One fault and its expected finding.

    Attributes:
        phase: where; None where a prober must not mind.
        warning: the attempt passes and carries the finding as a warning.
        linux: the fault can be made on Linux only.
    """

    name: str
    fault: Fault
    phase: Phase | None
    reason: Reason | None
    given: Given = Given.DEFAULT
    warning: bool = False
    linux: bool = False
