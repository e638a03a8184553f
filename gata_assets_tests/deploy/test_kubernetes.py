"""deploy/kubernetes: what the manifests say, and that they fit each other, the image and compose.yaml.

Real: the files; where kubectl is installed, `kubectl kustomize`, whose output is held against the same. No cluster: no
manifest is applied, and no schema of Kubernetes is asked.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from gata_assets.settings.model import variable_names
from gata_assets_tests.support.compose import DEPLOY, SERVICES

KUBERNETES = DEPLOY / "kubernetes"
WORKLOADS = {
    "gata-code": "code-location",
    "gata-webserver": "webserver",
    "gata-daemon": "daemon",
    "gata-service": "service",
    "gata-consumer": "consumer",
    "gata-relay": "relay",
    "gata-rollup": "rollup",
}
USER = 10001
Manifest = dict[str, Any]


def read_folder(name: str) -> list[Manifest]:
    """The manifests of a kustomization as they are written, those of the folders that it names included."""
    folder = KUBERNETES / name
    found: list[Manifest] = []
    for resource in yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]:
        path = (folder / resource).resolve()
        if path.is_dir():
            found += read_folder(path.name)
        else:
            found += [one for one in yaml.safe_load_all(path.read_text()) if one]
    return found


def built(name: str) -> list[Manifest]:
    """What `kubectl kustomize` makes of a kustomization."""
    kubectl = shutil.which("kubectl")
    if not kubectl:
        pytest.skip("kubectl is not installed")
    ran = subprocess.run([kubectl, "kustomize", str(KUBERNETES / name)], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    return [one for one in yaml.safe_load_all(ran.stdout) if one]


def pods(manifests: list[Manifest]) -> Iterator[tuple[str, Manifest, Manifest]]:
    """Of each workload: its name, its pods' metadata and its pods' specification."""
    for one in manifests:
        if one["kind"] in ("Deployment", "CronJob"):
            spec = one["spec"]["jobTemplate"]["spec"] if one["kind"] == "CronJob" else one["spec"]
            yield one["metadata"]["name"], spec["template"]["metadata"], spec["template"]["spec"]


def named(manifests: list[Manifest], kind: str) -> dict[str, Manifest]:
    return {one["metadata"]["name"]: one for one in manifests if one["kind"] == kind}


def require_confined(manifests: list[Manifest]) -> None:
    """Check that all pods run as the image's user, with nothing to write to but /tmp, and with bounds."""
    found = {name: spec for name, _, spec in pods(manifests)}
    assert found.keys() == WORKLOADS.keys()
    for name, spec in found.items():
        assert spec["securityContext"] == {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        }, name
        assert spec["automountServiceAccountToken"] is False
        [container] = spec["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }, name
        assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
        assert "memory" in container["resources"]["limits"]
        assert [mount["mountPath"] for mount in container["volumeMounts"]] == ["/tmp"]
        assert all("sizeLimit" in volume["emptyDir"] for volume in spec["volumes"])


def require_consistent(manifests: list[Manifest]) -> None:
    """Check that what a manifest names is there, and that what selects pods finds some."""
    accounts, maps = named(manifests, "ServiceAccount"), named(manifests, "ConfigMap")
    labels = []
    for name, metadata, spec in pods(manifests):
        labels.append(metadata["labels"])
        assert spec["serviceAccountName"] in accounts
        [container] = spec["containers"]
        for source in container["envFrom"]:
            if "configMapRef" in source and maps:
                assert source["configMapRef"]["name"] in maps, name
        ports = {port["name"] for port in container.get("ports", [])}
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            assert container.get(probe, {}).get("httpGet", {}).get("port") in {None, *ports}
    for one in manifests:
        spec = one.get("spec", {})
        selectors = [spec.get("podSelector"), spec.get("selector")]
        for selector in (found for found in selectors if found):
            wanted = selector.get("matchLabels", {} if "matchExpressions" in selector else selector)
            assert any(wanted.items() <= found.items() for found in labels), one["metadata"]["name"]
            for expression in selector.get("matchExpressions", []):
                names = {found[expression["key"]] for found in labels}
                assert set(expression["values"]) <= names, one["metadata"]["name"]


def test_pods_are_confined_and_bounded_as_written() -> None:
    require_confined(read_folder("base"))


def test_commands_are_those_of_compose() -> None:
    for name, _, spec in pods(read_folder("base")):
        [container] = spec["containers"]
        service = SERVICES[WORKLOADS[name]]
        expected = service["entrypoint"] + service["command"]
        given = container["command"] + container["args"]
        if name == "gata-rollup":
            # Kubernetes repeats it.
            expected = [word for word in expected if word not in ("--every", "60")]
        if name == "gata-webserver":
            # Its login is in the same pod, or there is none.
            expected = ["127.0.0.1" if word == "0.0.0.0" else word for word in expected]  # noqa: S104
        assert given == expected, name


def test_requests_at_work_may_end_and_two_services_are_never_away_at_once() -> None:
    manifests = read_folder("base")
    deployments = named(manifests, "Deployment")
    service = deployments["gata-service"]["spec"]
    assert service["replicas"] >= 2 and service["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert named(manifests, "PodDisruptionBudget")["gata-service"]["spec"]["minAvailable"] >= 1
    [container] = service["template"]["spec"]["containers"]
    pause = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert service["template"]["spec"]["terminationGracePeriodSeconds"] >= pause + 25
    assert {container[probe]["httpGet"]["path"] for probe in ("readinessProbe", "livenessProbe")} == {"/health"}
    for name in ("gata-daemon", "gata-code", "gata-relay"):
        assert (deployments[name]["spec"]["replicas"], deployments[name]["spec"]["strategy"]) == (
            1,
            {"type": "Recreate"},
        )


def test_the_settings_know_every_variable_and_no_secret_is_written_down() -> None:
    for name in ("base", "example"):
        text = (KUBERNETES / name / "kustomization.yaml").read_text()
        variables = set(re.findall(r"^ +- ([A-Z_]+)=", text, flags=re.MULTILINE))
        ours = {one for one in variables if not one.startswith(("DAGSTER_", "GATA_CODE_", "PG"))}
        assert ours <= set(variable_names())
        assert not {one for one in variables if "PASSWORD" in one}
    assert not [one for one in read_folder("example") if one["kind"] == "Secret"]


def test_the_image_has_the_dagster_home_that_is_named() -> None:
    home = re.findall(r"DAGSTER_HOME=(\S+)", (KUBERNETES / "base" / "kustomization.yaml").read_text())
    dockerfile = (DEPLOY.parent / "Dockerfile").read_text()
    assert home == ["/srv/gata/compose"] and "WORKDIR /srv/gata\n" in dockerfile
    assert "COPY deploy/compose/dagster.yaml deploy/workspace.yaml compose/\n" in dockerfile
    given = (KUBERNETES / "base" / "kustomization.yaml").read_text() + (
        KUBERNETES / "example" / "kustomization.yaml"
    ).read_text()
    read = set(re.findall(r"env: (\w+)", (DEPLOY / "compose" / "dagster.yaml").read_text()))
    read |= set(re.findall(r"env: (\w+)", (DEPLOY / "workspace.yaml").read_text()))
    assert {name for name in read if f"- {name}=" not in given} == {"DAGSTER_PG_PASSWORD"}


def test_nothing_is_let_in_but_what_is_named() -> None:
    policies = named(read_folder("base"), "NetworkPolicy")
    nothing = policies["gata-nothing"]["spec"]
    assert set(nothing["policyTypes"]) == {"Ingress", "Egress"}
    assert not {"ingress", "egress"} & nothing.keys()
    for name, policy in policies.items():
        for rule in policy["spec"].get("ingress", []):
            assert rule["from"] and rule["ports"], name


@pytest.mark.process
@pytest.mark.parametrize("name", ["base", "example"])
def test_kustomize_builds_what_fits_together(name: str) -> None:
    manifests = built(name)
    require_confined(manifests)
    require_consistent(manifests)
    images = {spec["containers"][0]["image"] for _, _, spec in pods(manifests)}
    if name == "example":
        assert images == {"123456789012.dkr.ecr.eu-west-1.amazonaws.com/gata-assets:0.1.0"}
        assert {one["metadata"].get("namespace") for one in manifests if one["kind"] != "Namespace"} == {"gata"}
        accounts = named(manifests, "ServiceAccount").values()
        roles = {one["metadata"]["annotations"]["eks.amazonaws.com/role-arn"] for one in accounts}
        assert len(roles) == len(accounts) == 5
        scaled = named(manifests, "HorizontalPodAutoscaler")["gata-service"]["spec"]
        assert scaled["scaleTargetRef"]["name"] in named(manifests, "Deployment")
    assert len(named(manifests, "Deployment")) + len(named(manifests, "CronJob")) == len(WORKLOADS)


def test_stores_are_those_of_compose_and_keep_what_they_have() -> None:
    manifests = read_folder("stores")
    stores = {name.removeprefix("gata-"): one["spec"] for name, one in named(manifests, "StatefulSet").items()}
    assert stores.keys() == {"redis", "mlflow", "s3"}
    for name, spec in stores.items():
        pod = spec["template"]["spec"]
        [container] = pod["containers"]
        service = SERVICES[name]
        assert container["image"] == service["image"]
        renamed = [
            word.replace("=s3", "=gata-s3").replace("mlflow:5000", "gata-mlflow:5000") for word in service["command"]
        ]
        assert container["args"] == renamed
        assert spec["volumeClaimTemplates"][0]["metadata"]["name"] == "data"
        assert {"name": "data", "mountPath": "/data"} in container["volumeMounts"]
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert pod["securityContext"]["runAsUser"] == pod["securityContext"]["fsGroup"] == USER
        assert pod["serviceAccountName"] in named(manifests, "ServiceAccount")
        [port] = container["ports"]
        [of_service] = named(manifests, "Service")[f"gata-{name}"]["spec"]["ports"]
        assert (of_service["port"], of_service["targetPort"]) == (port["containerPort"], port["name"])
        policies = named(manifests, "NetworkPolicy")
        into, out = policies[f"gata-{name}"]["spec"]["ingress"], policies[f"gata-to-{name}"]["spec"]["egress"]
        assert [into[0]["ports"], out[0]["ports"]] == [[{"protocol": "TCP", "port": port["containerPort"]}]] * 2
        asking = policies[f"gata-to-{name}"]["spec"]["podSelector"]["matchExpressions"][0]["values"]
        assert {*asking} <= WORKLOADS.keys()
    mlflow = stores["mlflow"]["template"]["spec"]["containers"][0]["env"]
    assert {"name": "MLFLOW_DISABLE_TELEMETRY", "value": "true"} in mlflow


@pytest.mark.process
def test_kustomize_builds_the_stores() -> None:
    assert named(built("stores"), "StatefulSet").keys() == {"gata-redis", "gata-mlflow", "gata-s3"}


def test_each_role_has_an_account_of_its_own() -> None:
    found = {name: spec["serviceAccountName"] for name, _, spec in pods(read_folder("base"))}
    of_dagster = {found.pop(name) for name in ("gata-code", "gata-webserver", "gata-daemon")}
    assert of_dagster == {"gata-dagster"}
    assert found == {name: name for name in found}
