"""The manifests: Kubernetes takes them, what they name is there, and what they promise stands in them."""

import json
from typing import Any

import pytest
import yaml

from jobs.submit import in_blocks, platform, ray_cluster, ray_cron_job, ray_job, section_of
from pipeline.storage import Allowed
from tests.infra.support import manifests, schemas
from tests.infra.support.manifests import KUBERNETES, OVERLAYS, Manifest, built, called, of_kind, pods, written
from tests.support import REPOSITORY
from tests.support.generated import check_file

needs_kustomize = pytest.mark.skipif(not manifests.kustomize(), reason="needs kustomize 5, or a kubectl that has it")
needs_crds = pytest.mark.skipif(schemas.crds() is None, reason=schemas.NO_CRDS)

MADE = "# Made by `make manifests`.\n"

JOBS = {
    "examples/rayjob.yaml": ("gpu", "examples/manifest.yaml", ray_job),
    "operators-cron/raycronjob.yaml": ("gpu", "base/jobs/nightly-grid.yaml", ray_cron_job),
}
"""Manifests of jobs: by file, the overlay whose platform they are for, the job file, and what makes them."""

WRITTEN = manifests.all_written()


def is_operators(manifest: Manifest) -> bool:
    """Whether a manifest is of one of the operator's kinds, whose schemas are not Kubernetes' own."""
    return bool(manifest["apiVersion"].startswith("ray.io/"))


def test_generated_manifests_of_clusters() -> None:
    for overlay in OVERLAYS:
        folder = KUBERNETES / "overlays" / overlay
        cluster = ray_cluster("nst", platform(folder / "platform.yaml"))
        check_file(folder / "cluster.yaml", MADE + in_blocks(cluster), command="make manifests")


@pytest.mark.parametrize("name", JOBS)
def test_generated_manifests_of_jobs(name: str) -> None:
    overlay, job, make = JOBS[name]
    section = section_of(KUBERNETES / job, platform(KUBERNETES / "overlays" / overlay / "platform.yaml"))
    check_file(KUBERNETES / name, MADE + in_blocks(make(KUBERNETES / job, section)), command="make manifests")


def test_generated_manifests_of_alerts() -> None:
    rules = yaml.safe_load((REPOSITORY / "infra" / "prometheus" / "nst.rules.yml").read_text("utf-8"))
    manifest = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "nst", "labels": {"app.kubernetes.io/part-of": "nst"}},
        "spec": rules,
    }
    check_file(KUBERNETES / "base" / "rules.yaml", MADE + in_blocks(manifest), command="make manifests")


@pytest.mark.parametrize("manifest", [each for each in WRITTEN if not is_operators(each)], ids=called)
def test_kubernetes_takes_what_is_written(manifest: Manifest) -> None:
    assert schemas.problems(manifest) == []


@needs_crds
@pytest.mark.parametrize("manifest", [each for each in WRITTEN if is_operators(each)], ids=called)
def test_the_operator_takes_what_is_written(manifest: Manifest) -> None:
    assert schemas.problems(manifest) == []


@needs_crds
def test_what_the_operator_does_not_know_is_refused() -> None:
    (cluster,) = of_kind(written("overlays/gpu"), "RayCluster")
    for wrong in ({"rayVersoin": "2"}, {"workerGroupSpecs": [{"groupName": 1}]}, {"authOptions": {"mode": "maybe"}}):
        assert schemas.problems({**cluster, "spec": {**cluster["spec"], **wrong}})
    assert schemas.problems({**cluster, "kind": "RayClutser"})


def test_what_kubernetes_does_not_know_is_refused() -> None:
    (job,) = of_kind(written("base"), "CronJob")
    assert schemas.problems({**job, "spec": {**job["spec"], "concurencyPolicy": "Forbid"}})
    assert schemas.problems({**job, "spec": {**job["spec"], "schedule": 2}})


