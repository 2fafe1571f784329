"""Revocation lists, through the reader and the judge of a path that names them.

An input is one byte that says whether it is a list of changes, then the list as it is served.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from probe.certificates import crl
from probe.certificates.crl import RevocationList, UnusableList
from probe.certificates.lists import RevocationLists
from probe.certificates.revocation import Place, Revocable
from tests.certificates import authority, mutation, revoking
from tests.fuzz.chains import key
from tests.fuzz.target import Finding, Target

_NOW = authority.NOW.timestamp()
_SERIAL = 9


@cache
def _issuer() -> authority.Made:
    return authority.root(key=key(1), serial=1)


@cache
def _path() -> tuple[Revocable, ...]:
    place = Place(revoking.URL, (revoking.URL,))
    return (Revocable(_SERIAL, False, (place,), (revoking.DELTA,), _issuer().der, "it"),)


def run(data: bytes) -> None:
    """Read a list, here and as another process does, and judge by it."""
    change, der = bool(data[:1] and data[0] & 1), data[1:]
    found = _read(der)
    other = _elsewhere(der)
    if found != other:
        raise Finding(f"read here as {found}, in another process as {other}")
    if found is None:
        return
    lists = RevocationLists()
    watch = lists.watch(_path())
    lists.judged(watch, _NOW)
    base = found if not change else crl.read_list(seeds()[0][1:], [_issuer().der])
    lists.take(revoking.URL, _NOW, base)
    lists.judged(watch, _NOW)
    lists.take(revoking.DELTA, _NOW, found)
    for now in (_NOW, found.this_update, found.next_update or 0.0, 1e12):
        lists.judged(watch, now)
    list(lists.standings(_NOW))


def _read(der: bytes) -> RevocationList | None:
    try:
        return crl.read_list(der, [_issuer().der])
    except UnusableList:
        return None


def _elsewhere(der: bytes) -> RevocationList | None:
    try:
        return crl.answered(crl.answer(crl.asked(der, [_issuer().der])))
    except UnusableList as why:
        if "nonsense" in str(why):
            raise Finding(str(why)) from why
        return None


def seeds() -> list[bytes]:
    """Lists with each part that is read."""
    issuer, stolen = _issuer(), revoking.entry(_SERIAL)
    back = revoking.entry(_SERIAL, x509.ReasonFlags.remove_from_crl)
    whole = revoking.revocation_list
    return [
        b"\0" + whole(issuer, stolen, revoking.entry(2**150, None), deltas=[revoking.DELTA]),
        b"\0" + whole(issuer, stolen, about=revoking.scope(revoking.URL, servers=True)),
        b"\0" + whole(issuer, number=None, about=revoking.scope(authorities=True)),
        b"\0" + whole(issuer, about=revoking.scope(indirect=True)),
        b"\1" + whole(issuer, stolen, base=6, number=8),
        b"\1" + whole(issuer, back, base=7, number=9),
        b"\0<html>moved</html>",
    ]


def mutate(data: bytes, most: int, seed: int, changed: Callable[[bytes, int], bytes]) -> bytes:
    """Change elements somewhere inside, and sign the list anew, so that it is looked at."""
    chance = random.Random(seed)
    kinds = ("content", "content", "content", "tag", "drop", "double", "swap", "flip")
    octets = chance.choice((b"", b"\0" * 8, b"\x80\xff", chance.randbytes(8), changed(b"ab", 24)))
    wanted = [(chance.random(), chance.choice(kinds), octets) for _ in range(chance.choice((1, 3)))]
    try:
        parts = mutation.Node.read(data[1:]).inside
        if len(parts) != 3 or chance.random() < 0.1:
            return changed(data, most)
        tbs = mutation.changed(parts[0].encode(), wanted)
    except (ValueError, IndexError, StopIteration):
        return changed(data, most)
    signature = authority.sequence(b"\0", key(1).sign(tbs, ec.ECDSA(hashes.SHA256())), tag=0x03)
    return data[:1] + authority.sequence(tbs, parts[1].encode(), signature)


TARGET = Target(run, seeds, longest=8192, mutate=mutate)
