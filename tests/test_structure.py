"""Hold the house together: the order of rooms, the doors between them, and what light rooms may load."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.support import REPOSITORY

pytestmark = pytest.mark.xdist_group("structure")  # whose files are parsed once

ORDER = {
    "nst_kernel": (
        *("lazy", "version", "layers", "result", "pictures", "params", "gpu", "encoder", "cost", "pair", "objective"),
        *("optimisers", "transfer"),
    ),
    "pipeline": (
        *("words", "process", "storage", "options", "images", "encoder", "layout", "manifest", "outputs"),
        *("planning", "specs", "cluster"),
        *("recovery", "comparison", "stages", "report", "flow", "archives", "grids", "execute", "notebook"),
    ),
    "jobs": (
        *("exit_codes", "ending", "pictures", "yaml_lines", "console", "jobfile", "runner", "submit", "selftest"),
        *("training", "demo", "gallery", "showcase", "completion", "template", "options", "commands", "cli"),
    ),
}
"""Rooms (sub-packages and single modules) of each package, in order: each imports only those before it."""

LIGHT = ("options", "manifest", "outputs", "planning", "specs", "comparison", "report")
"""Rooms of the pipeline that load neither torch nor Ray, so that a command line or a driver starts at once."""

FOREIGN = {
    "nst_kernel": {"pipeline", "jobs", "tests", "ray", "fsspec", "s3fs", "typer", "rich", "pyarrow"},
    "pipeline": {"jobs", "tests", "typer", "argparse", "click"},
    "jobs": {"tests"},
}
"""Top-level packages that a package never imports."""

MAX_LINES, MAX_FUNCTION, MAX_PARAMETERS = 400, 40, 6
"""Lines of a file of the packages, lines of a function without its docstring, parameters of a signature."""

MANY_PARAMETERS = {
    "nst_kernel.gpu": "kernels, which are told every address and size",
    "jobs.commands": "a parameter for each argument and option of a command",
    "jobs.training.train_encoder": "a command of its own",
    "jobs.pictures.scenes": "drawing: places, sizes and colours",
    "jobs.submit.listing": "the signature of Ray's own client",
}
"""Modules whose functions may have more parameters, and why."""


@cache
def files() -> tuple[Path, ...]:
    """Return every file of the repository: tracked, or new and not ignored; of a copy without git, all but caches."""
    if not (REPOSITORY / ".git").exists():
        return tuple(sorted(p for p in REPOSITORY.rglob("*") if p.is_file() and "__pycache__" not in p.parts))
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout.split("\0")
    return tuple(path for name in sorted(set(names)) if name and (path := REPOSITORY / name).is_file())


def module_name(path: Path) -> str:
    """Return the dotted name under which a file of the repository is imported."""
    return ".".join(path.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__")


@cache
def modules() -> dict[str, Path]:
    """Return the file of each module of the three packages, by the module's name."""
    return {module_name(path): path for package in ORDER for path in (REPOSITORY / package).rglob("*.py")}


def last_name(called: ast.expr) -> str:
    """Return the name of what is called, without the object that it belongs to; empty if it has none."""
    return called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""


