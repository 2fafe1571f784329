"""Manifests as kubectl renders them, against the schemas of the newest versions of Kubernetes."""

from __future__ import annotations

import copy
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]  # it has no types
import pytest
import yaml
from kubernetes_validate import utils

from probe.config.loading import load
from tests.support.programs import DEPLOY, program, run

pytestmark = pytest.mark.real

FOLDER = DEPLOY / "kubernetes"
OVERLAYS = ("example", "region-of-many")
OPERATORS = ("PodMonitor", "PrometheusRule")
Manifest = dict[str, Any]


def newest() -> list[str]:
    """The three newest minor versions that the package carries."""
    versions = sorted({tuple(map(int, v.split(".")[:2])) for v in utils.all_versions()})
    return [f"{major}.{minor}" for major, minor in versions[-3:]]


def kustomize(folder: Path) -> list[Manifest]:
    text = run(program("kubectl"), "kustomize", folder)
    return [document for document in yaml.safe_load_all(text) if document]


@cache
def overlay(name: str) -> list[Manifest]:
    return kustomize(FOLDER / "overlays" / name)


@pytest.fixture(scope="session")
def everything(tmp_path_factory: pytest.TempPathFactory) -> list[Manifest]:
    """The base with every component."""
    folder = tmp_path_factory.mktemp("kustomize")
    run("cp", "-R", FOLDER, folder)
    components = sorted((folder / "kubernetes/components").iterdir())
    whole = folder / "kubernetes/overlays/everything"
    whole.mkdir()
    (whole / "kustomization.yaml").write_text(
        yaml.safe_dump(
            {
                "apiVersion": "kustomize.config.k8s.io/v1beta1",
                "kind": "Kustomization",
                "namespace": "regional-probe",
                "resources": ["../../base"],
                "components": [f"../../components/{path.name}" for path in components],
            }
        )
    )
    return kustomize(whole)


def only(manifests: list[Manifest], kind: str) -> Manifest:
    (found,) = [manifest for manifest in manifests if manifest["kind"] == kind]
    return found


def test_three_versions_are_checked() -> None:
    assert len(newest()) == 3


@pytest.mark.parametrize("version", newest())
def test_the_schemas_of_kubernetes_accept_everything(
    everything: list[Manifest], version: str
) -> None:
    seen = [*everything, *(manifest for name in OVERLAYS for manifest in overlay(name))]
    for manifest in seen:
        if manifest["kind"] not in OPERATORS:  # those are no part of Kubernetes
            kubernetes_validate.validate(manifest, version, strict=True)
    broken = copy.deepcopy(only(everything, "DaemonSet"))
    broken["spec"]["template"]["spec"]["containers"][0]["readOnly"] = True
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, version, strict=True)


@pytest.mark.parametrize("name", OVERLAYS)
def test_selectors_meet_the_pods(name: str) -> None:
    manifests = overlay(name)
    daemon = only(manifests, "DaemonSet")["spec"]
    labels = daemon["template"]["metadata"]["labels"].items()
    service = only(manifests, "Service")["spec"]
    policy = only(manifests, "NetworkPolicy")["spec"]
    for selector in (
        daemon["selector"]["matchLabels"],
        service["selector"],
        policy["podSelector"]["matchLabels"],
    ):
        assert selector
        assert selector.items() <= labels
    if name == "region-of-many":
        assert service["selector"]["regional-probe/region"] == "sa-east-1"


