"""The CronJob of the nightly grid: one night at a time, none lost, and no more rights than it uses."""

from typing import Any

from jobs.commands.cluster import STARTED_BY_VARIABLE
from jobs.exit_codes import ExitCode
from jobs.submit import operator
from tests.infra.support.manifests import of_kind, pods, written

(CRON,) = of_kind(written("base"), "CronJob")
JOB: dict[str, Any] = CRON["spec"]["jobTemplate"]["spec"]
((_, POD),) = pods(CRON)
(CONTAINER,) = POD["spec"]["containers"]
HOUR = 3600


def test_one_night_at_a_time() -> None:
    assert CRON["spec"]["concurrencyPolicy"] == "Forbid"
    assert "--follow" in CONTAINER["command"]  # a pod that ends at once forbids nothing


def test_it_makes_a_rayjob_of_the_grid() -> None:
    assert CONTAINER["command"] == ["nst", "submit", "/jobs/nightly-grid.yaml", "--kubernetes", "--follow"]
    assert (CONTAINER["image"], CONTAINER["imagePullPolicy"]) == ("nst", "IfNotPresent")  # overlays replace the former
    assert POD["metadata"]["labels"]["app.kubernetes.io/component"] == "scheduler"


def test_a_pod_that_takes_the_place_of_another_knows_its_work() -> None:
    """All pods of a night have the name of its Job, and the next night's have another."""
    variables = {one["name"]: one["valueFrom"]["fieldRef"]["fieldPath"] for one in CONTAINER["env"]}
    assert variables == {STARTED_BY_VARIABLE: "metadata.labels['batch.kubernetes.io/job-name']"}


def test_it_begins_at_night_and_late_rather_than_never() -> None:
    spec = CRON["spec"]
    assert (spec["schedule"], spec["timeZone"]) == ("0 2 * * *", "Etc/UTC")
    assert spec.get("suspend", False) is False
    assert spec["startingDeadlineSeconds"] >= 6 * HOUR  # a control plane may be away that long
    # One that began at the latest ends before the time in which the next one may begin.
    assert JOB["activeDeadlineSeconds"] < 24 * HOUR
    assert JOB["activeDeadlineSeconds"] > 12 * HOUR
    assert (spec["successfulJobsHistoryLimit"], spec["failedJobsHistoryLimit"]) == (3, 3)


def what_follows(code: int) -> str:
    """What Kubernetes does with a Job whose pod ended with an exit code, by the rules of the Job."""
    for rule in JOB["podFailurePolicy"]["rules"]:
        if on := rule.get("onExitCodes"):
            assert on["containerName"] == CONTAINER["name"]
            if (code in on["values"]) is (on["operator"] == "In"):
                return str(rule["action"])
    return "Count"


def test_another_pod_is_made_where_it_may_get_further() -> None:
    assert POD["spec"]["restartPolicy"] == "Never"  # without which the rules are refused
    assert what_follows(ExitCode.NOTHING_STARTED) == "FailJob"
    assert what_follows(ExitCode.BROKEN_OFF) == "Count"  # Kubernetes was away for longer than a pod waits
    assert what_follows(ExitCode.TERMINATED) == "Count"
    assert (1 + JOB["backoffLimit"]) * operator.PATIENCE >= HOUR
    (moved,) = [rule for rule in JOB["podFailurePolicy"]["rules"] if "onPodConditions" in rule]
    assert moved == {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}


def test_it_has_no_more_rights_than_it_uses() -> None:
    (role,) = of_kind(written("base"), "Role")
    assert role["rules"] == [{"apiGroups": ["ray.io"], "resources": ["rayjobs"], "verbs": ["create", "get", "list"]}]
    (binding,) = of_kind(written("base"), "RoleBinding")
    assert binding["roleRef"] == {
        "apiGroup": "rbac.authorization.k8s.io",
        "kind": "Role",
        "name": role["metadata"]["name"],
    }
    assert [subject["name"] for subject in binding["subjects"]] == [POD["spec"]["serviceAccountName"]]
    assert POD["spec"]["serviceAccountName"] == "nst-scheduler"


def test_it_is_small_and_has_somewhere_to_write() -> None:
    assert CONTAINER["resources"]["requests"] == {"cpu": "100m", "memory": "512Mi"}
    volumes = {one["name"]: one for one in POD["spec"]["volumes"]}
    assert volumes["scratch"]["emptyDir"] == {"sizeLimit": "1Gi"}
    said = [one["configMap"]["name"] for one in volumes["says"]["projected"]["sources"]]
    assert said == ["nst-access", "nst-platform"]
    assert volumes["jobs"]["configMap"] == {"name": "nst-jobs"}
    assert {POD["spec"]["securityContext"][name] for name in ("runAsUser", "runAsGroup", "fsGroup")} == {1000}
    assert POD["spec"]["priorityClassName"] == "nst-batch"