def imported(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """Yield the dotted name of everything that the nodes of a source import, for type checking too."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports name their package in full"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and last_name(node.func) in ("import_module", "__import__"):
            yield from (ast.literal_eval(name) for name in node.args[:1] if isinstance(name, ast.Constant))


@cache
def text_of(path: Path) -> str:
    """Return the text of a file."""
    return path.read_text("utf-8")


@cache
def tree_of(path: Path) -> ast.Module:
    """Return the syntax tree of a file; not to be changed."""
    return ast.parse(text_of(path))


@cache
def nodes_of(path: Path) -> tuple[ast.AST, ...]:
    """Return every node of the syntax tree of a file."""
    return tuple(ast.walk(tree_of(path)))


@cache
def imports_of(module: str) -> tuple[str, ...]:
    """Return what a module of the three packages imports."""
    return tuple(imported(nodes_of(modules()[module])))


def room_of(name: str) -> str | None:
    """Return the room of a dotted name, such as pipeline.storage; None for a package itself and foreign names."""
    package, *inside = name.split(".")
    return f"{package}.{inside[0]}" if package in ORDER and inside else None


def cycle(edges: dict[str, set[str]]) -> list[str]:
    """Return a cycle in a graph given as the successors of each node; empty if there is none."""
    done: set[str] = set()
    path: list[str] = []

    def visit(node: str) -> list[str]:
        if node in path:
            return [*path[path.index(node) :], node]
        if node in done:
            return []
        path.append(node)
        for successor in sorted(edges.get(node, ())):
            if found := visit(successor):
                return found
        done.add(path.pop())
        return []

    return next((found for node in sorted(edges) if (found := visit(node))), [])


def file_of(name: str) -> str | None:
    """Return the module that an imported dotted name comes from, if it is of the three packages."""
    return name if name in modules() else (name.rpartition(".")[0] if name.rpartition(".")[0] in modules() else None)


def offences(of: Iterable[str]) -> list[str]:
    """Return the offending lines, sorted and each once."""
    return sorted(set(of))


def test_imports_are_seen_wherever_they_stand() -> None:
    source = "import a.b, c as d\nfrom e.f import g\ndef h():\n    import i\nif 1:\n    importlib.import_module('j.k')"
    assert set(imported(ast.walk(ast.parse(source)))) == {"a.b", "c", "e.f.g", "i", "j.k"}


def test_a_cycle_is_found_and_only_where_there_is_one() -> None:
    assert cycle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert cycle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


@pytest.mark.parametrize("package", ORDER)
def test_packages_import_one_way(package: str) -> None:
    seen = {(name, top) for name in modules() if room_of(name) for top in (i.split(".")[0] for i in imports_of(name))}
    assert seen
    assert (
        offences(
            f"{name} imports {top}" for name, top in seen if name.split(".")[0] == package and top in FOREIGN[package]
        )
        == []
    )


@pytest.mark.parametrize("package", ORDER)
def test_every_room_has_its_place(package: str) -> None:
    rooms = {room for name in modules() if (room := room_of(name)) and room.startswith(f"{package}.")}
    assert rooms == {f"{package}.{room}" for room in ORDER[package]}


@pytest.mark.parametrize("package", ORDER)
def test_a_room_imports_only_rooms_before_it(package: str) -> None:
    place = {f"{package}.{room}": number for number, room in enumerate(ORDER[package])}
    wrong = (
        f"{name} imports {imported_name}"
        for name in modules()
        if (own := room_of(name)) in place
        for imported_name in imports_of(name)
        if (other := room_of(imported_name)) in place and place[other] > place[own]
    )
    assert offences(wrong) == []


def test_a_room_is_entered_through_its_init() -> None:
    """`from pipeline.storage import X`, never `from pipeline.storage.errors import X`, from outside the room."""
    wrong = (
        f"{name} imports {imported_name}"
        for name in modules()
        for imported_name in imports_of(name)
        if (other := room_of(imported_name)) and other != room_of(name) and other in modules()
        if modules()[other].name == "__init__.py"
        and imported_name.count(".") > 2
        and not (name in ORDER and imported_name.startswith(name))
    )
    assert offences(wrong) == []


def test_private_modules_stay_in_their_room() -> None:
    wrong = (
        f"{name} imports {imported_name}"
        for name in modules()
        for imported_name in imports_of(name)
        if room_of(imported_name) and room_of(imported_name) != room_of(name)
        if any(part.startswith("_") and not part.startswith("__") for part in imported_name.split("."))
    )
    assert offences(wrong) == []


def test_shipped_code_imports_no_test_tools() -> None:
    tools = ("unittest", "pytest", "hypothesis", "moto")
    wrong = (f"{name} imports {tool}" for name in modules() for tool in imports_of(name) if tool.split(".")[0] in tools)
    assert offences(wrong) == []


def test_no_file_imports_itself_through_others() -> None:
    """A room's own `__init__` gathers its files, so that it is left out; cycles of rooms are another test's."""
    edges = {
        name: {
            file for i in imports_of(name) if (file := file_of(i)) and file != name and room_of(file) == room_of(name)
        }
        for name in modules()
        if modules()[name].name != "__init__.py"
    }
    inits = {name for name, path in modules().items() if path.name == "__init__.py"}
    assert cycle({name: successors - inits for name, successors in edges.items()}) == []


def test_a_file_reaches_its_own_room_by_files() -> None:
    """Through its own `__init__`, a file would import whatever its room has, itself included."""
    wrong = (
        f"{name} imports {imported_name}"
        for name in modules()
        if modules()[name].name != "__init__.py"
        for imported_name in imports_of(name)
        if room_of(imported_name) == room_of(name)
        and modules().get(str(room_of(name)), Path()).name == "__init__.py"
        and imported_name.count(".") == 2
        and imported_name not in modules()
    )
    assert offences(wrong) == []


@pytest.fixture(scope="module")
def loaded() -> dict[str, set[str]]:
    """Which of torch and Ray are loaded once a module is imported, by its name: one after the other in one process.

    What one has loaded is there for those after it. Light rooms stand in their order, so that the first is at fault.
    """
    names = [f"pipeline.{room}" for room in LIGHT]
    code = "import importlib, sys\nfor name in sys.argv[1:]:\n    importlib.import_module(name)"
    code += "\n    print(name, *{'torch', 'ray'} & sys.modules.keys())"
    command = [sys.executable, "-c", code, *names]
    said = subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout
    return {name: set(found) for name, *found in map(str.split, said.splitlines())}


@pytest.mark.parametrize("room", [f"pipeline.{room}" for room in LIGHT])
def test_light_rooms_load_neither_torch_nor_ray(room: str, loaded: dict[str, set[str]]) -> None:
    assert loaded[room] == set()


def test_every_room_and_file_says_in_one_line_what_it_is() -> None:
    missing = []
    for name, path in modules().items():
        lines = (ast.get_docstring(tree_of(path)) or "").splitlines()
        if not lines or not lines[0].endswith(".") or len(lines[0]) < 20:
            missing.append(name)
    assert missing == []


def test_storage_is_reached_by_one_door() -> None:
    users = {name for name in modules() if {i.split(".")[0] for i in imports_of(name)} & {"fsspec", "s3fs"}}
    assert users
    assert {room_of(name) for name in users} == {"pipeline.storage"}


def test_a_file_can_be_read_in_one_go() -> None:
    lengths = {name: len(text_of(path).splitlines()) for name, path in modules().items()}
    assert {name: length for name, length in lengths.items() if length > MAX_LINES} == {}
    tests = {str(path): len(text_of(path).splitlines()) for path in files() if path.suffix == ".py"}
    assert {name: length for name, length in tests.items() if length > MAX_LINES + 50} == {}


@cache
def functions() -> tuple[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef], ...]:
    """Return every function of the three packages, with the name of its module."""
    return tuple(
        (name, node)
        for name, path in modules().items()
        for node in nodes_of(path)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )


def lines_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the lines of a function without its docstring."""
    first = function.body[0]
    is_docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    docstring = (first.end_lineno or 0) - first.lineno + 1 if is_docstring else 0
    return (function.end_lineno or 0) - function.lineno + 1 - docstring


def test_a_function_fits_a_screen() -> None:
    long = (f"{name}.{function.name}: {lines_of(function)} lines" for name, function in functions())
    assert offences(line for line in long if int(line.split(": ")[1].split()[0]) > MAX_FUNCTION) == []


def test_a_signature_is_short() -> None:
    wrong = []
    for name, function in functions():
        names = [a.arg for a in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)]
        own = [a for a in names if a not in ("self", "cls")]
        if len(own) > MAX_PARAMETERS and not any(name.startswith(exempt) for exempt in MANY_PARAMETERS):
            wrong.append(f"{name}.{function.name}: {len(own)} parameters")
    assert offences(wrong) == []


