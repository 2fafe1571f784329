"""HAProxy with the misconfigurations that people really ship."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from probe.lab import chains, ocsp
from probe.lab.ca import Credential, LeafShape, Pki
from probe.model.secret import SecretRef
from probe.model.tls import ClientCertificate, ClientProfile, ProfileName
from tests.support.ports import free_ports
from tests.support.programs import program, running

from .conftest import NAME, Probe, Shelf, said

pytestmark = pytest.mark.real

_HEAD = """
global
    tune.ssl.default-dh-param 2048
    ssl-default-bind-ciphers ALL:@SECLEVEL=0
    ssl-default-bind-options no-tls-tickets
defaults
    mode http
    timeout client 5s
    timeout server 5s
    timeout connect 1s
    retries 0
"""

# Name of a frontend: what follows "bind ADDRESS", and further lines.
FRONTENDS: Mapping[str, tuple[str, str]] = {
    "good": ("ssl crt good.pem", ""),
    "strict": ("ssl crt other.pem strict-sni", ""),
    "default": ("ssl crt other.pem", ""),
    "bare": ("ssl crt bare.pem", ""),
    "dual": ("ssl crt both.pem", ""),
    "old": ("ssl crt good.pem ssl-min-ver TLSv1.0 ssl-max-ver TLSv1.1", ""),
    "asking": ("ssl crt good.pem ca-file root.pem verify required", ""),
    "optional": ("ssl crt good.pem ca-file root.pem verify optional", ""),
    "http2": ("ssl crt good.pem alpn h2,http/1.1", ""),
    "stapling": ("ssl crt stapled.pem", ""),
    "plain": ("", ""),
    "rejecting": ("ssl crt good.pem", "    tcp-request connection reject\n"),
    "through": ("", "    mode tcp\n    default_backend dead\n"),
}


def _credentials(pki: Pki) -> Mapping[str, Credential]:
    leaf = pki.leaf([NAME], shape=LeafShape(must_staple=True))
    staple = ocsp.answer(leaf, pki.issuer, pki.now)
    user = pki.leaf(["user.example"], shape=LeafShape(purposes=(ExtendedKeyUsageOID.CLIENT_AUTH,)))
    stranger = pki.make_authority("stranger.example", issuer=pki.stranger)
    return {
        "good": pki.credential(NAME),
        "other": pki.credential("other.example"),
        "bare": chains.missing_intermediate(pki, NAME),
        "stapled": Credential((leaf, pki.issuer.certificate), pki.leaf_key, staple),
        "user": Credential((user, pki.issuer.certificate), pki.leaf_key),
        "stranger": Credential((stranger.certificate,), stranger.key),
    }


@pytest.fixture(scope="module")
def ports(shelf: Shelf, pki: Pki) -> Iterator[Mapping[str, int]]:
    for stem, credential in _credentials(pki).items():
        shelf.put(stem, credential)
    # HAProxy takes NAME.rsa and NAME.ecdsa as one certificate of two types, and wants the
    # stapled answer beside the certificate.
    for kind in ("ecdsa", "rsa"):
        shelf.put(f"both-{kind}", pki.credential(NAME, kind))
        (shelf.folder / f"both-{kind}.pem").rename(shelf.folder / f"both.pem.{kind}")
    (shelf.folder / "stapled.pem.ocsp").write_bytes((shelf.folder / "stapled.ocsp").read_bytes())
    chosen = dict(zip(FRONTENDS, free_ports(len(FRONTENDS)), strict=True))
    parts = [
        f"frontend {name}\n    bind 127.0.0.1:{chosen[name]} {bind}\n{lines}"
        + ("" if "mode tcp" in lines else "    http-request return status 200\n")
        for name, (bind, lines) in FRONTENDS.items()
    ]
    parts.append("backend dead\n    mode tcp\n    server gone 127.0.0.1:1\n")
    (shelf.folder / "haproxy.cfg").write_text(_HEAD + "\n".join(parts))
    command = [program("haproxy"), "-db", "-C", shelf.folder, "-f", "haproxy.cfg"]
    with running(command, shelf.folder / "haproxy.log", ports=list(chosen.values())):
        yield chosen


@pytest.mark.parametrize(
    ("frontend", "kind", "verdict"),
    [
        ("good", "default", "passed"),
        ("good", "tls12-ecdsa", "passed"),
        ("good", "tls12-rsa", "tls/alert_handshake_failure"),
        ("strict", "default", "tls/alert_unrecognized_name"),
        ("strict", "tls12-ecdsa", "tls/alert_unrecognized_name"),
        ("default", "default", "certificate/name_mismatch"),
        ("bare", "default", "certificate/missing_intermediate"),
        ("dual", "tls12-rsa", "passed"),
        ("dual", "tls12-ecdsa", "passed"),
        ("old", "default", "tls/alert_protocol_version"),
        ("asking", "tls13", "tls/alert_certificate_required"),
        ("asking", "tls12-ecdsa", "tls/alert_certificate_required"),
        ("optional", "default", "passed"),
        ("http2", "default", "passed"),
        ("stapling", "default", "passed"),
        ("plain", "default", "tls/plain_text"),
    ],
)
async def test_verdict(
    frontend: str, kind: ProfileName, verdict: str, ports: Mapping[str, int], probe: Probe
) -> None:
    result = await probe(ports[frontend], profile=ClientProfile(name=kind, kind=kind))
    assert said(result) == verdict, result


@pytest.mark.parametrize("frontend", ["rejecting", "through"])
async def test_a_front_that_lets_nobody_through(
    frontend: str, ports: Mapping[str, int], probe: Probe
) -> None:
    """The connection is there, and ends: which of the two ways depends on what it had read."""
    assert said(await probe(ports[frontend])) in ("tls/closed", "tls/reset")


@pytest.mark.parametrize(
    ("stem", "verdict"), [("user", "passed"), ("stranger", "tls/alert_unknown_ca")]
)
async def test_client_certificate(
    stem: str, verdict: str, ports: Mapping[str, int], probe: Probe, shelf: Shelf
) -> None:
    pair = ClientCertificate(
        SecretRef("file", str(shelf.folder / f"{stem}.crt")),
        SecretRef("file", str(shelf.folder / f"{stem}.key")),
    )
    result = await probe(ports["asking"], profile=ClientProfile(client_certificate=pair))
    assert said(result) == verdict, result


async def test_the_right_name_passes_a_strict_front(ports: Mapping[str, int], probe: Probe) -> None:
    assert said(await probe(ports["strict"], name="other.example")) == "passed"
