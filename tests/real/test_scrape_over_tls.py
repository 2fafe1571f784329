"""A real Prometheus scrapes an agent over TLS, with a client certificate and a login."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import bcrypt
import pytest
import trio
from cryptography.x509.oid import ExtendedKeyUsageOID

from probe.lab.ca import Credential, LeafShape, Pki
from tests.support.agents import start_agent
from tests.support.engines import open_prometheus
from tests.support.tls_server import write_pem

pytestmark = pytest.mark.real


async def test_prometheus_scrapes_what_the_web_configuration_protects(
    plain: Path, tmp_path: Path
) -> None:
    pki = Pki(datetime.now(UTC))
    write_pem(tmp_path, pki.credential("localhost"))
    shape = LeafShape(purposes=(ExtendedKeyUsageOID.CLIENT_AUTH,))
    leaf = pki.leaf(["prometheus.example.com"], shape=shape)
    write_pem(tmp_path, Credential((leaf, pki.issuer.certificate), pki.leaf_key), "client")
    (tmp_path / "ca.pem").write_bytes(pki.roots_pem())
    (tmp_path / "password").write_text("right")
    hashed = bcrypt.hashpw(b"right", bcrypt.gensalt(5)).decode()
    (tmp_path / "web.yml").write_text(f"""\
tls_server_config:
  cert_file: server.pem
  key_file: server.key
  client_ca_file: ca.pem
  client_auth_type: RequireAndVerifyClientCert
  client_allowed_sans: [prometheus.example.com]
basic_auth_users:
  prometheus: {hashed}
""")
    plain.write_text("page: off\n" + plain.read_text())
    web = ("--listen", "127.0.0.1:0", "--web.config.file", str(tmp_path / "web.yml"))
    async with start_agent(plain, *web) as agent:
        address = await agent.address()
        assert address.startswith("https://")
        (tmp_path / "prometheus.yml").write_text(f"""\
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: probe
    scheme: https
    tls_config:
      {{ca_file: ca.pem, cert_file: client.pem, key_file: client.key, server_name: localhost}}
    basic_auth: {{username: prometheus, password_file: password}}
    static_configs: [{{targets: ["{address.removeprefix("https://")}"]}}]
  - job_name: stranger
    scheme: https
    tls_config: {{ca_file: ca.pem, server_name: localhost}}
    static_configs: [{{targets: ["{address.removeprefix("https://")}"]}}]
""")
        async with open_prometheus(tmp_path / "prometheus.yml") as prometheus:
            with trio.fail_after(60):
                while not await prometheus.series("probe_agent_build_info"):
                    await trio.sleep(0.2)
                while not await prometheus.series('up{job="stranger"}'):
                    await trio.sleep(0.2)
            (up,) = await prometheus.series('max_over_time(up{job="probe"}[1m])')
            (down,) = await prometheus.series('max_over_time(up{job="stranger"}[1m])')
    assert (up["value"][1], down["value"][1]) == ("1", "0")