@needs_kustomize
@pytest.mark.parametrize("folder", [*(f"overlays/{overlay}" for overlay in OVERLAYS), "operators-cron"])
def test_what_kustomize_builds_is_whole(folder: str) -> None:
    found = built(folder)
    if schemas.crds() is not None:
        assert [problem for one in found for problem in schemas.problems(one)] == []
    assert {one["metadata"].get("namespace") for one in found if one["kind"] not in ("Namespace", "PriorityClass")} == {
        "nst"
    }
    assert missing(found) == []
    (cron,), (cluster,) = of_kind(found, "CronJob"), of_kind(found, "RayCluster")
    images = {container["image"] for _, pod in [*pods(cron), *pods(cluster)] for container in pod["spec"]["containers"]}
    assert len(images) == 1
    assert images.pop().startswith("registry.example.org/nst:")
    assert cron["spec"].get("suspend", False) is (folder == "operators-cron")
    assert len(of_kind(found, "RayCronJob")) == (folder == "operators-cron")


def missing(found: tuple[Manifest, ...]) -> list[str]:
    """Return what pods name and nothing makes: accounts, config maps, priorities. Secrets are the user's own."""
    there = {(one["kind"], one["metadata"]["name"]) for one in found}
    named = set()
    for one in found:
        for _, pod in pods(one):
            spec = pod["spec"]
            named |= {("ServiceAccount", spec["serviceAccountName"]), ("PriorityClass", spec["priorityClassName"])}
            text = json.dumps(spec.get("volumes", []))
            named |= {("ConfigMap", map_["name"]) for map_ in _config_maps(json.loads(text))}
    return sorted(f"{kind} {name}" for kind, name in named - there)


def _config_maps(value: Any) -> list[dict[str, Any]]:
    """Every reference to a config map, however deep."""
    if isinstance(value, dict):
        own = [value["configMap"]] if "configMap" in value else []
        return own + [one for part in value.values() for one in _config_maps(part)]
    return [one for part in value for one in _config_maps(part)] if isinstance(value, list) else []


def test_what_is_missing_is_seen() -> None:
    assert missing(written("overlays/gpu")) == [
        "ConfigMap nst-access",
        "PriorityClass nst-batch",
        "ServiceAccount nst-head",
        "ServiceAccount nst-worker",
    ]


@pytest.mark.parametrize("manifest", [one for one in manifests.all_written() if [*pods(one)]], ids=called)
def test_pods_have_no_rights_and_can_be_written_to_at_tmp_alone(manifest: Manifest) -> None:
    for place, pod in pods(manifest):
        assert manifests.unprivileged(pod) == [], place
        assert pod["spec"]["restartPolicy"] == "Never", place
        assert pod["spec"]["enableServiceLinks"] is False
        writable = {mount["mountPath"] for one in pod["spec"]["containers"] for mount in one["volumeMounts"]}
        assert "/tmp" in writable
        for container in pod["spec"]["containers"]:
            assert all(mount.get("readOnly") or mount["mountPath"] == "/tmp" for mount in container["volumeMounts"])
            volumes = {volume["name"] for volume in pod["spec"]["volumes"]}
            assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
            assert container["resources"]["limits"]["memory"] == container["resources"]["requests"]["memory"]


def test_a_pod_with_rights_is_seen() -> None:
    assert manifests.unprivileged({"spec": {"hostNetwork": True, "containers": [{"name": "x"}], "volumes": [
        {"name": "a", "hostPath": {"path": "/"}}]}}) == [
        "hostNetwork", "runAsNonRoot", "seccompProfile", "hostPath", "x: capabilities", "x: readOnlyRootFilesystem"
    ]  # fmt: skip


def labels_of_nodes() -> dict[str, dict[str, str]]:
    """Labels of the pods of heads and workers, with those that the operator adds."""
    (cluster,) = of_kind(written("overlays/gpu"), "RayCluster")
    head = cluster["spec"]["headGroupSpec"]["template"]
    worker = cluster["spec"]["workerGroupSpecs"][0]["template"]
    return {
        role: {**pod["metadata"]["labels"], "ray.io/is-ray-node": "yes", "ray.io/node-type": role}
        for role, pod in (("head", head), ("worker", worker))
    }