def test_a_function_says_what_it_does() -> None:
    """ruff's D401 knows the imperative of verbs; this knows how a phrase begins that is no sentence at all."""
    no_verbs = {
        *("a", "an", "the", "what", "where", "how", "of", "each", "every", "one", "those", "all", "whether", "as"),
        *("for", "if", "in", "which", "who", "when", "why", "it", "this", "that", "these", "from", "to", "not", "so"),
        *("by", "more", "with", "its", "likewise", "same", "two", "many", "some"),
    }
    wrong = (
        f"{name}.{function.name}: {docstring.splitlines()[0]}"
        for name, function in functions()
        if (docstring := ast.get_docstring(function))
        and not any("property" in ast.unparse(decorator) for decorator in function.decorator_list)
        and re.split(r"[\s,:;.(]", docstring)[0].strip("`").lower() in no_verbs
    )
    assert offences(wrong) == []


def test_no_file_knows_whose_machine_it_was_written_on() -> None:
    """`/home/ray` is the home inside Ray's own images."""
    home = re.compile(rb"/(?:home|Users)/(?!ray\b)\w|/(?:root)/\w")
    assert home.search(b"open('/home/" + b"me/x')")
    assert [str(path.relative_to(REPOSITORY)) for path in files() if home.search(path.read_bytes())] == []
