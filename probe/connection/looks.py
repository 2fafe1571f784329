"""What the first bytes of an answer look like, when TLS was expected."""

from __future__ import annotations

_RECORD_TYPES = frozenset({20, 21, 22, 23, 24})  # RFC 8446 section 5.1, RFC 6520
_BANNERS: tuple[tuple[bytes, str], ...] = (
    (b"HTTP/", "HTTP"),
    (b"SSH-", "SSH"),
    (b"+OK", "POP3"),
    (b"-ERR", "POP3"),
    (b"* OK", "IMAP"),
    (b"* BYE", "IMAP"),
    (b"RFB ", "VNC"),
    (b"<!DOCTYPE", "HTML"),
    (b"<html", "HTML"),
    (b"<?xml", "XML"),
    (b"@RSYNCD", "rsync"),
)
_SHOWN = 60


def speaks_tls(head: bytes) -> bool:
    """Whether the bytes can be the start of a TLS record (type, then major version 3)."""
    if not head or head[0] not in _RECORD_TYPES:
        return False
    return len(head) == 1 or head[1] == 3


def looks_like(head: bytes) -> str | None:
    """Describe readable text with its first line; None when it is binary."""
    line = head.splitlines()[0] if head.strip() else head
    printable = sum(32 <= byte < 127 or byte in b"\r\n\t" for byte in head)
    if not head.strip() or printable < len(head) * 0.9:
        return None
    shown = line[:_SHOWN].decode("ascii", "replace").strip()
    return f"looks like {_kind(head)}: {shown!r}"


def _kind(head: bytes) -> str:
    for prefix, name in _BANNERS:
        if head.startswith(prefix):
            return name
    if head[:3].isdigit() and head[3:4] in (b" ", b"-"):
        word = head[4:].upper()
        return "FTP" if b"FTP" in word and b"SMTP" not in word else "SMTP or FTP"
    return "text"
