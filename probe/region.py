"""The name of the region this process runs in, asked of the cluster or the cloud.

Each source is a function that gives a name or raises ``NoRegionName``. Every answer is checked
against the form that its source gives such names: a portal that answers everything with a page, or
something else at the same address, must not name a region.
"""

from __future__ import annotations

import http.client
import json
import re
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from probe.model.spec import RegionSource
from probe.model.target import endpoint
from probe.net.names import quoted

METADATA: Final = "http://169.254.169.254"
"""Where all three clouds answer questions of their own machines (link-local, RFC 3927)."""

ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where Kubernetes mounts a pod's token and the certificate authority of its API."""

NODE: Final = "PROBE_NODE"
"""Variable that holds the name of the pod's node (downward API, spec.nodeName)."""

LABEL: Final = "topology.kubernetes.io/region"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_NODE = re.compile(r"[a-z0-9][a-z0-9.-]{0,252}")
_AWS = re.compile(r"[a-z]{2,8}(?:-[a-z]{2,16}){1,3}-[0-9]{1,2}")
_GCE = re.compile(r"projects/[0-9]+/zones/([a-z]{2,16}-[a-z]{2,16}[0-9]{1,2})-[a-z0-9]{1,8}")
_AZURE = re.compile(r"[a-z][a-z0-9]{2,39}")
_TOKEN = re.compile(r"[!-~]{1,1024}")

TIMEOUT = 1.5
"""Seconds for each wait on the socket. A metadata service answers within milliseconds; where
there is none, packets to its address often vanish."""

_LARGEST = 1024 * 1024


class NoRegionName(Exception):
    """One source names no region; the message says why and holds no secret."""


@dataclass(frozen=True, slots=True)
class MetadataResponse:
    """An answer with status 200."""

    text: str
    headers: Mapping[str, str]


class RegionError(Exception):
    """No source names the region; the message says why, source by source."""


def find_region(
    sources: Sequence[RegionSource],
    environ: Mapping[str, str],
    *,
    metadata: str = METADATA,
    account: Path = ACCOUNT,
) -> str:
    """Ask sources in order until one names the region. Blocks for at most 3 s a source.

    Args:
        sources: what to ask, in order.
        environ: says where Kubernetes and the node are. ``AWS_EC2_METADATA_SERVICE_ENDPOINT``
            and ``GCE_METADATA_HOST`` are followed as these clouds' own tools do.
        metadata: URL of the metadata service.
        account: folder of the pod's service account.

    Raises:
        RegionError: none of them does.
    """
    ways: dict[RegionSource, Callable[[], str]] = {
        "kubernetes": lambda: _kubernetes(environ, account),
        "aws": lambda: _aws(environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") or metadata),
        "gce": lambda: _gce(_gce_base(environ) or metadata),
        "azure": lambda: _azure(metadata),
    }
    problems = []
    for source in sources:
        try:
            return ways[source]()
        except NoRegionName as problem:
            problems.append(f"{source}: {problem}")
    raise RegionError("; ".join(problems))


def _aws(base: str) -> str:
    """Ask IMDSv2. It wants a session token first, so that no forwarded request can ask for us."""
    lifetime = {"x-aws-ec2-metadata-token-ttl-seconds": "60"}
    token = _form(_TOKEN, _ask("PUT", base, "/latest/api/token", lifetime).text)[0]
    asked = _ask(
        "GET", base, "/latest/meta-data/placement/region", {"x-aws-ec2-metadata-token": token}
    )
    return _form(_AWS, asked.text)[0]


def _gce_base(environ: Mapping[str, str]) -> str | None:
    host = environ.get("GCE_METADATA_HOST")
    return f"http://{host}" if host else None


def _gce(base: str) -> str:
    answer = _ask("GET", base, "/computeMetadata/v1/instance/zone", {"metadata-flavor": "Google"})
    if answer.headers.get("metadata-flavor") != "Google":
        raise NoRegionName("the response lacks the header of the metadata service")
    return _form(_GCE, answer.text)[1]


def _azure(base: str) -> str:
    path = "/metadata/instance/compute/location?api-version=2021-02-01&format=text"
    return _form(_AZURE, _ask("GET", base, path, {"metadata": "true"}).text)[0]


def _kubernetes(environ: Mapping[str, str], account: Path) -> str:
    """Read the node's label through the API. The right to ``get nodes`` is needed."""
    host, port = (environ.get(f"KUBERNETES_SERVICE_{what}") for what in ("HOST", "PORT"))
    if not host or not port:
        raise NoRegionName("not running in a pod: KUBERNETES_SERVICE_HOST is not set")
    node = environ.get(NODE, "")
    if not _NODE.fullmatch(node):
        raise NoRegionName(f"{NODE} does not hold the node's name (downward API: spec.nodeName)")
    try:
        token = (account / "token").read_text().strip()
        trust = ssl.create_default_context(cafile=account / "ca.crt")
    except OSError as error:
        raise NoRegionName(f"the service account cannot be read ({error.strerror})") from None
    base = f"https://{endpoint(host, port)}"
    headers = {"authorization": f"Bearer {token}", "accept": "application/json"}
    answer = _ask("GET", base, f"/api/v1/nodes/{node}", headers, trust=trust)
    try:
        labels = json.loads(answer.text)["metadata"]["labels"]
        region = labels[LABEL]
    except (ValueError, KeyError, TypeError):
        raise NoRegionName(f"the node {node} has no label {LABEL}") from None
    return _form(_NAME, str(region))[0]


def _form(form: re.Pattern[str], text: str) -> re.Match[str]:
    found = form.fullmatch(text.strip())
    if found is None:
        raise NoRegionName(f"the answer {quoted(text[:60])} is not in the expected form")
    return found


def _ask(
    method: str,
    base: str,
    path: str,
    headers: Mapping[str, str],
    *,
    trust: ssl.SSLContext | None = None,
) -> MetadataResponse:
    """Ask one short question over HTTP, through no proxy and without following a redirect.

    The standard library's client serves here: it runs once, before the event loop does, and
    follows nothing and trusts nobody of its own accord.

    Args:
        method: GET or PUT.
        base: ``http://HOST:PORT`` or ``https://HOST:PORT``.
        path: with its query.
        headers: sent as they are.
        trust: roots to trust; needed for https.

    Raises:
        NoRegionName: no answer, another status than 200, or no text.
    """
    parts = urlsplit(base)
    host = parts.hostname or ""
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(host, parts.port, timeout=TIMEOUT, context=trust)
    else:
        connection = http.client.HTTPConnection(host, parts.port, timeout=TIMEOUT)
    try:
        connection.request(method, path, headers=dict(headers))
        response = connection.getresponse()
        data = response.read(_LARGEST + 1)
    except (OSError, http.client.HTTPException) as error:
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise NoRegionName(f"no answer from {host} ({why})") from None
    finally:
        connection.close()
    if response.status != http.client.OK:
        raise NoRegionName(f"{host} answers {response.status}")
    if len(data) > _LARGEST:
        raise NoRegionName(f"the answer of {host} is larger than {_LARGEST // 1024} KiB")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise NoRegionName(f"the answer of {host} is not text") from None
    return MetadataResponse(text, {name.lower(): value for name, value in response.getheaders()})
