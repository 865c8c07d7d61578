"""What holds the house together, read from the files themselves."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

from tests.support import REPOSITORY

PACKAGES = ("nst_kernel", "pipeline", "jobs")
MAX_LINES = 450


def files() -> list[Path]:
    """Every file of the repository: tracked, or new and not ignored."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout.split("\0")
    return [path for name in sorted(set(names)) if name and (path := REPOSITORY / name).is_file()]


def modules(package: str) -> dict[str, set[str]]:
    """By file, what each module of a package imports."""
    sources = (REPOSITORY / package).rglob("*.py")
    return {str(path.relative_to(REPOSITORY)): imports(path.read_text("utf-8")) for path in sources}


def imports(source: str) -> set[str]:
    """The top-level packages that a module imports anywhere in it; for type checking too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports name their package in full"
            found.add(node.module or "")
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("importlib.import_module", "__import__"):
            found.update(ast.literal_eval(name) for name in node.args[:1] if isinstance(name, ast.Constant))
    return {name.split(".")[0] for name in found}


def test_imports_are_seen_wherever_they_stand() -> None:
    source = "import a.b, c as d\nfrom e.f import g\ndef h():\n    import i\nif 1:\n    importlib.import_module('j.k')"
    assert imports(source) == {"a", "c", "e", "i", "j"}


@pytest.mark.parametrize(
    ("package", "foreign"),
    [
        ("nst_kernel", {"pipeline", "jobs", "tests", "ray", "fsspec", "s3fs", "typer", "rich", "pyarrow", "pydantic"}),
        ("pipeline", {"jobs", "tests", "typer", "argparse", "click"}),
        ("jobs", {"tests"}),
    ],
)
def test_imports_run_one_way(package: str, foreign: set[str]) -> None:
    found = modules(package)
    assert found
    assert {path: seen & foreign for path, seen in found.items() if seen & foreign} == {}


def test_storage_is_reached_by_one_door() -> None:
    users = {path for package in PACKAGES for path, seen in modules(package).items() if seen & {"fsspec", "s3fs"}}
    assert users <= {"pipeline/storage/_call.py"}


def test_a_file_can_be_read_in_one_go() -> None:
    lengths = {
        str(path.relative_to(REPOSITORY)): len(path.read_text("utf-8").splitlines())
        for path in files()
        if path.suffix == ".py"
    }
    assert lengths
    assert {name: length for name, length in lengths.items() if length > MAX_LINES} == {}


def test_no_file_knows_whose_machine_it_was_written_on() -> None:
    """`/home/ray` is the home inside Ray's own images."""
    home = re.compile(rb"/(?:home|Users)/(?!ray\b)\w|/(?:root)/\w")
    assert home.search(b"open('/home/" + b"me/x')")
    assert [str(path.relative_to(REPOSITORY)) for path in files() if home.search(path.read_bytes())] == []


def test_the_readme_lists_every_parameter_with_its_default() -> None:
    from nst_kernel import KNOBS, StyleParams

    text = (REPOSITORY / "README.md").read_text("utf-8")
    for name, value in StyleParams().to_json().items():
        shown = ",".join(map(str, value)) if isinstance(value, list) else "" if value is None else str(value)
        shown = shown.lower() if isinstance(value, bool) else shown
        assert f"| `{name}` | {shown} | {KNOBS[name]} |" in text
