"""Rows of the fault table: DNS, connecting, STARTTLS, and bytes instead of a handshake."""

from __future__ import annotations

from probe.lab.faults import resolving, starttls, wire
from probe.lab.faults.kinds import Dns, Greeting, Listening, Preamble, Wire
from probe.lab.faults.row import Given, Row
from probe.model.failure import Phase, Reason

_STRANGE_HINT = Dns(resolving.strange_hint)
_CAA_OF_OTHERS = Dns(resolving.caa_of_others)
_BROKEN_RECORDS = Dns(resolving.broken_records)

DNS: tuple[Row, ...] = (
    Row("dns_nxdomain", Dns(resolving.nxdomain), Phase.RESOLVE, Reason.NXDOMAIN),
    Row("dns_servfail", Dns(resolving.servfail), Phase.RESOLVE, Reason.SERVFAIL),
    Row("dns_refused", Dns(resolving.refused), Phase.RESOLVE, Reason.REFUSED),
    Row("dns_silence", Dns(resolving.silence), Phase.RESOLVE, Reason.TIMEOUT),
    Row("dns_empty", Dns(resolving.empty), Phase.RESOLVE, Reason.NO_ADDRESSES),
    Row("dns_garbage", Dns(resolving.garbage), Phase.RESOLVE, Reason.MALFORMED),
    Row("dns_alias_loop", Dns(resolving.alias_loop), Phase.RESOLVE, Reason.MALFORMED),
    Row("dns_rotating", Dns(resolving.rotating), None, None),
    Row("dns_truncated", Dns(resolving.truncated), None, None),
    Row("dns_slow", Dns(resolving.slow), None, None),
    Row("dns_strange_hint", _STRANGE_HINT, None, None),
    Row(
        "dns_strange_hint",
        _STRANGE_HINT,
        Phase.RESOLVE,
        Reason.HINT_NOT_AN_EDGE,
        Given.RECORDS,
        warning=True,
    ),
    Row("dns_caa_of_others", _CAA_OF_OTHERS, None, None),
    Row(
        "dns_caa_of_others",
        _CAA_OF_OTHERS,
        Phase.CERTIFICATE,
        Reason.CAA_FORBIDS_ISSUER,
        Given.RECORDS,
        warning=True,
    ),
    Row("dns_broken_records", _BROKEN_RECORDS, None, None),
    Row("dns_broken_records", _BROKEN_RECORDS, None, None, Given.RECORDS),
)


CONNECT: tuple[Row, ...] = (
    Row("refused", Listening("closed"), Phase.CONNECT, Reason.REFUSED),
    Row("deaf", Listening("deaf"), Phase.CONNECT, Reason.TIMEOUT, linux=True),
    Row("close_after_connect", Greeting(wire.close), Phase.TLS, Reason.CLOSED),
    Row("reset_after_connect", Greeting(wire.reset), Phase.TLS, Reason.RESET),
    Row("silence", Greeting(wire.silence), Phase.TLS, Reason.TIMEOUT),
    Row("banner", Greeting(wire.banner), Phase.TLS, Reason.PLAIN_TEXT),
)

STARTTLS: tuple[Row, ...] = (
    *(
        Row(f"starttls_{protocol}", Preamble(starttls.following(script), protocol), None, None)
        for protocol, script in starttls.HEALTHY.items()
    ),
    *(
        Row(
            f"starttls_{protocol}_refused",
            Preamble(starttls.ending(script), protocol),
            Phase.STARTTLS,
            Reason.STARTTLS_REFUSED,
        )
        for protocol, script in starttls.REFUSING.items()
    ),
    *(
        Row(f"starttls_{name}", Preamble(act, "smtp"), Phase.STARTTLS, reason)
        for name, act, reason in (
            ("garbled", starttls.ending(starttls.GARBLED), Reason.MALFORMED),
            ("injection", starttls.following(starttls.INJECTING), Reason.MALFORMED),
            ("silence", starttls.ending(()), Reason.TIMEOUT),
            ("closed", starttls.closing, Reason.CLOSED),
        )
    ),
)

# As load balancers do that read one packet: a hello with a post-quantum key share fills two.
_LONG_HELLO_LOST = Wire(wire.silence, longer=1400)

WIRE: tuple[Row, ...] = (
    *(
        Row(reason.value, Wire(wire.alert(code)), Phase.TLS, reason)
        for reason, code in wire.ALERTS.items()
    ),
    Row("close_after_hello", Wire(wire.close), Phase.TLS, Reason.CLOSED),
    Row("reset_after_hello", Wire(wire.reset), Phase.TLS, Reason.RESET),
    Row("silence_after_hello", Wire(wire.silence), Phase.TLS, Reason.TIMEOUT),
    Row("long_hello_lost", _LONG_HELLO_LOST, Phase.TLS, Reason.TIMEOUT),
    Row("long_hello_lost", _LONG_HELLO_LOST, None, None, Given.ANDROID),
    Row("slow_drip", Wire(wire.slow_drip), Phase.TLS, Reason.TIMEOUT),
    Row("plain_http", Wire(wire.plain_http), Phase.TLS, Reason.PLAIN_TEXT),
    Row("garbage", Wire(wire.garbage), Phase.TLS, Reason.NOT_TLS),
    Row("endless", Wire(wire.endless), Phase.TLS, Reason.HANDSHAKE_TOO_LARGE),
    Row("broken_handshake", Wire(wire.broken_handshake), Phase.TLS, Reason.HANDSHAKE_INVALID),
    Row("old_protocol", Wire(wire.old_protocol), Phase.TLS, Reason.PROTOCOL_REFUSED),
    Row("strange_cipher", Wire(wire.strange_cipher), Phase.TLS, Reason.CIPHER_REFUSED),
    Row("close_in_handshake", Wire(wire.close_in_handshake), Phase.TLS, Reason.CLOSED),
    Row("reset_in_handshake", Wire(wire.reset_in_handshake), Phase.TLS, Reason.RESET),
)
