"""The README and CONTRIBUTING say what the code says."""

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

from tests.bench.tables import in_four_rows
from tests.breakages.breakages import breakages, caught
from tests.support import REPOSITORY
from tests.support.generated import check_section, table
from tests.test_structure import ORDER, files

MAP_SIZE = 170
"""Lines of the README at most: an answer to each question of a reader, and links to the rest."""


def purpose(name: str) -> str:
    """Return the first paragraph of the docstring of a package, room or module, by its dotted name."""
    path = REPOSITORY / name.replace(".", "/")
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    docstring = ast.get_docstring(ast.parse(file.read_text("utf-8"))) or ""
    return " ".join(docstring.split("\n\n")[0].split())


def test_the_readme_has_a_map_of_the_code() -> None:
    listed = [
        [f"`{package}`", purpose(package), ", ".join(f"`{room}`" for room in rooms)] for package, rooms in ORDER.items()
    ]
    check_section(
        REPOSITORY / "README.md", "map of the code", table(["package", "what it is", "rooms, in order"], listed)
    )


def test_the_readme_says_how_fast_it_is() -> None:
    check_section(REPOSITORY / "README.md", "speed in four rows", in_four_rows())


def test_the_readme_for_contributors_maps_every_room() -> None:
    names = [f"{package}/{room}" for package, rooms in ORDER.items() for room in rooms]
    paths = [name if (REPOSITORY / name).is_dir() else f"{name}.py" for name in names]
    listed = [[f"`{path}`", purpose(name.replace("/", "."))] for path, name in zip(paths, names, strict=True)]
    check_section(REPOSITORY / ".github" / "CONTRIBUTING.md", "rooms", table(["room", "what it is"], listed))


def test_the_readme_for_contributors_counts_the_breakages() -> None:
    listed = Counter(breakage.listed for breakage in breakages())
    found = Counter(breakage.listed for breakage in breakages() if breakage.id in caught())
    rows: list[tuple[object, ...]] = [(f"`{name}.toml`", listed[name], found[name]) for name in listed]
    rows.append(("**all**", f"**{listed.total()}**", f"**{found.total()}**"))
    check_section(REPOSITORY / ".github" / "CONTRIBUTING.md", "breakages", table(["list", "breakages", "caught"], rows))


def test_files_that_contributors_are_sent_to_exist() -> None:
    text = (REPOSITORY / ".github" / "CONTRIBUTING.md").read_text("utf-8")
    paths = set(re.findall(r"`((?:nst_kernel|pipeline|jobs|tests)/[\w/.]*)`", text)) - {"tests/pipeline/ROOM/"}
    assert len(paths) > 40
    assert [path for path in sorted(paths) if not (REPOSITORY / path).exists()] == []


def test_the_readme_is_short() -> None:
    assert len((REPOSITORY / "README.md").read_text("utf-8").splitlines()) <= MAP_SIZE


@pytest.mark.parametrize(
    "file", [path for path in files() if path.suffix == ".md"], ids=lambda file: str(file.relative_to(REPOSITORY))
)
def test_links_of_markdown_files_lead_somewhere(file: Path) -> None:
    links = re.findall(r"\]\(([^)\s#]+)[^)]*\)", file.read_text("utf-8"))
    assert [link for link in links if "://" not in link and not (file.parent / link).exists()] == []
