"""Manifests against what Kubernetes and KubeRay take, offline, and as strictly as `kubectl --validate=strict`."""

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml
from jsonschema import Draft202012Validator

from tests.support import SHARED

CRDS_VARIABLE = "NST_CRDS"
"""Environment variable: the folder with the operator's custom resource definitions, `ray.io_*.yaml`."""

VERSIONS = ("1.29.0", "1.33.0")
"""Versions of Kubernetes whose schemas manifests must fit."""

DROPPED = ("description", "default", "format", "nullable", "x-kubernetes-int-or-string")


def crds() -> Path | None:
    """Return the folder of the operator's definitions; None where there is none."""
    folder = Path(os.environ.get(CRDS_VARIABLE) or SHARED / "crds")
    return folder if any(folder.glob("ray.io_*.yaml")) else None


NO_CRDS = f"the operator's definitions are not here: {CRDS_VARIABLE} names their folder"


def problems(manifest: dict[str, Any]) -> list[str]:
    """Return what Kubernetes, or the operator by its `crds`, would refuse of a manifest."""
    group = str(manifest["apiVersion"]).rpartition("/")[0]
    if group == "ray.io":
        return list(_problems_of_custom(manifest))
    if group in ("monitoring.coreos.com", "kustomize.config.k8s.io"):
        return []  # no schema of these can be had from a registry
    found = []
    for version in VERSIONS:
        try:
            kubernetes_validate.validate(manifest, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            found.append(f"{version}: {'/'.join(map(str, error.path))}: {error.message}")
    return found


def _problems_of_custom(manifest: dict[str, Any]) -> Iterator[str]:
    folder = crds()
    assert folder, NO_CRDS
    schemas = _schemas(folder)
    kind = (manifest["apiVersion"], manifest["kind"])
    if kind not in schemas:
        yield f"no such kind: {kind}"
        return
    for error in schemas[kind].iter_errors(manifest):
        yield f"{'/'.join(map(str, error.absolute_path))}: {error.message[:200]}"


@cache
def _schemas(folder: Path) -> dict[tuple[str, str], Draft202012Validator]:
    """Return a validator for each kind and version that a folder defines."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    found = {}
    for file in sorted(folder.glob("ray.io_*.yaml")):
        spec = yaml.load(file.read_text("utf-8"), loader)["spec"]
        for version in spec["versions"]:
            schema = strict(version["schema"]["openAPIV3Schema"])
            schema["properties"]["metadata"] = {"type": "object"}
            found[f"{spec['group']}/{version['name']}", spec["names"]["kind"]] = Draft202012Validator(schema)
    return found


def strict(schema: Any) -> Any:
    """Return a structural schema of a definition as JSON Schema that refuses what it does not name."""
    if not isinstance(schema, dict):
        return schema
    kept = {
        name: value for name, value in schema.items() if name not in DROPPED and not name.startswith("x-kubernetes")
    }
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    if "properties" in kept:
        kept["properties"] = {name: strict(value) for name, value in kept["properties"].items()}
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            kept.setdefault("additionalProperties", False)
    for name in ("items", "additionalProperties"):
        if name in kept:
            kept[name] = strict(kept[name])
    if schema.get("nullable") and isinstance(kept.get("type"), str):
        kept["type"] = [kept["type"], "null"]
    return kept
