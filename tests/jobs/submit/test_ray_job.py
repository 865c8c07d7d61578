"""Job files as RayJobs: what they say, and what becomes of them on Kubernetes."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from jobs.submit import ray_cluster, ray_cron_job
from jobs.submit.ray_job import platform, ray_job, section_of
from pipeline.specs import MAX_CLUSTER_NAME, JobFileError, KubernetesSection
from tests.infra.support import schemas

JOB: dict[str, Any] = {"kind": "manifest", "name": "Night_1", "manifest": "s3://b/rows.csv", "output": "s3://b/out"}


def write(folder: Path, **changes: object) -> Path:
    file = folder / "night.yaml"
    file.write_text(yaml.safe_dump({**JOB, **changes}))
    return file


def made(folder: Path, section: KubernetesSection | None = None, **changes: object) -> dict[str, Any]:
    """The specification of the RayJob of a job file."""
    spec: dict[str, Any] = ray_job(write(folder, **changes), section or KubernetesSection())["spec"]
    return spec


def job_in(spec: dict[str, Any]) -> dict[str, Any]:
    """The job that a RayJob runs."""
    job: dict[str, Any] = yaml.safe_load(yaml.safe_load(spec["runtimeEnvYAML"])["env_vars"]["NST_JOB"])
    return job


def test_another_cluster_is_made_for_what_it_can_mend(tmp_path: Path) -> None:
    spec = made(tmp_path, KubernetesSection(retries=5))
    assert spec["backoffLimit"] == 5
    assert yaml.safe_load(spec["runtimeEnvYAML"])["env_vars"]["NST_FAILED_ROWS_ARE_SUCCESS"] == "1"
    assert spec["shutdownAfterJobFinishes"] is True  # ttlSecondsAfterFinished counts for nothing without it
    assert spec["ttlSecondsAfterFinished"] == 60  # long enough for a last look at its metrics
    assert (spec["activeDeadlineSeconds"], spec["preRunningDeadlineSeconds"]) == (43_200, 1_800)


def test_no_shell_reads_the_job_on_its_way(tmp_path: Path) -> None:
    spec = made(tmp_path, manifest="s3://b/a `id` $1 \"'.csv")
    assert spec["submissionMode"] == "HTTPMode"
    assert spec["entrypoint"].startswith("exec python ")
    assert job_in(spec)["manifest"] == "s3://b/a `id` $1 \"'.csv"


@pytest.mark.parametrize(
    ("section", "resources", "expected"),
    [
        (KubernetesSection(), {}, {"device": "gpu", "max_actors": 4}),
        (KubernetesSection(gpus=2, max_workers=3), {}, {"device": "gpu", "max_actors": 6}),
        (KubernetesSection(gpus=0, worker_cpus=8), {}, {"device": "cpu", "max_actors": 32}),
        (KubernetesSection(), {"num_actors": 2}, {"device": "gpu", "num_actors": 2}),
        (KubernetesSection(), {"min_actors": 2}, {"device": "gpu", "min_actors": 2, "max_actors": 4}),
        (KubernetesSection(), {"max_actors": 9, "device": "cpu"}, {"device": "cpu", "max_actors": 9}),
    ],
)
def test_a_run_waits_for_workers_that_are_not_there_yet(
    section: KubernetesSection, resources: dict[str, object], expected: dict[str, object], tmp_path: Path
) -> None:
    assert job_in(made(tmp_path, section, resources=resources))["resources"] == expected


def test_a_job_has_the_same_name_until_it_computes_something_else(tmp_path: Path) -> None:
    names = [ray_job(write(tmp_path), KubernetesSection(), attempt=attempt)["metadata"]["name"] for attempt in (1, 2)]
    assert names[0].startswith("night-1-")
    assert names[1] == f"{names[0]}-2"
    bigger = write(tmp_path, cluster={"kubernetes": {"max_workers": 9}})
    assert ray_job(bigger, KubernetesSection())["metadata"]["name"] == names[0]
    assert ray_job(write(tmp_path, defaults={"size": 64}), KubernetesSection())["metadata"]["name"] != names[0]


@pytest.mark.parametrize("name", ["9_nights", "A" * 63, "a.b-", "x" * 40 + "...."])
def test_any_name_becomes_one_that_kubernetes_takes(name: str, tmp_path: Path) -> None:
    import re

    metadata = ray_job(write(tmp_path, name=name), KubernetesSection(), attempt=100)["metadata"]
    assert re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", metadata["name"])
    assert len(metadata["name"]) <= MAX_CLUSTER_NAME
    for value in metadata["labels"].values():
        assert re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?", value), value


def test_nst_status_finds_it(tmp_path: Path) -> None:
    spec = made(tmp_path)
    variables = yaml.safe_load(spec["runtimeEnvYAML"])["env_vars"]
    assert spec["jobId"] == variables["NST_SUBMISSION"]
    assert spec["metadata"]["nst_output"] == "s3://b/out"
    assert spec["metadata"]["nst_attempt"] == "1"
    assert all(isinstance(value, str) for value in spec["metadata"].values())


def test_each_run_of_a_schedule_is_called_as_the_operator_calls_it(tmp_path: Path) -> None:
    template = ray_cron_job(write(tmp_path), KubernetesSection())["spec"]["jobTemplate"]
    assert "jobId" not in template
    assert "NST_SUBMISSION" not in yaml.safe_load(template["runtimeEnvYAML"])["env_vars"]


def test_what_is_set_aside_for_the_driver(tmp_path: Path) -> None:
    spec = made(tmp_path, cluster={"entrypoint_resources": {"CPU": 1, "big": 2}})
    assert spec["entrypointNumCpus"] == 1
    assert json.loads(spec["entrypointResources"]) == {"big": 2}


@pytest.mark.parametrize("field", [{"working_dir": "."}, {"upload": True}, {"pip": ["x"]}, {"image": "x"}])
def test_what_cannot_travel_is_refused(field: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"cluster.{next(iter(field))}: does not reach Kubernetes"):
        ray_job(write(tmp_path, cluster=field), KubernetesSection())
    with pytest.raises(ValueError, match="would not be found on the cluster"):
        ray_job(write(tmp_path, manifest="rows.csv"), KubernetesSection())


def test_a_job_outranks_its_platform(tmp_path: Path) -> None:
    (tmp_path / "platform.yaml").write_text("image: r/nst:1\nmax_workers: 8\ngpus: 2\n")
    job = write(tmp_path, cluster={"kubernetes": {"max_workers": 3}})
    section = section_of(job, platform(tmp_path / "platform.yaml"))
    assert (section.image, section.max_workers, section.gpus) == ("r/nst:1", 3, 2)


def test_what_is_wrong_in_a_platform_is_said(tmp_path: Path) -> None:
    file = tmp_path / "platform.yaml"
    file.write_text("max_workers: 0\nimagee: x\n")
    with pytest.raises(JobFileError) as error:
        platform(file)
    assert {problem.field for problem in error.value.problems} == {"max_workers", "imagee"}
    file.write_text("min_workers: 5\nmax_workers: 2\n")
    with pytest.raises(JobFileError, match="min_workers at most max_workers"):
        platform(file)
    with pytest.raises(JobFileError, match="a platform's file"):
        platform(tmp_path / "none.yaml")


def containers(section: KubernetesSection) -> tuple[dict[str, Any], dict[str, Any]]:
    """The pods of head and worker."""
    spec = ray_cluster("nst", section)["spec"]
    return spec["headGroupSpec"]["template"]["spec"], spec["workerGroupSpecs"][0]["template"]["spec"]


def test_nothing_is_computed_on_a_head() -> None:
    spec = ray_cluster("nst", KubernetesSection(max_workers=7))["spec"]
    assert spec["headGroupSpec"]["rayStartParams"].items() >= {"num-cpus": "0", "num-gpus": "0"}.items()
    assert spec["enableInTreeAutoscaling"] is True
    (group,) = spec["workerGroupSpecs"]
    assert (group["minReplicas"], group["replicas"], group["maxReplicas"]) == (0, 0, 7)
    assert spec["authOptions"] == {"mode": "token"}


def test_a_worker_has_time_to_save_its_states() -> None:
    head, worker = containers(KubernetesSection(drain_seconds=40))
    (container,) = worker["containers"]
    assert container["lifecycle"]["preStop"]["exec"]["command"] == ["/usr/local/bin/nst-leave"]
    assert {"name": "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S", "value": "40"} in container["env"]
    assert worker["terminationGracePeriodSeconds"] > 40
    assert {"name": "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S", "value": "0"} in head["containers"][0]["env"]


def test_gpus_are_asked_for_and_borne() -> None:
    head, worker = containers(KubernetesSection(gpus=2))
    assert worker["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "2"
    assert [one["key"] for one in worker["tolerations"]] == ["nvidia.com/gpu"]
    assert "nvidia.com/gpu" not in head["containers"][0]["resources"]["limits"]
    _, worker = containers(KubernetesSection(gpus=0))
    assert "nvidia.com/gpu" not in worker["containers"][0]["resources"]["limits"]
    assert "tolerations" not in worker


def test_the_operators_file_weights_and_credentials_are_mounted() -> None:
    section = KubernetesSection(policy="access", weights_claim="vgg", credentials="s3")
    for pod in containers(section):
        (container,) = pod["containers"]
        mounts = {mount["mountPath"]: mount.get("readOnly", False) for mount in container["volumeMounts"]}
        assert mounts == {"/tmp": False, "/etc/nst": True, "/weights": True}
        assert container["envFrom"] == [{"secretRef": {"name": "s3"}}]
        sources = {volume["name"]: volume for volume in pod["volumes"]}
        assert sources["policy"]["configMap"] == {"name": "access"}
        assert sources["weights"]["persistentVolumeClaim"]["claimName"] == "vgg"


@pytest.mark.skipif(schemas.crds() is None, reason=schemas.NO_CRDS)
@pytest.mark.parametrize(
    "section",
    [
        KubernetesSection(),
        KubernetesSection(gpus=0, min_workers=1, priority=None, policy=None),
        KubernetesSection(token_secret="ray-token", weights_claim="w", credentials="c", node_selector={"a": "b"}),
    ],
)
def test_the_operator_takes_it(section: KubernetesSection, tmp_path: Path) -> None:
    job = write(tmp_path, cluster={"entrypoint_resources": {"CPU": 0.5, "GPU": 1, "own": 1}})
    for manifest in (ray_job(job, section, started_by="x"), ray_cron_job(job, section), ray_cluster("nst", section)):
        assert schemas.problems(manifest) == []
