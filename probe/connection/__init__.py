"""One TCP and TLS connection: connect, handshake, what the peer presented, why it failed."""
