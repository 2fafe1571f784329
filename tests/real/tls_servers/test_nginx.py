"""nginx with the misconfigurations that people really ship."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest

from probe.lab import chains, ocsp
from probe.lab.ca import Credential, LeafShape, Pki
from probe.model.tls import ChainExpectations, ClientProfile, ProfileName
from tests.support.ports import free_ports
from tests.support.programs import program, running

from .conftest import NAME, Probe, Shelf, said

pytestmark = pytest.mark.real

_HEAD = """
daemon off; master_process off; worker_processes 1; pid nginx.pid;
events { worker_connections 64; }
http {
    access_log off; server_tokens off; keepalive_timeout 0;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    ssl_session_tickets off; ssl_protocols TLSv1.2 TLSv1.3;
"""


@dataclass(frozen=True)
class Site:
    """One server block.

    Attributes:
        credential: stem of its certificate and key; empty for none.
        extra: more directives.
        tls: whether the port speaks TLS.
    """

    credential: str = "good"
    extra: str = ""
    tls: str = "ssl"

    def block(self, port: int) -> str:
        pair = f"ssl_certificate {self.credential}.crt; ssl_certificate_key {self.credential}.key;"
        return (
            f"server {{ listen 127.0.0.1:{port} {self.tls}; server_name _; return 200 ok; "
            f"{pair if self.credential else ''} {self.extra} }}\n"
        )


SITES: Mapping[str, Site] = {
    "good": Site(),
    "dual": Site("rsa", "ssl_certificate good.crt; ssl_certificate_key good.key;"),
    "rsa": Site("rsa"),
    "default": Site("default"),
    "reject": Site("", "ssl_reject_handshake on;"),
    "bare": Site("bare"),
    "expired": Site("expired"),
    "wrong_key": Site("wrong_key"),
    "old": Site(extra="ssl_protocols TLSv1 TLSv1.1; ssl_ciphers ALL:@SECLEVEL=0;"),
    "tls12": Site(extra="ssl_protocols TLSv1.2;"),
    "finite_field": Site("rsa", "ssl_protocols TLSv1.2; ssl_ciphers DHE-RSA-AES128-GCM-SHA256;"),
    "plain": Site("", tls=""),
    "asking": Site(extra="ssl_verify_client on; ssl_client_certificate root.pem;"),
    "http2": Site(tls="ssl http2"),
    "stapling": Site("stapled", "ssl_stapling on; ssl_stapling_file stapled.ocsp;"),
    "revoked": Site("revoked", "ssl_stapling on; ssl_stapling_file revoked.ocsp;"),
    "retry": Site(extra="ssl_ecdh_curve secp521r1;"),
    "tickets": Site(extra="ssl_session_tickets on; ssl_session_cache shared:a:1m;"),
}


def _credentials(pki: Pki) -> Mapping[str, Credential]:
    good = pki.credential(NAME)
    leaf = pki.leaf([NAME], shape=LeafShape(must_staple=True))
    staple = ocsp.answer(leaf, pki.issuer, pki.now)
    return {
        "good": good,
        "rsa": pki.credential(NAME, "rsa"),
        "default": chains.default_certificate(pki, NAME),
        "bare": chains.missing_intermediate(pki, NAME),
        "expired": chains.expired(pki, NAME),
        "wrong_key": chains.wrong_key(pki, NAME),
        "stapled": Credential((leaf, pki.issuer.certificate), pki.leaf_key, staple),
        "revoked": chains.ocsp_revoked(pki, NAME),
    }


@pytest.fixture(scope="module")
def ports(shelf: Shelf, pki: Pki) -> Iterator[Mapping[str, int]]:
    for stem, credential in _credentials(pki).items():
        shelf.put(stem, credential)
    chosen = dict(zip(SITES, free_ports(len(SITES)), strict=True))
    blocks = "".join(site.block(chosen[name]) for name, site in SITES.items())
    (shelf.folder / "nginx.conf").write_text(f"{_HEAD}{blocks}}}\n")
    command = [program("nginx"), "-p", shelf.folder, "-c", "nginx.conf", "-e", "error.log"]
    with running(command, shelf.folder / "nginx.log", ports=list(chosen.values())):
        yield chosen


@pytest.mark.parametrize(
    ("site", "kind", "verdict"),
    [
        ("good", "default", "passed"),
        ("good", "tls13", "passed"),
        ("good", "tls12-ecdsa", "passed"),
        ("good", "tls12-rsa", "tls/alert_handshake_failure"),
        ("rsa", "default", "passed"),
        ("rsa", "tls12-rsa", "passed"),
        ("rsa", "tls12-ecdsa", "tls/alert_handshake_failure"),
        ("dual", "tls12-rsa", "passed"),
        ("dual", "tls12-ecdsa", "passed"),
        ("default", "default", "certificate/name_mismatch"),
        ("reject", "default", "tls/alert_unrecognized_name"),
        ("bare", "default", "certificate/missing_intermediate"),
        ("expired", "default", "certificate/expired"),
        ("wrong_key", "default", "tls/bad_signature"),
        ("old", "default", "tls/alert_protocol_version"),
        ("tls12", "default", "passed"),
        ("tls12", "tls13", "tls/alert_protocol_version"),
        ("finite_field", "default", "tls/alert_handshake_failure"),
        ("plain", "default", "tls/plain_text"),
        ("asking", "default", "passed"),  # nginx refuses with an HTTP 400, not with TLS
        ("stapling", "default", "passed"),
        ("revoked", "default", "certificate/ocsp_revoked"),
        ("retry", "default", "passed"),
    ],
)
async def test_verdict(
    site: str, kind: ProfileName, verdict: str, ports: Mapping[str, int], probe: Probe
) -> None:
    result = await probe(ports[site], profile=ClientProfile(name=kind, kind=kind))
    assert said(result) == verdict, result


async def test_what_a_good_handshake_shows(ports: Mapping[str, int], probe: Probe) -> None:
    for site, version, alpn in (
        ("good", "TLS 1.3", "http/1.1"),
        ("http2", "TLS 1.3", "h2"),
        ("tls12", "TLS 1.2", "http/1.1"),
    ):
        handshake = (await probe(ports[site])).handshake
        assert handshake is not None
        assert (handshake.version, handshake.alpn) == (version, alpn)
    stapled = (await probe(ports["stapling"])).handshake
    assert stapled is not None
    assert stapled.ocsp == "good"
    retried = (await probe(ports["retry"])).handshake
    assert retried is not None
    assert retried.group == "secp521r1"


async def test_http2_expected_from_a_server_without_it(
    ports: Mapping[str, int], probe: Probe
) -> None:
    expect = ChainExpectations(alpn="h2")
    assert said(await probe(ports["good"], expect=expect)) == "tls/alpn_mismatch"
    assert said(await probe(ports["http2"], expect=expect)) == "passed"


async def test_plain_http_is_shown_as_what_it_is(ports: Mapping[str, int], probe: Probe) -> None:
    result = await probe(ports["plain"])
    assert "HTTP/1.1 400 Bad Request" in str(result.outcome)


async def test_sessions_are_never_resumed(ports: Mapping[str, int], probe: Probe) -> None:
    """A resumed handshake presents no certificate."""
    for kind in ("tls13", "tls12-ecdsa"):
        for _ in range(3):
            result = await probe(ports["tickets"], profile=ClientProfile(kind=kind))
            assert result.handshake is not None
            assert len(result.handshake.chain) == 2
