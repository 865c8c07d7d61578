"""Print the software bill of materials of a lock file, as CycloneDX 1.5 JSON: `python infra/sbom.py LOCK`.

It has every package that the lock pins, with the digests that an installer accepts and who asks for it. The same lock
gives the same bytes.
"""

import json
import re
import sys
import tomllib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"

_PIN = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;]+)(?:\s*;\s*(?P<marker>.*?))?\s*\\?$")
_HASH = re.compile(r"\s+--hash=sha256:(?P<digest>[0-9a-f]{64})\s*\\?$")
_VIA = re.compile(r"\s+#\s+(?:via\b\s*)?(?P<who>[A-Za-z0-9]\S*)?")  # or `-c FILE`, a constraint


@dataclass
class Package:
    """A pinned package: name, version, where it is wanted, digests of its files, and the packages that need it."""

    name: str
    version: str
    marker: str
    digests: list[str]
    via: list[str]

    @property
    def purl(self) -> str:
        """The package URL, by which scanners know it."""
        return f"pkg:pypi/{self.name}@{self.version}"


def packages_of(lock: str) -> Iterator[Package]:
    """Yield the packages that the text of a lock file pins.

    Raises:
        ValueError: for a line that is not understood, or a package without a digest.
    """
    package: Package | None = None
    for number, line in enumerate(lock.splitlines(), start=1):
        if pin := _PIN.match(line):
            if package:
                yield _with_digests(package)
            package = Package(pin["name"].lower(), pin["version"], pin["marker"] or "", [], [])
        elif package and (digest := _HASH.match(line)):
            package.digests.append(digest["digest"])
        elif package and (via := _VIA.match(line)):
            package.via += [via["who"]] if via["who"] else []
        elif line.strip() and not line.startswith("#"):
            raise ValueError(f"line {number}: expected name==version, a digest or a comment, not {line.strip()!r}")
    if package:
        yield _with_digests(package)


def _with_digests(package: Package) -> Package:
    """Return a package that has digests, or raise ValueError."""
    if not package.digests:
        raise ValueError(f"{package.name}=={package.version}: expected a digest, which installers would check")
    return package


def bill(lock: str, project: str) -> dict[str, object]:
    """Return the bill of materials of a project.

    Args:
        lock: text of its lock file.
        project: text of its pyproject.toml.
    """
    about = tomllib.loads(project)["project"]
    root = f"pkg:pypi/{about['name']}@{about['version']}"
    packages = list(packages_of(lock))
    needs: dict[str, list[str]] = {purl: [] for purl in (root, *(package.purl for package in packages))}
    for package in packages:
        for who in package.via:
            for ref in [other.purl for other in packages if other.name == who] or [root]:
                needs[ref].append(package.purl)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, root + lock)}",
        "version": 1,
        "metadata": {"component": {"type": "application", "bom-ref": root, "purl": root, **_named(about)}},
        "components": [_component(package) for package in packages],
        "dependencies": [{"ref": ref, "dependsOn": sorted(set(needed))} for ref, needed in needs.items()],
    }


def _named(about: dict[str, str]) -> dict[str, str]:
    """Return name and version of the project."""
    return {"name": about["name"], "version": about["version"]}


def _component(package: Package) -> dict[str, object]:
    """Return a package as CycloneDX has it; its digests are those of its files, of which one is installed."""
    component: dict[str, object] = {
        "type": "library",
        "bom-ref": package.purl,
        "name": package.name,
        "version": package.version,
        "purl": package.purl,
        "hashes": [{"alg": "SHA-256", "content": digest} for digest in package.digests],
    }
    if package.marker:
        component["properties"] = [{"name": "python:marker", "value": package.marker}]
    return component


if __name__ == "__main__":
    [_, file] = sys.argv
    made = bill(Path(file).read_text(encoding="utf-8"), PROJECT.read_text(encoding="utf-8"))
    print(json.dumps(made, indent=2))
