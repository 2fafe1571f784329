"""A list made by `openssl ca` and served by nginx, through `probe check` and a running agent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from probe.lab.ca import LeafShape, Pki
from tests.support.agents import start_agent
from tests.support.ports import free_ports
from tests.support.programs import probe, program, run, running

pytestmark = pytest.mark.real

_NGINX = """
daemon off; master_process off; worker_processes 1; pid nginx.pid;
events {{ worker_connections 64; }}
http {{
    log_format short '$status $request'; access_log lists.log short;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    server {{ listen 127.0.0.1:{lists}; root {folder}/lists; expires 1h;
              location /moved.crl {{ return 301 /issuing.crl; }} }}
    server {{ listen 127.0.0.1:{edge} ssl; access_log off; return 200 ok;
              ssl_certificate edge.pem; ssl_certificate_key edge.pem; }}
}}
"""

_CA = """
[ca]
default_ca = own
[own]
database = index.txt
crlnumber = number
default_md = sha256
default_crl_days = 2
certificate = issuer.pem
private_key = issuer.key
policy = any
[any]
commonName = supplied
"""


@dataclass
class Estate:
    """An authority, and an edge with one of its certificates."""

    folder: Path
    edge: int
    lists: int

    def openssl(self, *arguments: str) -> None:
        """Run `openssl ca`."""
        run("sh", "-c", f"cd {self.folder} && openssl ca -config ca.cnf {' '.join(arguments)}")

    def publish(self, *more: str) -> None:
        """Sign a list, and put it where nginx serves it."""
        self.openssl("-gencrl", "-out", "list.pem", *more)
        der = self.folder / "lists" / "issuing.crl"
        run("openssl", "crl", "-in", self.folder / "list.pem", "-outform", "DER", "-out", der)

    def write(self, *more: str, allow: str = "127.0.0.0/8") -> Path:
        """A configuration."""
        path = self.folder / "probe.yaml"
        path.write_text(
            f"""\
region: here
addresses: {{allow: ["{allow}"]}}
providers:
  cdn: {{addresses: ["127.0.0.1:{self.edge}"]}}
checks:
- kind: tls
  name: shops
  targets: [shop.example]
  providers: [cdn]
  interval: 1s
  trust: {{file: root.pem}}
"""
            + "\n".join(more)
            + "\n"
        )
        return path

    def check(self, *more: str, allow: str = "127.0.0.0/8") -> CompletedProcess[str]:
        """One round."""
        return probe("check", "--config", self.write(*more, allow=allow))

    @property
    def asked(self) -> list[str]:
        """What nginx was asked for, with its status."""
        return (self.folder / "lists.log").read_text().splitlines()


@pytest.fixture
def estate(tmp_path: Path) -> Iterator[Estate]:
    edge, lists = free_ports(2)
    pki = Pki(datetime.now(UTC))
    leaf = pki.leaf(
        ["shop.example"], shape=LeafShape(list_url=f"http://127.0.0.1:{lists}/issuing.crl")
    )
    pem = {
        "root.pem": pki.roots_pem(),
        "issuer.pem": pki.issuer.certificate.public_bytes(Encoding.PEM),
        "leaf.pem": leaf.public_bytes(Encoding.PEM),
    }
    for name, key in (("issuer.key", pki.issuer.key), ("leaf.key", pki.leaf_key)):
        pem[name] = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    pem["edge.pem"] = pem["leaf.pem"] + pem["issuer.pem"] + pem["leaf.key"]
    for name, content in pem.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "lists").mkdir()
    (tmp_path / "index.txt").touch()
    (tmp_path / "number").write_text("01\n")
    (tmp_path / "ca.cnf").write_text(_CA)
    text = _NGINX.format(lists=lists, edge=edge, folder=tmp_path)
    (tmp_path / "nginx.conf").write_text(text)
    command = (program("nginx"), "-p", tmp_path, "-c", "nginx.conf", "-e", "error.log")
    with running(command, tmp_path / "nginx.out", ports=[edge, lists]):
        yield Estate(tmp_path, edge, lists)


def test_a_certificate_passes_until_its_authority_revokes_it(estate: Estate) -> None:
    estate.publish()
    good = estate.check()
    assert (good.returncode, good.stdout) == (0, "1 pass\nrevocation: 1 on no list\n"), good.stderr
    estate.openssl("-revoke", "leaf.pem", "-crl_reason", "keyCompromise")
    estate.publish()
    revoked = estate.check()
    assert revoked.returncode == 1
    assert "certificate/crl_revoked" in revoked.stdout
    assert "the issuer revoked the certificate at 20" in revoked.stdout
    assert "(keyCompromise), says the revocation list http://127.0.0.1:" in revoked.stdout
    assert "-crl_check_all -crl_download" in revoked.stdout
    assert estate.asked == ["200 GET /issuing.crl HTTP/1.1"] * 2


def test_with_a_state_directory_a_list_is_not_sent_twice(estate: Estate) -> None:
    estate.openssl("-revoke", "leaf.pem")
    estate.publish()
    for _ in range(2):
        assert estate.check("state_dir: state").returncode == 1
    statuses = [line.split()[0] for line in estate.asked]
    assert statuses in (["200"], ["200", "304"]), "the copy is enough for a verdict"


@pytest.mark.parametrize(
    ("more", "allow", "says"),
    [
        ((), "192.0.2.0/24", "address_refused"),
        (("crl: off",), "127.0.0.0/8", "1 not looked at"),
    ],
)
def test_no_list_is_fetched_where_it_is_not_permitted(
    estate: Estate, more: tuple[str, ...], allow: str, says: str
) -> None:
    estate.publish()
    done = estate.check(*more, allow=allow)
    assert (done.returncode, estate.asked) == (0, []), done.stdout
    assert says in done.stdout


def test_a_list_that_is_not_there_or_out_of_date_fails_nothing(estate: Estate) -> None:
    missing = estate.check()
    assert missing.returncode == 0
    assert "certificate/crl_unavailable" in missing.stdout
    assert "status 404" in missing.stdout
    estate.publish("-crl_lastupdate", "20200101000000Z", "-crl_nextupdate", "20200108000000Z")
    old = estate.check()
    assert old.returncode == 0
    assert "certificate/crl_expired" in old.stdout
    assert "ended at 2020-01-08T00:00:00Z" in old.stdout


async def test_a_running_agent_says_so_in_its_series(estate: Estate) -> None:
    estate.openssl("-revoke", "leaf.pem", "-crl_reason", "superseded")
    estate.publish()
    config = estate.write("listen: 127.0.0.1:0")
    async with start_agent(config) as agent:

        async def revoked() -> bool:
            return await agent.metric("probe_agent_crl_revoked_chains") == 1.0

        await agent.until(revoked)
        assert await agent.metric("probe_agent_crl_lists", state="usable") == 1.0
        assert await agent.metric("probe_agent_crl_looks_total", outcome="new") == 1.0
        page = await agent.get("/target/shop.example")
        assert "the issuer revoked the certificate" in page.text
        assert "<dt>revocation</dt><dd>revoked</dd>" in page.text
    assert len(estate.asked) == 1
