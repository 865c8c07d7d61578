"""The locks: what is installed is pinned to the digest, and what runs jobs has nothing of what tests them."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.support import REPOSITORY

LOCKS = {name: (REPOSITORY / name).read_text("utf-8") for name in ("requirements.lock", "infra/runtime.lock")}
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))
EXTRAS = PROJECT["project"]["optional-dependencies"]


def normal(requirement: str) -> str:
    """The name of a package, as locks spell it."""
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def pins(lock: str) -> set[str]:
    """Every `name==version` of a lock."""
    return {f"{normal(name)}=={version}" for name, version in re.findall(r"(?m)^([^\s#=]+)==(\S+)", LOCKS[lock])}


def names(lock: str) -> set[str]:
    return {pin.partition("==")[0] for pin in pins(lock)}


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_has_its_digests_and_no_address(lock: str) -> None:
    blocks = re.split(r"(?m)^(?=[A-Za-z0-9])", LOCKS[lock])
    assert [block.split()[0] for block in blocks if block.strip() and "--hash=sha256:" not in block] == []
    assert "://" not in LOCKS[lock]
    assert "--index" not in LOCKS[lock]


def test_what_runs_jobs_is_a_part_of_what_develops_them() -> None:
    assert pins("infra/runtime.lock") < pins("requirements.lock")


def test_nothing_of_tests_is_where_pictures_are_made() -> None:
    wanted = {normal(requirement) for requirement in PROJECT["project"]["dependencies"]}
    assert wanted <= names("infra/runtime.lock")
    assert {normal(requirement) for requirement in EXTRAS["dev"]} - {"tifffile"} <= names("requirements.lock")
    unwanted = {normal(requirement) for requirement in EXTRAS["dev"]} - {"tifffile"}  # scikit-image's too
    assert not (unwanted | {"flask", "docker", "werkzeug"}) & names("infra/runtime.lock")


@pytest.mark.parametrize("lock", LOCKS)
def test_the_build_back_end_is_locked_and_used(lock: str) -> None:
    backend = {normal(requirement) for requirement in PROJECT["build-system"]["requires"]}
    assert backend <= {normal(requirement) for requirement in EXTRAS["build"]}
    assert {normal(requirement) for requirement in EXTRAS["build"]} <= names(lock)
    installs = [line for line in (REPOSITORY / "Makefile").read_text("utf-8").splitlines() if line.endswith("-e .")]
    assert installs
    assert all("--no-build-isolation" in line for line in installs)


def materials(lock: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, str(REPOSITORY / "infra" / "sbom.py"), str(lock)], check=False, capture_output=True, text=True
    )


def test_the_bill_of_materials_has_what_the_lock_has() -> None:
    lock = REPOSITORY / "infra" / "runtime.lock"
    made = materials(lock)
    assert made.returncode == 0, made.stderr
    assert materials(lock).stdout == made.stdout
    bill = json.loads(made.stdout)
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
    assert {f"{one['name']}=={one['version']}" for one in bill["components"]} == pins("infra/runtime.lock")
    digests = [digest["content"] for one in bill["components"] for digest in one["hashes"]]
    assert sorted(digests) == sorted(re.findall(r"--hash=sha256:([0-9a-f]{64})", LOCKS["infra/runtime.lock"]))
    refs = {one["bom-ref"] for one in bill["components"]}
    assert len(refs) == len(bill["components"])
    needs = {one["ref"]: set(one["dependsOn"]) for one in bill["dependencies"]}
    root = bill["metadata"]["component"]["bom-ref"]
    assert set(needs) == refs | {root}
    assert refs == set().union(*needs.values())  # nothing is there that nobody needs
    assert {ref.split("/")[1].split("@")[0] for ref in needs[root]} == {
        normal(requirement) for requirement in [*PROJECT["project"]["dependencies"], *EXTRAS["build"]]
    }


@pytest.mark.parametrize(
    ("lock", "said"),
    [
        ("torch==2.0 \\\n", "torch==2.0: expected a digest"),
        ("torch @ https://elsewhere/torch.whl\n", "line 1: expected name==version"),
        (f"a==1 \\\n    --hash=sha256:{'0' * 64}\n--index-url x\n", "line 3: expected name==version"),
    ],
)
def test_a_lock_that_pins_nothing_has_no_bill(tmp_path: Path, lock: str, said: str) -> None:
    file = tmp_path / "any.lock"
    file.write_text(lock)
    made = materials(file)
    assert made.returncode != 0
    assert said in made.stderr