def test_selectors_select_what_they_should() -> None:
    base, labels = written("base"), labels_of_nodes()
    scheduler = next(pod for one in of_kind(base, "CronJob") for _, pod in pods(one))["metadata"]["labels"]
    pods_by_name = {**labels, "scheduler": scheduler}
    selected = {
        called(one): sorted(
            name
            for name, has in pods_by_name.items()
            if (one["spec"].get("podSelector") or one["spec"].get("selector") or {}).get("matchLabels", {}).items()
            <= has.items()
        )
        for kind in ("NetworkPolicy", "PodDisruptionBudget", "PodMonitor")
        for one in of_kind(base, kind)
    }
    assert selected == {
        "NetworkPolicy nst-nothing-by-default": ["head", "scheduler", "worker"],
        "NetworkPolicy nst-nodes": ["head", "worker"],
        "NetworkPolicy nst-names": ["head", "scheduler", "worker"],
        "NetworkPolicy nst-dashboards": ["head"],
        "NetworkPolicy nst-clients": [],
        "NetworkPolicy nst-api-from-heads": ["head"],
        "NetworkPolicy nst-api-from-scheduler": ["scheduler"],
        "PodDisruptionBudget nst-heads": ["head"],
        "PodMonitor nst": ["head", "worker"],
    }


def test_named_ports_are_ports_of_pods() -> None:
    (cluster,) = of_kind(written("overlays/gpu"), "RayCluster")
    ports = {
        place.split("/")[2]: {port["name"] for one in pod["spec"]["containers"] for port in one.get("ports", [])}
        for place, pod in pods(cluster)
    }
    assert "metrics" in ports["headGroupSpec"] & ports["workerGroupSpecs"]
    assert "dashboard" in ports["headGroupSpec"]
    policies = {called(one): one["spec"] for one in of_kind(written("base"), "NetworkPolicy")}
    (_, from_prometheus) = policies["NetworkPolicy nst-nodes"]["ingress"]
    (to_dashboard,) = policies["NetworkPolicy nst-dashboards"]["ingress"]
    assert [port["port"] for port in (*from_prometheus["ports"], *to_dashboard["ports"])] == ["metrics", "dashboard"]
    (monitor,) = of_kind(written("base"), "PodMonitor")
    assert [endpoint["port"] for endpoint in monitor["spec"]["podMetricsEndpoints"]] == ["metrics"]


def test_workers_reach_no_private_address() -> None:
    (policy,) = [one for one in of_kind(written("base"), "NetworkPolicy") if called(one).endswith("nst-nodes")]
    (_, outside) = policy["spec"]["egress"]
    (four, six) = (to["ipBlock"] for to in outside["to"])
    import ipaddress

    kept = [ipaddress.ip_network(block) for block in four["except"]]
    for private in ("10.1.2.3", "172.20.0.1", "192.168.1.1", "127.0.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"):
        assert any(ipaddress.ip_address(private) in block for block in kept), private
    assert not any(ipaddress.ip_address("93.184.216.34") in block for block in kept)
    for private in ("::1", "fe80::1", "fd00::1"):
        assert ipaddress.ip_address(private) not in ipaddress.ip_network(six["cidr"])
    assert [port["port"] for port in outside["ports"]] == [443]


def test_workers_can_do_nothing_in_kubernetes() -> None:
    accounts = {one["metadata"]["name"]: one for one in of_kind(written("base"), "ServiceAccount")}
    assert accounts.keys() == {"nst-head", "nst-worker", "nst-scheduler"}
    assert accounts["nst-worker"]["automountServiceAccountToken"] is False
    bound = [subject["name"] for one in of_kind(written("base"), "RoleBinding") for subject in one["subjects"]]
    assert bound == ["nst-scheduler"]
    assert not of_kind(written("base"), "ClusterRoleBinding")


def test_nightly_pictures_wait_for_everybody_else() -> None:
    (priority,) = of_kind(written("base"), "PriorityClass")
    assert priority["value"] < 0  # that of pods that say nothing
    assert priority["preemptionPolicy"] == "Never"
    assert priority["globalDefault"] is False


def test_the_namespace_enforces_what_pods_keep_to() -> None:
    (namespace,) = of_kind(written("base"), "Namespace")
    enforced = {
        name.rpartition("/")[2]: value
        for name, value in namespace["metadata"]["labels"].items()
        if name.startswith("pod-security.kubernetes.io/")
    }
    assert enforced == {"enforce": "restricted", "warn": "restricted"}


