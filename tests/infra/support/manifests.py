"""The manifests of infra/kubernetes: read from their files, or built by kustomize, and the pods that they describe."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.support import REPOSITORY

KUBERNETES = REPOSITORY / "infra" / "kubernetes"
OVERLAYS = ("gpu", "cpu", "spot")

Manifest = dict[str, Any]


def kustomize() -> list[str]:
    """Return the command that builds a folder, of kustomize 5 or newer; empty where there is none."""
    if shutil.which("kustomize"):
        return ["kustomize", "build"]
    if not shutil.which("kubectl"):
        return []
    said = subprocess.run(["kubectl", "version", "--client"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"Kustomize Version: v(\d+)", said)
    return ["kubectl", "kustomize"] if found and int(found[1]) >= 5 else []


@cache
def built(folder: str) -> tuple[Manifest, ...]:
    """Return what kustomize makes of a folder."""
    ended = subprocess.run([*kustomize(), str(KUBERNETES / folder)], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return tuple(one for one in yaml.safe_load_all(ended.stdout) if one)


@cache
def written(folder: str) -> tuple[Manifest, ...]:
    """Return the manifests that the files of a folder have, without kustomize's own."""
    found = []
    for file in sorted((KUBERNETES / folder).glob("*.yaml")):
        if file.name not in ("kustomization.yaml", "platform.yaml"):
            found += [one for one in yaml.safe_load_all(file.read_text("utf-8")) if one and "apiVersion" in one]
    return tuple(found)


def all_written() -> list[Manifest]:
    """Return the manifests of all folders."""
    folders = {str(file.parent.relative_to(KUBERNETES)) for file in KUBERNETES.rglob("*.yaml")}
    return [one for folder in sorted(folders) for one in written(folder)]


def of_kind(manifests: tuple[Manifest, ...] | list[Manifest], kind: str) -> list[Manifest]:
    return [one for one in manifests if one["kind"] == kind]


def called(one: Manifest) -> str:
    return f"{one['kind']} {one['metadata'].get('name', '')}"


def pods(value: Any, place: str = "") -> Iterator[tuple[str, Manifest]]:
    """Yield every pod template anywhere in a manifest, with its place."""
    if isinstance(value, dict):
        if "containers" in value.get("spec", {}) if isinstance(value.get("spec"), dict) else False:
            yield place, value
        for name, part in value.items():
            yield from pods(part, f"{place}/{name}")
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from pods(part, f"{place}/{number}")


def unprivileged(pod: Manifest) -> list[str]:
    """Return what Kubernetes' restricted standard would refuse of a pod."""
    spec, wrong = pod["spec"], []
    whole = spec.get("securityContext", {})
    wrong += [f"{name}" for name in ("hostNetwork", "hostPID", "hostIPC") if spec.get(name)]
    if not whole.get("runAsNonRoot") or whole.get("runAsUser") == 0:
        wrong.append("runAsNonRoot")
    if whole.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        wrong.append("seccompProfile")
    kinds = {kind for volume in spec.get("volumes", []) for kind in volume if kind != "name"}
    wrong += sorted(kinds - {"configMap", "emptyDir", "projected", "secret", "persistentVolumeClaim"})
    for container in [*spec["containers"], *spec.get("initContainers", [])]:
        own = container.get("securityContext", {})
        if own.get("allowPrivilegeEscalation") is not False or own.get("capabilities") != {"drop": ["ALL"]}:
            wrong.append(f"{container['name']}: capabilities")
        if not own.get("readOnlyRootFilesystem"):
            wrong.append(f"{container['name']}: readOnlyRootFilesystem")
    return wrong


def access() -> dict[str, Any]:
    """Return the operator's access file of the base."""
    said: dict[str, Any] = json.loads((KUBERNETES / "base" / "access.json").read_text("utf-8"))
    return said


def path(name: str) -> Path:
    return KUBERNETES / name
