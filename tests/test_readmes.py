"""The README and CONTRIBUTING say what the code says."""

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

from nst_kernel import PARAMETERS
from tests.bench.tables import in_four_rows
from tests.breakages.breakages import breakages, caught
from tests.support import REPOSITORY
from tests.support.generated import check_section, table
from tests.test_structure import ORDER, files

MAP_SIZE = 170
"""Lines of the README at most: an answer to each question of a reader, and links to the rest."""

MARKDOWN = [path for path in files() if path.suffix == ".md"]

SOURCES = (".py", ".sh", ".js", ".css", ".toml", ".ipynb", ".sbatch")
"""Endings of names that are files of this project wherever a text has them; others may be a user's."""


def relative(file: Path) -> str:
    """Return where a file lies in the repository."""
    return str(file.relative_to(REPOSITORY))


def named_files(text: str) -> list[str]:
    """Return the files and folders of this project that a Markdown text names in backticks, each once."""
    prose = re.sub(r"^ *```.*?^ *```", "", text, flags=re.M | re.S)
    words = {word.split("::")[0] for code in re.findall(r"`([^`\n]+)`", prose) for word in code.split()}
    tops = {relative(path).split("/")[0] for path in files() if path.parent != REPOSITORY}
    paths = {word for word in words if re.fullmatch(r"[\w.-]+(?:/[\w.-]*)*", word)}
    return sorted(path for path in paths if (path.split("/")[0] in tops and "/" in path) or path.endswith(SOURCES))


def exists(name: str, folder: Path) -> bool:
    """Tell whether a name is that of a file: from the top, beside the text in a folder, or without its own folder."""
    return (REPOSITORY / name).exists() or (folder / name).exists() or name in {path.name for path in files()}


def purpose(name: str) -> str:
    """Return the first paragraph of the docstring of a package, room or module, by its dotted name."""
    path = REPOSITORY / name.replace(".", "/")
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    docstring = ast.get_docstring(ast.parse(file.read_text("utf-8"))) or ""
    return " ".join(docstring.split("\n\n")[0].split())


def modules_of(room: str) -> list[str]:
    """Return the names of the files of a room, by its dotted name, public ones first."""
    names = [path.stem for path in (REPOSITORY / room.replace(".", "/")).glob("*.py") if path.stem != "__init__"]
    return sorted(names, key=lambda name: (name.startswith("_"), name))


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


def test_the_readme_of_the_kernel_lists_its_rooms() -> None:
    paths = [room if (REPOSITORY / "nst_kernel" / room).is_dir() else f"{room}.py" for room in ORDER["nst_kernel"]]
    listed = [
        [f"`{path}`", purpose(f"nst_kernel.{room}")] for path, room in zip(paths, ORDER["nst_kernel"], strict=True)
    ]
    check_section(REPOSITORY / "nst_kernel" / "README.md", "rooms", table(["room", "what it is"], listed))


@pytest.mark.parametrize("room", ["pipeline.cluster", "pipeline.storage"])
def test_the_readme_of_a_room_lists_its_files(room: str) -> None:
    listed = [[f"`{name}.py`", purpose(f"{room}.{name}")] for name in modules_of(room)]
    folder = REPOSITORY / room.replace(".", "/")
    check_section(folder / "README.md", "files", table(["file", "what it is"], listed))


@pytest.mark.parametrize("room", ["pipeline.flow", "pipeline.planning"])
def test_the_readme_of_a_room_names_each_of_its_files(room: str) -> None:
    text = (REPOSITORY / room.replace(".", "/") / "README.md").read_text("utf-8")
    assert [name for name in modules_of(room) if f"`{name}.py`" not in text] == []


def test_the_readme_for_contributors_counts_the_breakages() -> None:
    every, known = breakages(), caught()
    listed = Counter(breakage.listed for breakage in every)
    found = Counter(breakage.listed for breakage in every if breakage.id in known)
    rows: list[tuple[object, ...]] = [(f"`{name}.toml`", listed[name], found[name]) for name in listed]
    rows.append(("**all**", f"**{listed.total()}**", f"**{found.total()}**"))
    check_section(REPOSITORY / ".github" / "CONTRIBUTING.md", "breakages", table(["list", "breakages", "caught"], rows))


@pytest.mark.parametrize("file", MARKDOWN, ids=relative)
def test_files_that_markdown_files_name_exist(file: Path) -> None:
    missing = [name for name in named_files(file.read_text("utf-8")) if not exists(name, file.parent)]
    assert missing == []


def test_what_is_named_as_a_file_is_seen() -> None:
    text = "`pipeline/flow/`, `cost.py`, `nst run a.yaml`\n```sh\nls tests/none\n```\n`-m tests/x.py::test_a`"
    assert named_files(text) == ["cost.py", "pipeline/flow/", "tests/x.py"]
    assert not exists("no_such_file.py", REPOSITORY)
    assert not exists("tests/no_such_folder/", REPOSITORY)
    assert exists("table.py", REPOSITORY / "pipeline" / "outputs")


def test_names_that_contributors_look_for_are_in_their_files() -> None:
    """As in: `_TERMS` of `contradictions.py`; `encode.py` (`FORMATS`)."""
    text = " ".join((REPOSITORY / ".github" / "CONTRIBUTING.md").read_text("utf-8").split())
    path, name = r"`([\w/]+\.py)`", r"`([\w.]+)`"
    pairs = [(file, found) for found, file in re.findall(rf"{name} (?:of|in) {path}", text)]
    pairs += [
        (file, found) for file, found in re.findall(rf"{path}(?:, | \(){name}", text) if not found.endswith(".py")
    ]
    assert len(pairs) > 10
    wrong = []
    for file, found in pairs:
        places = [place for place in files() if f"/{place.relative_to(REPOSITORY)}".endswith(f"/{file}")]
        if not any(
            all(re.search(rf"\b{part}\b", place.read_text("utf-8")) for part in found.split(".")) for place in places
        ):
            wrong.append(f"{found} of {file}")
    assert wrong == []


@pytest.mark.parametrize("file", MARKDOWN, ids=relative)
def test_targets_of_make_that_markdown_files_name_exist(file: Path) -> None:
    targets = set(re.findall(r"^([a-z][\w-]*):", (REPOSITORY / "Makefile").read_text("utf-8"), re.M))
    named = set(re.findall(r"(?:`|^)make ([a-z][\w-]*)", file.read_text("utf-8"), re.M))
    assert named - targets == set()


def test_the_readme_names_controls_as_they_are_declared() -> None:
    """Whoever looks for one of them finds it in the table of parameters further down."""
    text = (REPOSITORY / "README.md").read_text("utf-8").partition("\n## Controls\n")[2].partition("\n## ")[0]
    named = re.findall(r"`(\w+)`", text)
    assert len(named) > 8
    assert named == [name for name in PARAMETERS if name in named]


def test_the_readme_is_short() -> None:
    assert len((REPOSITORY / "README.md").read_text("utf-8").splitlines()) <= MAP_SIZE


@pytest.mark.parametrize("file", MARKDOWN, ids=relative)
def test_links_of_markdown_files_lead_somewhere(file: Path) -> None:
    links = re.findall(r"\]\(([^)\s#]+)[^)]*\)", file.read_text("utf-8"))
    assert [link for link in links if "://" not in link and not (file.parent / link).exists()] == []
