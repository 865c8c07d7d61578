"""Ray clusters on Kubernetes, as the KubeRay operator takes them: a head without CPUs, and workers that come and go."""

from importlib.metadata import version
from typing import Any

from pipeline.specs import KubernetesSection

API_VERSION = "ray.io/v1"

USER = 1000
"""Of the image."""

HEAD_GRACE_SECONDS, LEAVING_SECONDS = 60, 15
"""Seconds until a head that must go is killed, and those that a worker is given beyond its draining."""

NODE_LABELS = {"app.kubernetes.io/name": "nst", "app.kubernetes.io/part-of": "nst"}
"""Labels of every pod; network policies, disruption budgets and monitors know them by these."""

PORTS = {"gcs-server": 6379, "dashboard": 8265, "metrics": 8080}
"""Ports of a head by name; a worker has the last one."""

CLOSED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
"""What a container may do, as Kubernetes' restricted standard wants it."""

UNPRIVILEGED = {
    "runAsNonRoot": True,
    "runAsUser": USER,
    "runAsGroup": USER,
    "fsGroup": USER,
    "seccompProfile": {"type": "RuntimeDefault"},
}
"""What a pod runs as."""

AUTOSCALER_RESOURCES = {"cpu": "500m", "memory": "1Gi"}


def ray_cluster(name: str, section: KubernetesSection) -> dict[str, Any]:
    """Return a cluster that stays, for jobs that are submitted to it."""
    return {
        "apiVersion": API_VERSION,
        "kind": "RayCluster",
        "metadata": {"name": name, "namespace": section.namespace, "labels": NODE_LABELS},
        "spec": cluster_spec(section),
    }


def cluster_spec(section: KubernetesSection) -> dict[str, Any]:
    """Return the specification of a Ray cluster: its head and its groups of workers."""
    return {
        "rayVersion": version("ray"),
        "authOptions": {"mode": "token", **({"secretName": section.token_secret} if section.token_secret else {})},
        "enableInTreeAutoscaling": True,
        "autoscalerOptions": {
            "version": "v2",
            "idleTimeoutSeconds": 120,
            "upscalingMode": "Default",
            "resources": {"limits": AUTOSCALER_RESOURCES, "requests": AUTOSCALER_RESOURCES},
            "securityContext": CLOSED,
            "volumeMounts": [{"name": "scratch", "mountPath": "/tmp"}],
        },
        "headGroupSpec": {
            # Without CPUs and GPUs of its own no row is computed beside the driver, whatever its machine has.
            "rayStartParams": {"num-cpus": "0", "num-gpus": "0", "dashboard-host": "0.0.0.0"},
            "template": _head(section),
        },
        "workerGroupSpecs": [
            {
                "groupName": "gpu" if section.gpus else "cpu",
                "replicas": section.min_workers,
                "minReplicas": section.min_workers,
                "maxReplicas": section.max_workers,
                "rayStartParams": {},
                "template": _worker(section),
            }
        ],
    }


def _head(section: KubernetesSection) -> dict[str, Any]:
    """Return the pod of a head, which has the driver: its loss costs a whole cluster, so that it is not evicted."""
    container = {
        "name": "ray-head",
        "ports": [{"name": name, "containerPort": port} for name, port in PORTS.items()],
        # A driver cannot move: nothing is gained by waiting for it.
        "env": [{"name": "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S", "value": "0"}],
        "resources": _amounts({"cpu": str(section.head_cpus), "memory": section.head_memory}),
    }
    template = _pod(section, container, grace=HEAD_GRACE_SECONDS, account=section.head_account)
    template["metadata"]["annotations"] = {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}
    return template


def _worker(section: KubernetesSection) -> dict[str, Any]:
    """Return the pod of a worker, which drains before it goes, so that actors save what they are computing."""
    amounts = {"cpu": str(section.worker_cpus), "memory": section.worker_memory}
    container = {
        "name": "ray-worker",
        "ports": [{"name": "metrics", "containerPort": PORTS["metrics"]}],
        "env": [{"name": "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S", "value": str(section.drain_seconds)}],
        "resources": _amounts(amounts | ({"nvidia.com/gpu": str(section.gpus)} if section.gpus else {})),
        "lifecycle": {"preStop": {"exec": {"command": ["/usr/local/bin/nst-leave"]}}},
    }
    grace = section.drain_seconds + LEAVING_SECONDS
    template = _pod(section, container, grace=grace, account=section.worker_account)
    template["spec"]["automountServiceAccountToken"] = False
    if section.node_selector:
        template["spec"]["nodeSelector"] = dict(section.node_selector)
    if tolerations := [dict(one) for one in section.tolerations] + (TOLERATES_GPUS if section.gpus else []):
        template["spec"]["tolerations"] = tolerations
    return template


TOLERATES_GPUS = [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
"""What machines with GPUs are tainted with, to keep others off."""


def _amounts(amounts: dict[str, str]) -> dict[str, dict[str, str]]:
    """Return the resources of a container, whose limits are its requests."""
    return {"limits": amounts, "requests": amounts}


def _pod(section: KubernetesSection, container: dict[str, Any], *, grace: int, account: str) -> dict[str, Any]:
    """Return a pod with what heads and workers have in common."""
    volumes: dict[str, tuple[str, dict[str, Any]]] = {
        "scratch": ("/tmp", {"emptyDir": {"sizeLimit": section.scratch}}),
    }
    if section.policy:
        volumes["policy"] = ("/etc/nst", {"configMap": {"name": section.policy}})
    if section.weights_claim:
        claim = {"claimName": section.weights_claim, "readOnly": True}
        volumes["weights"] = ("/weights", {"persistentVolumeClaim": claim})
    mounts = [
        {"name": name, "mountPath": path} | ({"readOnly": True} if name != "scratch" else {})
        for name, (path, _) in volumes.items()
    ]
    container = {
        **container,
        "image": section.image,
        "imagePullPolicy": "IfNotPresent",
        "securityContext": CLOSED,
        "volumeMounts": mounts,
    }
    if section.credentials:
        container["envFrom"] = [{"secretRef": {"name": section.credentials}}]
    spec: dict[str, Any] = {
        "serviceAccountName": account,
        "enableServiceLinks": False,  # of a service called nst-…, it would make variables that look like ours
        "restartPolicy": "Never",  # the autoscaler replaces pods
        "terminationGracePeriodSeconds": grace,
        "securityContext": UNPRIVILEGED,
        "containers": [container],
        "volumes": [{"name": name, **source} for name, (_, source) in volumes.items()],
    }
    if section.priority:
        spec["priorityClassName"] = section.priority
    return {"metadata": {"labels": dict(NODE_LABELS)}, "spec": spec}
