"""Changes HTTP answers where a prober reads them: a header's value, a value in JSON, a status.

Bytes changed anywhere seldom leave an answer that is read to its end.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable

from tests.fuzz.target import SEPARATOR

_NUMBERS = (b"-1", b"0", "²".encode(), b"\xb2", b"9" * 25, b"1e999", b"NaN", b"+5", b"5.0", b" ")
_DATES = (
    b"Thu, 01 Jan 99999999999999999999 00:00:00 GMT",
    b"Thu, 01 Jan 0000 99:99:99 -9999",
    b"Thu, 01 Jan 1970 00:00:00 +2400",
)
_URLS = (
    b"https://[",
    b"//a:99999/",
    b"https://xn--a/",
    b"https://a..b/\x7f",
    b"http:///",
    b"?\xff",
    b"https://u:p@[::1%25e]:0/",
)
_COOKIES = (b"sid=x; Max-Age=-; Expires=0; Domain=.; Path", b"=; =;", b"sid=\xb2; Max-Age=\xb2")
_CHALLENGES = (
    b'Digest realm="a", nonce="b", algorithm=MD5-sess, qop="auth-int,auth"',
    b"Digest ,,=,",
    b"Digest nonce=\xe9, realm",
    b'Digest realm="a", nonce="b", algorithm=x',
    b'Bearer error="invalid_token", Basic',
)
_CODINGS = (b"gzip, gzip, deflate", b"br", b"chunked, chunked", b"deflate", b"identity, x")
_TYPES = (b"text/html; charset=idna", b'application/json; charset="utf-16"', b"a/b; charset=\xff")

_OF: dict[bytes, tuple[bytes, tuple[bytes, ...]]] = {
    b"Location": (b"302", _URLS),
    b"Retry-After": (b"503", (*_NUMBERS, *_DATES)),
    b"Age": (b"", _NUMBERS),
    b"Date": (b"", _DATES),
    b"Set-Cookie": (b"", _COOKIES),
    b"WWW-Authenticate": (b"401", _CHALLENGES),
    b"Content-Type": (b"", _TYPES),
    b"Content-Encoding": (b"", _CODINGS),
    b"Transfer-Encoding": (b"", _CODINGS),
    b"Content-Length": (b"", _NUMBERS),
    b"ETag": (b"", (b"\x80", b"a\tb", b"\xed\xa0\x80")),
    b"X-Trace": (b"", (b"\xff",)),
}
"""For each header that is read, the status with which it is, and values that are odd."""

HEADERS = tuple(_OF)
ODD = tuple(value for _, values in _OF.values() for value in values)

_LITERALS = (
    b"null",
    b"true",
    b"[]",
    b"{}",
    b"-0.0",
    b"1e400",
    b"9" * 400,
    b'"\\ud800"',
    b'"\\u0000"',
)
_VALUE = re.compile(rb"(?<=: )(?:\"[^\"]*\"|[0-9.e+-]+|null|true|false|\[\]|\{\})")
_STATUS = re.compile(rb"HTTP/1\.1 (\S+)")
_STATUSES = (
    b"100",
    b"101",
    b"204",
    b"206",
    b"301",
    b"303",
    b"304",
    b"308",
    b"401",
    b"407",
    b"429",
    b"999",
)

Changed = Callable[[bytes, int], bytes]


def mutate(data: bytes, most: int, seed: int, changed: Changed) -> bytes:
    """Change something in one of the answers, or anything anywhere."""
    chance = random.Random(seed)
    how, answers = data[:2], data[2:].split(SEPARATOR)
    if len(how) < 2 or chance.random() < 0.3:
        return changed(data, most)
    if chance.random() < 0.1:
        how = bytes([chance.randrange(8), chance.randrange(16)])
    for _ in range(chance.choice((1, 1, 2, 3))):
        at = chance.randrange(len(answers))
        if chance.random() < 0.15:
            answers.insert(at, chance.choice(answers))
        else:
            answers[at] = _one(answers[at], chance, changed)
    return how + SEPARATOR.join(answers)


def _one(answer: bytes, chance: random.Random, changed: Changed) -> bytes:
    head, end, body = answer.partition(b"\r\n\r\n")
    if not end or not head.startswith(b"HTTP/1"):
        return changed(answer, len(answer) + 32)
    status, *lines = head.split(b"\r\n")
    match chance.randrange(6):
        case 0:
            status = _STATUS.sub(b"HTTP/1.1 " + chance.choice(_STATUSES), status)
        case 1 if lines:
            place = chance.randrange(len(lines))
            name = lines[place].partition(b":")[0]
            lines[place] = name + b": " + _odd(name, chance, changed)
        case 2 | 3:
            name = chance.choice(HEADERS)
            lines.insert(0, name + b": " + _odd(name, chance, changed))
            code = _OF[name][0]
            status = _STATUS.sub(b"HTTP/1.1 " + code, status) if code else status
        case _:
            body = _body(body, chance, changed)
            lines = [
                b"Content-Length: %d" % len(body) if line.startswith(b"Content-Length") else line
                for line in lines
            ]
    return b"\r\n".join([status, *lines]) + end + body


def _odd(name: bytes, chance: random.Random, changed: Changed) -> bytes:
    """A value that is odd for a header, or one changed further."""
    odd = chance.choice(_OF[name][1] if name in _OF and chance.random() < 0.9 else ODD)
    return odd if chance.random() < 0.7 else changed(odd, 64)


def _body(body: bytes, chance: random.Random, changed: Changed) -> bytes:
    odd = chance.choice(ODD)
    values = list(_VALUE.finditer(body))
    if not values or chance.random() < 0.3:
        return changed(body, len(body) + 32) if body else odd
    value = chance.choice(values)
    literal = chance.choice((*_LITERALS, b'"' + odd + b'"'))
    return body[: value.start()] + literal + body[value.end() :]
