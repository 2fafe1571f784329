"""The name of the region, from whoever knows it.

Each source is a function that gives a name or raises ``Silence``. Every answer is checked against
the form that its source gives such names: a portal that answers everything with a page, or
something else at the same address, must not name a region.
"""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from probe.model.spec import RegionSource
from probe.net.names import quoted
from probe.region.exchange import Silence, ask

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


class PlaceError(Exception):
    """No source names the region; the message says why, source by source."""


def find_region(
    sources: Sequence[RegionSource],
    environ: Mapping[str, str],
    *,
    metadata: str = METADATA,
    account: Path = ACCOUNT,
) -> str:
    """Ask in order until one names the region. Blocks: a few milliseconds, or 3 s a source.

    Args:
        sources: whom to ask.
        environ: says where Kubernetes and the node are. ``AWS_EC2_METADATA_SERVICE_ENDPOINT``
            and ``GCE_METADATA_HOST`` are followed as these clouds' own tools do.
        metadata: URL of the metadata service.
        account: folder of the pod's service account.

    Raises:
        PlaceError: none of them does.
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
        except Silence as silence:
            problems.append(f"{source}: {silence}")
    raise PlaceError("; ".join(problems))


def _aws(base: str) -> str:
    """IMDSv2: a session token first, so that no forwarded request can ask in our name."""
    lifetime = {"x-aws-ec2-metadata-token-ttl-seconds": "60"}
    token = _form(_TOKEN, ask("PUT", base, "/latest/api/token", lifetime).text)[0]
    asked = ask(
        "GET", base, "/latest/meta-data/placement/region", {"x-aws-ec2-metadata-token": token}
    )
    return _form(_AWS, asked.text)[0]


def _gce_base(environ: Mapping[str, str]) -> str | None:
    host = environ.get("GCE_METADATA_HOST")
    return f"http://{host}" if host else None


def _gce(base: str) -> str:
    answer = ask("GET", base, "/computeMetadata/v1/instance/zone", {"metadata-flavor": "Google"})
    if answer.headers.get("metadata-flavor") != "Google":
        raise Silence("the answer does not bear the mark of this service")
    return _form(_GCE, answer.text)[1]


def _azure(base: str) -> str:
    path = "/metadata/instance/compute/location?api-version=2021-02-01&format=text"
    return _form(_AZURE, ask("GET", base, path, {"metadata": "true"}).text)[0]


def _kubernetes(environ: Mapping[str, str], account: Path) -> str:
    """The node's label, read through the API; the right to ``get nodes`` is needed."""
    host, port = (environ.get(f"KUBERNETES_SERVICE_{what}") for what in ("HOST", "PORT"))
    if not host or not port:
        raise Silence("this is no pod: KUBERNETES_SERVICE_HOST is not set")
    node = environ.get(NODE, "")
    if not _NODE.fullmatch(node):
        raise Silence(f"{NODE} does not hold the node's name (downward API: spec.nodeName)")
    try:
        token = (account / "token").read_text().strip()
        trust = ssl.create_default_context(cafile=account / "ca.crt")
    except OSError as error:
        raise Silence(f"the service account cannot be read ({error.strerror})") from None
    base = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    headers = {"authorization": f"Bearer {token}", "accept": "application/json"}
    answer = ask("GET", base, f"/api/v1/nodes/{node}", headers, trust=trust)
    try:
        labels = json.loads(answer.text)["metadata"]["labels"]
        region = labels[LABEL]
    except (ValueError, KeyError, TypeError):
        raise Silence(f"the node {node} has no label {LABEL}") from None
    return _form(_NAME, str(region))[0]


def _form(form: re.Pattern[str], text: str) -> re.Match[str]:
    found = form.fullmatch(text.strip())
    if found is None:
        raise Silence(f"the answer {quoted(text[:60])} has not the form expected here")
    return found