@pytest.mark.parametrize("name", OVERLAYS)
def test_pods_meet_the_restricted_standard(name: str) -> None:
    """The rules of the Pod Security Standards that concern what is in our pods."""
    manifests = overlay(name)
    labels = only(manifests, "Namespace")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    pod = only(manifests, "DaemonSet")["spec"]["template"]["spec"]
    assert not {"hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"} & pod.keys()
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] != 0
    assert pod["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault"
    allowed = {"configMap", "secret", "projected", "emptyDir", "downwardAPI"}
    assert all((volume.keys() - {"name"}) <= allowed for volume in pod["volumes"])
    for container in pod["containers"]:
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert context["readOnlyRootFilesystem"] is True
        assert context.get("procMount", "Default") == "Default"  # parts of /proc stay masked
        most = int(container["resources"]["limits"]["memory"].removesuffix("Mi"))
        assert most >= 56 + 90 + 2 * 5.4e3 * 10_000 / 2**20  # the figures beside it
        assert not any("hostPort" in port for port in container["ports"])
        assert all(mount["readOnly"] for mount in container["volumeMounts"])


def test_rights_are_none_or_to_get_nodes(everything: list[Manifest]) -> None:
    bare = kustomize(FOLDER / "base")
    assert only(bare, "ServiceAccount")["automountServiceAccountToken"] is False
    pod = only(bare, "DaemonSet")["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert not [manifest for manifest in bare if "Role" in manifest["kind"]]
    rules = only(everything, "ClusterRole")["rules"]
    assert rules == [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]}]
    pod = only(everything, "DaemonSet")["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is True


def test_tolerations_are_by_choice(everything: list[Manifest]) -> None:
    assert "tolerations" not in only(overlay("example"), "DaemonSet")["spec"]["template"]["spec"]
    pod = only(everything, "DaemonSet")["spec"]["template"]["spec"]
    assert pod["tolerations"] == [{"operator": "Exists"}]


@pytest.mark.parametrize("name", OVERLAYS)
def test_the_configuration_is_good_and_names_what_is_there(name: str, tmp_path: Path) -> None:
    manifests = overlay(name)
    maps = {m["metadata"]["name"]: m["data"] for m in manifests if m["kind"] == "ConfigMap"}
    (config,) = [data["probe.yaml"] for data in maps.values() if "probe.yaml" in data]
    (targets,) = [data for data in maps.values() if "stores.yaml" in data]
    pod = only(manifests, "DaemonSet")["spec"]["template"]["spec"]
    container = pod["containers"][0]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    for volume in pod["volumes"]:
        if "configMap" in volume:
            assert volume["configMap"]["name"] in maps
            assert volume["configMap"]["defaultMode"] == 0o440
    (tmp_path / "targets").mkdir()
    for file, text in targets.items():
        (tmp_path / "targets" / file).write_text(text)
    assert mounts["targets"] in config
    (tmp_path / "probe.yaml").write_text(
        config.replace(mounts["targets"], str(tmp_path / "targets"))
    )
    spec = load(tmp_path / "probe.yaml", environ={})
    service = only(manifests, "Service")
    namespace = service["metadata"]["namespace"]
    assert spec.share is not None
    assert spec.share.peers == f"{service['metadata']['name']}.{namespace}.svc.cluster.local"
    assert spec.listen.port == container["ports"][0]["containerPort"]
    assert service["spec"]["clusterIP"] == "None"
    argument = container["args"][container["args"].index("--config") + 1]
    assert argument == f"{mounts['config']}/probe.yaml"
    variables = {variable["name"] for variable in container["env"]}
    assert variables >= {"PROBE_REGION", "PROBE_NODE", "PROBE_ADDRESS", "CREDENTIALS_DIRECTORY"}
    known = run(sys.executable, "-m", "probe", container["args"][0], "--help")
    assert all(word in known for word in container["args"] if word.startswith("--"))


def test_regions_of_one_cluster_do_not_meet() -> None:
    """Names that must differ do; those of the whole cluster's do not clash."""
    manifests = overlay("region-of-many")
    pod = only(manifests, "DaemonSet")["spec"]["template"]["spec"]
    assert pod["nodeSelector"]["topology.kubernetes.io/region"] == "sa-east-1"
    region = {v["name"]: v for v in pod["containers"][0]["env"]}["PROBE_REGION"]
    assert region == {"name": "PROBE_REGION", "value": "sa-east-1"}
    assert only(manifests, "Namespace")["metadata"]["name"] == "regional-probe"


def test_updates_take_one_pod_at_a_time() -> None:
    spec = only(overlay("example"), "DaemonSet")["spec"]
    assert spec["updateStrategy"]["rollingUpdate"] == {"maxUnavailable": 1}
    replicas = 2
    assert replicas > spec["updateStrategy"]["rollingUpdate"]["maxUnavailable"]


def test_the_operators_rules_are_those_of_prometheus(everything: list[Manifest]) -> None:
    done = subprocess.run(
        [sys.executable, str(FOLDER / "render.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, f"run python -m tests.regenerate: {done.stdout}"
    groups = only(everything, "PrometheusRule")["spec"]["groups"]
    assert len({group["name"] for group in groups}) == len(groups)
    monitor = only(everything, "PodMonitor")["spec"]
    labels = only(everything, "DaemonSet")["spec"]["template"]["metadata"]["labels"]
    assert monitor["selector"]["matchLabels"].items() <= labels.items()
    ports = only(everything, "DaemonSet")["spec"]["template"]["spec"]["containers"][0]["ports"]
    assert monitor["podMetricsEndpoints"][0]["port"] in {port["name"] for port in ports}
