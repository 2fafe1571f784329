"""Certificates changed element by element and signed anew, so that the change is judged.

Flipped bytes seldom get past the parser, and never past the signature.
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import strategies as st

from probe.certificates.der import content, elements

from .authority import Made, sequence

_CONSTRUCTED, _OCTET_STRING = 0x20, 0x04


@dataclass
class Node:
    """A DER element: its content, or the elements inside."""

    tag: int
    content: bytes
    inside: list[Node]

    @classmethod
    def read(cls, element: bytes) -> Node:
        node = cls(element[0], content(element), [])
        if node.tag & _CONSTRUCTED or node.tag == _OCTET_STRING:
            try:
                node.inside = [cls.read(part) for part in elements(element)]
            except (ValueError, IndexError):
                node.inside = []
        return node

    def all(self) -> list[Node]:
        """Itself and every element below."""
        return [self, *(below for child in self.inside for below in child.all())]

    def encode(self) -> bytes:
        if not self.inside:
            return sequence(self.content, tag=self.tag)
        return sequence(*(child.encode() for child in self.inside), tag=self.tag)


Change = tuple[float, str, bytes]

contents = st.binary(max_size=12) | st.sampled_from([b"\x00" * 40, b"9" * 300, b"\x80\xff", b"*."])
changes = st.lists(
    st.tuples(
        st.floats(0, 0.999),
        st.sampled_from(["content", "tag", "drop", "double", "swap", "flip"]),
        contents,
    ),
    min_size=1,
    max_size=3,
)


def changed(der: bytes, wanted: list[Change]) -> bytes:
    """The element with changes made somewhere inside; lengths are always right."""
    top = Node.read(der)
    for where, how, octets in wanted:
        nodes = top.all()
        at = 1 + int(where * (len(nodes) - 1))
        if at >= len(nodes):
            break
        node = nodes[at]
        parent = next(n for n in nodes if any(child is node for child in n.inside))
        place = next(i for i, child in enumerate(parent.inside) if child is node)
        match how:
            case "content":
                node.content, node.inside = octets, []
            case "tag":
                node.tag = (octets or b"\x05")[0] & 0x9F | node.tag & _CONSTRUCTED
            case "drop":
                del parent.inside[place]
                parent.content = b""
            case "double":
                parent.inside.insert(place, node)
            case "swap":
                parent.inside.append(parent.inside.pop(place))
            case "flip" if node.content and not node.inside:
                value = int.from_bytes(node.content, "big") ^ int.from_bytes(octets, "big")
                size = max(len(node.content), (value.bit_length() + 7) // 8)
                node.content = value.to_bytes(size, "big")
    return top.encode()


def signed_anew(made: Made, issuer: Made, wanted: list[Change]) -> bytes:
    """A certificate with changes to what is signed, and the issuer's signature of that."""
    assert isinstance(issuer.key, ec.EllipticCurvePrivateKey)
    _, algorithm, _ = elements(made.der)
    tbs = changed(made.certificate.tbs_certificate_bytes, wanted)
    signature = issuer.key.sign(tbs, ec.ECDSA(hashes.SHA256()))
    return sequence(tbs, algorithm, sequence(b"\x00", signature, tag=0x03))
