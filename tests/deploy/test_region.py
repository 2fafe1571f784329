"""The region, asked of metadata services and a Kubernetes API on the loopback interface."""

from __future__ import annotations

import datetime as dt
import json
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

import certifi
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from probe import region as room
from probe.model.spec import RegionSource
from probe.region import RegionError, find_region
from tests.support.agents import StartAgent

Answer = tuple[int, dict[str, str], bytes]


@dataclass
class Service:
    """A metadata service that answers from a table and remembers what it was asked."""

    answers: dict[tuple[str, str], Answer]
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def serving(service: Service, secure: ssl.SSLContext | None = None) -> Iterator[Service]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer("GET")

        def do_PUT(self) -> None:
            self._answer("PUT")

        def _answer(self, method: str) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            service.asked.append((method, self.path, headers))
            status, more, body = service.answers.get((method, self.path), (404, {}, b""))
            self.send_response(status)
            for name, value in more.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        if secure is not None:
            server.socket = secure.wrap_socket(server.socket, server_side=True)
        service.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield service
        finally:
            server.shutdown()
            thread.join()


TOKEN = ("PUT", "/latest/api/token")
AWS = ("GET", "/latest/meta-data/placement/region")
GCE = ("GET", "/computeMetadata/v1/instance/zone")
AZURE = ("GET", "/metadata/instance/compute/location?api-version=2021-02-01&format=text")
GOOGLE = {"Metadata-Flavor": "Google"}
PAGE: Answer = (200, {}, b"<html>Please log in</html>")


def aws(body: bytes) -> dict[tuple[str, str], Answer]:
    return {TOKEN: (200, {}, b"session-token=="), AWS: (200, {}, body)}


@pytest.mark.parametrize(
    ("source", "answers", "region"),
    [
        ("aws", aws(b"sa-east-1"), "sa-east-1"),
        ("aws", aws(b"us-gov-west-1\n"), "us-gov-west-1"),
        ("gce", {GCE: (200, GOOGLE, b"projects/12/zones/europe-west1-b")}, "europe-west1"),
        ("gce", {GCE: (200, GOOGLE, b"projects/1/zones/us-central1-ai1a")}, "us-central1"),
        ("azure", {AZURE: (200, {}, b"brazilsouth")}, "brazilsouth"),
        ("azure", {AZURE: (200, {}, b"eastus2")}, "eastus2"),
    ],
)
def test_a_cloud_names_the_region(
    source: RegionSource, answers: dict[tuple[str, str], Answer], region: str
) -> None:
    with serving(Service(answers)) as service:
        assert find_region([source], {}, metadata=service.url) == region


@pytest.mark.parametrize(
    ("source", "answers", "why"),
    [
        ("aws", {}, "aws: 127.0.0.1 answers 404"),
        ("aws", aws(b"<html>"), 'aws: the answer "<html>" is not in the expected form'),
        ("aws", aws(b"sa-east-1\nregion: other-1"), "is not in the expected form"),
        ("aws", {TOKEN: (302, {"location": "/else"}, b"")}, "aws: 127.0.0.1 answers 302"),
        (
            "aws",
            {TOKEN: (200, {}, b"a\nb"), AWS: (200, {}, b"sa-east-1")},
            "is not in the expected form",
        ),
        (
            "gce",
            {GCE: (200, {}, b"projects/12/zones/europe-west1-b")},
            "lacks the header of the metadata service",
        ),
        ("gce", {GCE: (200, GOOGLE, b"europe-west1")}, "is not in the expected form"),
        ("gce", {GCE: PAGE}, "lacks the header of the metadata service"),
        ("azure", {AZURE: PAGE}, "is not in the expected form"),
        ("azure", {AZURE: (200, {}, b"\xff\xfe")}, "is not text"),
        ("azure", {AZURE: (200, {}, b"x" * (2 * 1024 * 1024))}, "is larger than 1024 KiB"),
    ],
)
def test_what_has_not_the_right_form_names_no_region(
    source: RegionSource, answers: dict[tuple[str, str], Answer], why: str
) -> None:
    with (
        serving(Service(answers)) as service,
        pytest.raises(RegionError) as raised,
    ):
        find_region([source], {}, metadata=service.url)
    assert why in str(raised.value)


def test_aws_is_asked_in_the_second_version_only() -> None:
    with serving(Service(aws(b"sa-east-1"))) as service:
        find_region(["aws"], {"AWS_EC2_METADATA_SERVICE_ENDPOINT": service.url}, metadata="x")
    (put, _, lifetime), (get, _, session) = service.asked
    assert (put, get) == ("PUT", "GET")
    assert lifetime["x-aws-ec2-metadata-token-ttl-seconds"] == "60"
    assert session["x-aws-ec2-metadata-token"] == "session-token=="


def test_they_are_asked_in_order_and_every_refusal_is_told() -> None:
    with serving(Service({AZURE: (200, {}, b"westeurope")})) as service:
        host = {"GCE_METADATA_HOST": f"127.0.0.1:{service.port}"}
        assert find_region(["aws", "gce", "azure"], host, metadata=service.url) == "westeurope"
        with pytest.raises(RegionError) as raised:
            find_region(["kubernetes", "aws", "gce"], host, metadata=service.url)
    assert str(raised.value) == (
        "kubernetes: not running in a pod: KUBERNETES_SERVICE_HOST is not set; "
        "aws: 127.0.0.1 answers 404; gce: 127.0.0.1 answers 404"
    )


