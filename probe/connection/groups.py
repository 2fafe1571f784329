"""Which key exchange groups a TLS context offers.

Why one would choose: a ClientHello with the hybrid group X25519MLKEM768 fills more than one
packet, and there are load balancers that wait for the rest of it for ever; clients that cannot
send it see another edge. And each key share costs the prober some 40 to 90 µs.

OpenSSL's call for it is in the bindings that pyOpenSSL is built on, but not among pyOpenSSL's
own methods. This module is the only one that reaches below them; a test holds that the choice
shows in the ClientHello.
"""

from __future__ import annotations

from OpenSSL import SSL
from OpenSSL._util import lib


def choose(context: SSL.Context, groups: tuple[str, ...]) -> bool:
    """Offer these groups, in this order, and no other.

    Args:
        context: not used yet.
        groups: OpenSSL's names: ``X25519MLKEM768``, ``X25519``, ``P-256`` …

    Returns:
        false when this OpenSSL does not know one of them; the context is then as before.
    """
    chosen = lib.SSL_CTX_set1_curves_list(
        context._context,
        ":".join(groups).encode(),
    )
    if chosen != 1:
        lib.ERR_clear_error()  # else the next call that looks finds it
    return bool(chosen == 1)