def test_metrics_say_of_which_cluster_and_group_they_are() -> None:
    (monitor,) = of_kind(written("base"), "PodMonitor")
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    assert endpoint["interval"] == "15s"  # a driver tells every ten seconds that it lives
    assert {one["targetLabel"]: one["sourceLabels"] for one in endpoint["relabelings"]} == {
        "ray_io_cluster": ["__meta_kubernetes_pod_label_ray_io_cluster"],
        "ray_io_group": ["__meta_kubernetes_pod_label_ray_io_group"],
    }


def test_what_belongs_to_this_is_labelled() -> None:
    """`kubectl delete -l app.kubernetes.io/part-of=nst` takes all of it away."""
    assert [called(one) for one in WRITTEN if one["metadata"]["labels"].get("app.kubernetes.io/part-of") != "nst"] == []


def test_a_budget_says_how_many_stay() -> None:
    (budget,) = of_kind(written("base"), "PodDisruptionBudget")
    assert isinstance(budget["spec"]["minAvailable"], int)  # a share, or maxUnavailable, needs a scale to ask
    assert budget["spec"]["minAvailable"] >= 1000  # more heads than there ever are, so that none of them may go


def test_the_files_of_the_scheduler_are_where_it_looks() -> None:
    (cron,) = of_kind(written("base"), "CronJob")
    ((_, pod),) = pods(cron)
    mounts = {mount["name"]: mount["mountPath"] for mount in pod["spec"]["containers"][0]["volumeMounts"]}
    assert pod["spec"]["containers"][0]["command"][2] == f"{mounts['jobs']}/nightly-grid.yaml"
    assert mounts["says"] == "/etc/nst"
    assert "/jobs" in manifests.access()["allow_read"]
    kustomization = yaml.safe_load(manifests.path("base/kustomization.yaml").read_text("utf-8"))
    files = {one["name"]: one["files"] for one in kustomization["configMapGenerator"]}
    assert files == {"nst-access": ["access.json"], "nst-jobs": ["nightly-grid.yaml=jobs/nightly-grid.yaml"]}


def test_what_jobs_of_the_base_open_is_what_operators_allow() -> None:
    said = manifests.access()
    allowed = Allowed(tuple(said["allow_read"]), tuple(said["allow_write"]), said["max_file_bytes"], "access.json")
    for name in ("base/jobs/nightly-grid.yaml", "examples/manifest.yaml"):
        job = yaml.safe_load(manifests.path(name).read_text("utf-8"))
        assert allowed.covers(job["output"], write=True)
        pictures = [*job.get("contents", {}).values(), *job.get("styles", {}).values(), job.get("manifest", "/jobs/x")]
        assert all(allowed.covers(uri, write=False) for uri in pictures)
    for place in ("/etc/passwd", "s3://other/a.png", "http://169.254.169.254/", "s3://nst-studio/manifests/x"):
        assert not allowed.covers(place, write=True)
    assert not allowed.covers("s3://other/a.png", write=False)
    assert not allowed.covers("http://169.254.169.254/latest", write=False)


def test_the_guide_makes_things_in_the_order_in_which_they_need_each_other() -> None:
    guide = manifests.path("README.md").read_text("utf-8")
    steps = [
        "helm install kuberay-operator",
        "apply -f base/namespace.yaml",
        "create secret generic",
        "apply -k overlays/",
    ]
    assert sorted(steps, key=guide.index) == steps
    (cluster,) = of_kind(written("overlays/gpu"), "RayCluster")
    (secret,) = {
        one["secretRef"]["name"] for _, pod in pods(cluster) for one in pod["spec"]["containers"][0]["envFrom"]
    }
    assert f"create secret generic {secret} " in guide
    others = {"monitor.yaml", "rules.yaml"}  # of an operator that not everybody has
    assert all(f"`{name}`" in guide for name in others)
    listed = yaml.safe_load(manifests.path("base/kustomization.yaml").read_text("utf-8"))["resources"]
    foreign = {name for name in listed if "monitoring.coreos.com" in manifests.path(f"base/{name}").read_text("utf-8")}
    assert foreign == others