def test_a_service_that_says_nothing_costs_the_time_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "TIMEOUT", 0.05)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(RegionError, match=r"azure: no answer from 127\.0\.0\.1 \(timed out\)"):
            find_region(["azure"], {}, metadata=url)


# ------------------------------------------------------------------------ the agent

TLS = "checks: [{name: a, kind: tls, targets: [shop.example]}]\n"


@pytest.mark.parametrize("asked", [(), ("--region-from", "aws")])
async def test_an_agent_asks_at_its_start_and_never_again(
    tmp_path: Path, agents: StartAgent, asked: tuple[str, ...]
) -> None:
    """By the configuration or the command line; the answer is a label of every series."""
    path = tmp_path / "probe.yaml"
    path.write_text(TLS if asked else f"region: {{from: aws}}\n{TLS}")
    with serving(Service(aws(b"sa-east-1"))) as service:
        environ = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": service.url}
        async with agents(path, "--listen", "127.0.0.1:0", *asked, environ=environ) as agent:
            assert (await agent.said("started"))["region"] == "sa-east-1"
            service.answers.clear()
            agent.process.send_signal(signal.SIGHUP)
            await agent.said("reloaded")
            assert 'region="sa-east-1"' in (await agent.get("/metrics")).text
            assert not [line for line in agent.log if line["event"] == "needs a restart"]
    assert len(service.asked) == 2


@pytest.mark.parametrize(
    ("first", "arguments", "why"),
    [
        ("", [], "nothing names this agent's region: write --region NAME, or set PROBE_REGION"),
        (
            "region: {from: kubernetes}\n",
            [],
            "nobody names this agent's region (kubernetes: not running in a pod: ",
        ),
    ],
)
def test_an_agent_without_a_region_says_what_to_write(
    tmp_path: Path, first: str, arguments: list[str], why: str
) -> None:
    path = tmp_path / "probe.yaml"
    path.write_text(first + TLS)
    command = [sys.executable, "-m", "probe", "run", "--config", str(path), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert why in done.stderr


# ------------------------------------------------------------------------ Kubernetes


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Service], ssl.SSLContext]:
    folder = tmp_path_factory.mktemp("account")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kubernetes")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "ca.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    (folder / "token").write_text("pod-token\n")

    def made(_: Service) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "ca.crt", folder / "key")
        return context

    made.folder = folder  # type: ignore[attr-defined]  # the tests need the account too
    return made


def node(labels: object) -> dict[tuple[str, str], Answer]:
    body = json.dumps({"kind": "Node", "metadata": {"name": "n1", "labels": labels}}).encode()
    return {("GET", "/api/v1/nodes/n1"): (200, {}, body)}


def pod(service: Service, name: str = "n1") -> dict[str, str]:
    return {
        "KUBERNETES_SERVICE_HOST": "127.0.0.1",
        "KUBERNETES_SERVICE_PORT": str(service.port),
        "PROBE_NODE": name,
    }


def test_the_nodes_label_names_the_region(api: Callable[[Service], ssl.SSLContext]) -> None:
    service = Service(node({"topology.kubernetes.io/region": "sa-east-1"}))
    folder: Path = api.folder  # type: ignore[attr-defined]  # see above
    with serving(service, api(service)):
        assert find_region(["kubernetes"], pod(service), account=folder) == "sa-east-1"
    assert service.asked[0][2]["authorization"] == "Bearer pod-token"


@pytest.mark.parametrize(
    ("answers", "name", "why"),
    [
        (node({}), "n1", "the node n1 has no label topology.kubernetes.io/region"),
        (node(None), "n1", "the node n1 has no label"),
        (node({"topology.kubernetes.io/region": "a b"}), "n1", "is not in the expected form"),
        ({("GET", "/api/v1/nodes/n1"): (403, {}, b"no")}, "n1", "127.0.0.1 answers 403"),
        (node({}), "../secrets", "PROBE_NODE does not hold the node's name"),
        (node({}), "", "PROBE_NODE does not hold the node's name"),
    ],
)
def test_what_the_api_does_not_say_is_told_without_the_token(
    api: Callable[[Service], ssl.SSLContext],
    answers: dict[tuple[str, str], Answer],
    name: str,
    why: str,
) -> None:
    service = Service(answers)
    folder: Path = api.folder  # type: ignore[attr-defined]  # see above
    with serving(service, api(service)), pytest.raises(RegionError) as raised:
        find_region(["kubernetes"], pod(service, name), account=folder)
    assert why in str(raised.value)
    assert "pod-token" not in str(raised.value)


def test_an_api_of_another_authority_never_gets_the_token(
    api: Callable[[Service], ssl.SSLContext], tmp_path: Path
) -> None:
    service = Service(node({"topology.kubernetes.io/region": "sa-east-1"}))
    (tmp_path / "token").write_text("pod-token")
    (tmp_path / "ca.crt").write_text(Path(certifi.where()).read_text())
    with serving(service, api(service)), pytest.raises(RegionError, match="kubernetes: no answer"):
        find_region(["kubernetes"], pod(service), account=tmp_path)
    assert service.asked == []
