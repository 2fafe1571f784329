"""One TCP and TLS connection: connect, handshake, what the peer presented, why it failed.

Use::

    with trio.move_on_after(timeout):                      # all of it is bounded by the caller
        wire = await connect(edge, Timeline(trio.current_time()))       # TCP, from `tcp`
        stream = await handshake(wire, context, server_name=sni("www.example"))  # from `tls`
        ...judge stream.presented here, before the first byte of a request...
        await stream.send_all(b"…"); await stream.receive_some(65536); stream.close()

Resource handling: the caller owns what it is given and closes it, the wire even when a handshake
fails or is cancelled. Error handling: everything the peer can do is raised as
`failures.AttemptFailed`, classified. The timeline says what failures are filed under.
"""
