"""The profiles of named clients, field by field against what the clients themselves sent.

``tests/connection/hellos`` holds the recordings; docs/clients.md says what stays different.
"""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import trio
from OpenSSL import SSL

from probe.connection.clients import CLIENTS
from probe.model.tls import NO_ALPN, NO_STAPLE, ClientProfile, ProfileName
from tests.support.hellos import Hello, differing, taken_apart
from tests.support.programs import ROOT, run
from tests.support.real_clients import record, recorded, recording, version_of

from .conftest import Client
from .test_client_hello import hello_of

DIFFERENT: dict[ProfileName, dict[str, str]] = {
    "chrome": {
        "001b": "compress_certificate",
        "compress": "compress_certificate",
        "44cd": "application_settings",
        "ca34": "trust_anchors",
    },
    "firefox": {
        "001b": "compress_certificate",
        "compress": "compress_certificate",
        "001c": "record_size_limit",
        "0022": "delegated_credential",
    },
    "safari": {
        "001b": "compress_certificate",
        "compress": "compress_certificate",
        "ciphers": "three suites with 3DES",
        "signatures": "`rsa_pss_rsae_sha384` twice",
    },
    "android": {},
    "java": {"0011": "status_request_v2", "0032": "signature_algorithms_cert"},
    "go": {
        "002d": "psk_key_exchange_modes",
        "psk_modes": "psk_key_exchange_modes",
        "0032": "signature_algorithms_cert",
        "ciphers": "suites of TLS 1.3 last",
    },
    "curl": {"versions": "TLS 1.1 and 1.0"},
    "openssl": {"versions": "TLS 1.1 and 1.0"},
}
"""What OpenSSL cannot imitate, or the agent does not want to: the field or extension, and the
words that docs/clients.md has for it."""

LATER = {"chrome": "fe0d", "firefox": "fe0d", "curl": "point_formats", "openssl": "point_formats"}
"""What OpenSSL can say from 4.0 on."""


def expected(kind: ProfileName) -> set[str]:
    older = {LATER[kind]} if kind in LATER and SSL.OPENSSL_VERSION_NUMBER < 0x40000000 else set()
    return set(DIFFERENT[kind]) | older


async def imitated(kind: ProfileName, client: Client, nursery: trio.Nursery) -> Hello:
    profile = ClientProfile(kind, kind)
    if kind in NO_ALPN:
        profile = replace(profile, alpn=())
    return taken_apart(await hello_of(client, nursery, profile))


@pytest.mark.parametrize("kind", DIFFERENT)
async def test_each_differs_from_the_real_one_only_as_the_docs_say(
    kind: ProfileName, client: Client, nursery: trio.Nursery
) -> None:
    ours, real = await imitated(kind, client, nursery), recorded(kind)
    assert differing(ours, real) == expected(kind)


async def test_lists_that_differ_differ_in_the_named_entries_alone(
    client: Client, nursery: trio.Nursery
) -> None:
    ours, real = await imitated("safari", client, nursery), recorded("safari")
    assert real.ciphers == (*ours.ciphers, "c008", "c012", "000a")
    assert ours.signatures == tuple(dict.fromkeys(real.signatures))
    ours, real = await imitated("go", client, nursery), recorded("go")
    assert real.ciphers == ours.ciphers[3:] + ours.ciphers[:3]
    for kind in ("curl", "openssl"):
        ours, real = await imitated(kind, client, nursery), recorded(kind)
        assert ours.versions == real.versions[:2]


async def test_no_two_send_the_same(client: Client, nursery: trio.Nursery) -> None:
    hellos = {kind: await imitated(kind, client, nursery) for kind in DIFFERENT}
    pairs = itertools.combinations(hellos, 2)
    assert [pair for pair in pairs if not differing(hellos[pair[0]], hellos[pair[1]])] == []


@pytest.mark.parametrize("kind", DIFFERENT)
def test_the_docs_name_each_difference_and_each_source(kind: ProfileName) -> None:
    text = (ROOT / "docs" / "clients.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith(f"| `{kind}` |")]
    assert len(rows) == 2  # what it is, and what stays different
    for words in DIFFERENT[kind].values():
        assert words in rows[1]
    found = recording(kind)
    (number,) = re.findall(r"\d[\d.]*", found["version"])[:1]
    assert number in rows[0]
    assert found.get("source", "") in text


def test_every_named_client_is_compared() -> None:
    assert set(DIFFERENT) == set(CLIENTS)
    assert set(CLIENTS) >= NO_STAPLE | NO_ALPN
    for kind in NO_STAPLE:
        assert "0005" not in recorded(kind).extensions
    for kind in NO_ALPN:
        assert recorded(kind).alpn == ()


def test_nobody_pays_for_clients_that_no_check_asks_for() -> None:
    code = (
        "import sys; from probe.connection.contexts import TlsContexts;"
        "from probe.model.tls import ClientProfile;"
        "TlsContexts(None).get(ClientProfile());"
        "assert 'probe.connection.clients' not in sys.modules;"
        "TlsContexts(None).get(ClientProfile('java', 'java'));"
        "assert 'probe.connection.clients' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.real
@pytest.mark.parametrize("kind", ["chrome", "curl", "openssl"])
def test_the_client_installed_here_still_says_what_was_recorded(
    kind: ProfileName, tmp_path: Path
) -> None:
    """One of another version may differ: then the report says in what, and nothing fails."""
    found = sorted(differing(taken_apart(record(kind, tmp_path)), recorded(kind)))
    here, then = version_of(kind), recording(kind)["version"]
    if found and here != then:
        pytest.xfail(f"{here} differs from {then} in {', '.join(found)}: record it again")
    assert not found


@pytest.mark.real
def test_openssl_reads_the_same_out_of_a_hello(tmp_path: Path) -> None:
    """What takes hellos apart agrees with what OpenSSL prints of its own."""
    sent = taken_apart(record("openssl", tmp_path))
    listed = run("openssl", "ciphers", "-s", "-V", "DEFAULT")
    numbers = [
        "".join(part.strip().removeprefix("0x") for part in line.split(" - ")[0].split(","))
        for line in listed.splitlines()
    ]
    assert sent.ciphers == tuple(one.lower() for one in numbers)
