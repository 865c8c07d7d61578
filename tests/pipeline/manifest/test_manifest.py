"""Manifests: what is read from good ones, in every format, and what is said of bad ones."""

import csv
import gzip
import hashlib
import io
import json
import tracemalloc
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nst_kernel.layers import LAYERS
from nst_kernel.params.style_params import StyleParams
from pipeline.manifest import expansion
from pipeline.manifest.ids import derive_id
from pipeline.manifest.reader import iter_rows, read_manifest
from pipeline.manifest.row import Duplicate, Manifest, ManifestError, Row, RowProblem
from tests.pipeline.support.bad_manifests import BAD_MANIFESTS

ENCODER = "e" * 64
PAIR = {"content": "a.jpg", "style": "b.jpg"}


def read(path: Path | Sequence[str], **defaults: object) -> Manifest:
    source = str(path) if isinstance(path, Path) else path
    return read_manifest(source, encoder_sha256=ENCODER, defaults=defaults)


def problems_of(path: Path | Sequence[str], **defaults: object) -> list[str]:
    with pytest.raises(ManifestError) as caught:
        read(path, **defaults)
    return [str(problem) for problem in caught.value.problems]


def write(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """A manifest in the format that its name says."""
    text = io.StringIO(newline="")
    if path.name.endswith(".parquet"):
        names = {name for row in rows for name in row}
        pq.write_table(pa.Table.from_pylist([{name: row.get(name) for name in names} for row in rows]), path)
        return path
    if ".csv" in path.name:
        writer = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)))
        writer.writeheader()
        for row in rows:
            writer.writerow({name: _cell(value) for name, value in row.items()})
    else:
        text.writelines(json.dumps(row) + "\n" for row in rows)
    data = text.getvalue().encode()
    path.write_bytes(gzip.compress(data) if path.name.endswith(".gz") else data)
    return path


def _cell(value: object) -> object:
    if isinstance(value, dict):
        return json.dumps(value)
    return ",".join(map(str, value)) if isinstance(value, list) else value


_text = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=20)
# A style that ends in a slash is a folder of styles, of which there may be several.
_uri = _text.filter(lambda text: not any(part.strip().endswith("/") for part in text.split("|")))
_pairs = st.fixed_dictionaries({"content": _uri, "style": _uri})
_parameters = st.fixed_dictionaries(
    {},
    optional={
        "size": st.integers(16, 4096),
        "iterations": st.integers(1, 10_000),
        "style_weight": st.floats(1e-6, 1e6),
        "tv_weight": st.just(0.0) | st.floats(1e-30, 1),
        "style_layers": st.lists(st.sampled_from(LAYERS), min_size=1, unique=True),
        "pooling": st.sampled_from(["avg", "max"]),
        "init": st.sampled_from(["content", "noise", "style", "init.png"]),
        "seed": st.integers(0, 2**63 - 1),
        "upscale": st.booleans(),
        "preset": st.sampled_from(["default", "gatys2015"]),
    },
)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(_pairs, _parameters), min_size=1, max_size=5))
def test_every_format_and_place_gives_the_same_rows(
    tmp_path_factory: pytest.TempPathFactory, asked: list[tuple[dict[str, Any], dict[str, Any]]]
) -> None:
    folder = tmp_path_factory.mktemp("formats")
    as_columns = [{**pair, **parameters} for pair, parameters in asked]
    backwards = [dict(reversed(row.items())) for row in as_columns]
    # A Parquet struct needs a member: a null seed counts as not given.
    nested = [{**pair, "params": parameters or {"seed": None}} for pair, parameters in asked]
    read_back = [
        [(row.id, row.content, row.style, row.output, row.params) for row in read(write(folder / name, rows)).rows]
        for extension in ("csv", "jsonl.gz", "parquet")
        for name, rows in (
            (f"columns.{extension}", as_columns),
            (f"backwards.{extension}", backwards),
            (f"nested.{extension}", nested),
        )
    ]
    assert all(rows == read_back[0] for rows in read_back)
    for id, content, style, _, params in read_back[0]:
        assert id == derive_id(content, style, params, ENCODER)


@pytest.mark.parametrize("name", BAD_MANIFESTS)
def test_a_bad_manifest_says_where_and_what(tmp_path: Path, name: str) -> None:
    file, data, fragment = BAD_MANIFESTS[name]
    (tmp_path / file).write_bytes(data)
    problems = problems_of(tmp_path / file)
    assert any(fragment in problem for problem in problems), problems[:5]
    assert all("\n" not in problem and problem.isprintable() for problem in problems)
    assert max(map(len, problems)) < len(str(tmp_path)) * 2 + 900  # which has the names of all columns


def test_every_problem_is_listed_beside_good_rows(tmp_path: Path) -> None:
    lines = [
        "content,style,size,output,colour",
        "a,b,64,,",
        "a,b,big,../x.png,",  # two problems
        '"x,b,64,,',
        "c,d,64,,",
        ",,64,,",
        "e,f,64",
        "g,h,64,,",
        "a\0,b\0,1,y.gif,",  # four
    ]
    (tmp_path / "a.csv").write_text("\n".join(lines))
    write(tmp_path / "b.jsonl", [PAIR, {"content": 1}, {**PAIR, "params": {"size": "big"}}])
    items = list(iter_rows(str(tmp_path), encoder_sha256=ENCODER))
    found = [(Path(p.file).name, p.number, p.column) for p in items if isinstance(p, RowProblem)]
    assert found == [
        ("a.csv", 1, "colour"),
        ("a.csv", 3, "size"),
        ("a.csv", 3, "output"),
        ("a.csv", 4, None),
        ("a.csv", 6, None),
        ("a.csv", 7, None),
        ("a.csv", 9, "content"),
        ("a.csv", 9, "style"),
        ("a.csv", 9, "size"),
        ("a.csv", 9, "output"),
        ("b.jsonl", 2, "content"),
        ("b.jsonl", 2, "style"),
        ("b.jsonl", 3, "params.size"),
    ]
    assert [row.number for row in items if isinstance(row, Row)] == [2, 5, 8, 1]


def test_the_error_lists_twenty_and_counts_the_rest(tmp_path: Path) -> None:
    file = write(tmp_path / "m.csv", [{**PAIR, "size": "big", "id": i} for i in range(30)])
    with pytest.raises(ManifestError, match="30 problems") as caught:
        read(file)
    assert len(caught.value.problems) == 30
    assert len(str(caught.value).splitlines()) == 22
    assert str(caught.value).endswith("and 10 more")


def test_unknown_columns_are_named_once(tmp_path: Path) -> None:
    rows = [{**PAIR, "seed": i, "colour": "red", "params": {"sise": 3}} for i in range(50)]
    for name in ("m.csv", "m.jsonl", "m.parquet"):
        assert len(problems_of(write(tmp_path / name, rows))) == 2


def test_spaces_marks_and_line_ends_do_not_matter(tmp_path: Path) -> None:
    plain = tmp_path / "plain.csv"
    plain.write_bytes(b'content,style,style_layers\na.jpg,b.jpg,"conv1_1,conv2_1"\n')
    dressed = tmp_path / "dressed.csv"
    dressed.write_bytes(
        b'\xef\xbb\xbf content ,style, style_layers \r\n\r\n a.jpg , b.jpg," conv1_1, conv2_1 "\r\n  \r\n'
    )
    [a], [b] = read(plain).rows, read(dressed).rows
    assert (a.id, a.content, a.params, a.number) == (b.id, b.content, b.params, b.number - 1)
    marked = tmp_path / "m.jsonl"
    marked.write_bytes(b'\xef\xbb\xbf{"content": " a.jpg", "style": "b.jpg ", "style_layers": ["conv1_1", "conv2_1"]}')
    assert read(marked).rows[0].id == a.id


def test_numbers_are_the_lines_where_rows_start(tmp_path: Path) -> None:
    file = tmp_path / "m.csv"
    file.write_text('content,style,params\na,b,"{""size"":\n64}"\n\nc,d,\n')
    assert [(row.number, row.params.size) for row in read(file).rows] == [(2, 64), (5, 512)]


def test_uris_are_resolved_against_the_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"content": "pics/a.jpg", "style": "s3://styles/b.jpg", "init": "c.png"}, {**PAIR, "content": "/abs/a.jpg"}]
    write(tmp_path / "m.jsonl", rows)
    monkeypatch.chdir(tmp_path)
    first, second = read(["m.jsonl"]).rows
    assert first.content == str(tmp_path / "pics/a.jpg")
    assert first.style == "s3://styles/b.jpg"
    assert first.params.init == str(tmp_path / "c.png")
    assert second.content == "/abs/a.jpg"


def test_a_folder_at_any_uri() -> None:
    fs = fsspec.filesystem("memory")
    for name in ("deep/a.csv", "b.csv", "_c.csv", ".d.csv", "readme.txt"):
        fs.pipe_file(f"/folder/{name}", f"content,style\n{name},s.png\n".encode())
    try:
        contents = [row.content for row in read(["memory:///folder"]).rows]
    finally:
        fs.rm("/folder", recursive=True)
    assert contents == ["memory:///folder/b.csv", "memory:///folder/deep/deep/a.csv"]


def test_a_file_named_twice_is_read_once(tmp_path: Path) -> None:
    file = write(tmp_path / "m.csv", [PAIR])
    assert read([str(tmp_path), str(file)]) == Manifest(read(file).rows, duplicates=[])


def test_what_is_not_there_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/readme.txt").write_text("hello")
    missing, folder = problems_of([str(tmp_path / "missing.csv"), str(tmp_path / "empty")])
    assert "it does not exist" in missing
    assert "expected a folder with a manifest in it (.csv," in folder
    assert problems_of([]) == ["manifest: expected at least one row"]


def test_defaults_fill_what_rows_leave_out(tmp_path: Path) -> None:
    file = write(tmp_path / "m.csv", [{**PAIR, "size": 64}, {**PAIR, "size": ""}])
    assert [row.params.size for row in read(file, size=128, iterations=7).rows] == [64, 128]
    assert read(file, iterations=7).rows[0].params.iterations == (7,)


def test_a_bad_default_is_named_once(tmp_path: Path) -> None:
    file = write(tmp_path / "m.csv", [{**PAIR, "size": i} for i in range(14, 20)])
    problems = problems_of(file, alpha="much", sizes=3)
    assert [problem.split(":")[0] for problem in problems[:2]] == [
        "defaults, column sizes",
        "defaults, column content_weight",
    ]
    assert len(problems) == 4  # the rows of sizes 14 and 15 are named too


@pytest.mark.parametrize(
    ("row", "content", "style"),
    [
        ({"preset": "texture", "style": "/b"}, None, "/b"),
        ({"preset": "reconstruction", "content": "/a"}, "/a", None),
        ({"preset": "texture", "content": "/a", "style": "/b"}, "/a", "/b"),
    ],
)
def test_only_pictures_that_take_part_are_needed(
    tmp_path: Path, row: dict[str, str], content: str | None, style: str | None
) -> None:
    [read_row] = read(write(tmp_path / "m.jsonl", [row])).rows
    assert (read_row.content, read_row.style) == (content, style)


def test_repeated_rows_are_one(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", [PAIR, PAIR, {**PAIR, "id": "x"}])
    write(tmp_path / "b.jsonl", [{**PAIR, "size": 512}, {**PAIR, "id": "x"}, {**PAIR, "id": "y"}])
    items = list(iter_rows(str(tmp_path), encoder_sha256=ENCODER))
    ids = [item.id for item in items if isinstance(item, Row)]
    assert ids[1:] == ["x", "y"]
    repeats = [(Path(item.file).name, item.number) for item in items if isinstance(item, Duplicate)]
    assert repeats == [("a.csv", 3), ("b.jsonl", 1), ("b.jsonl", 2)]
    assert len(read(tmp_path).duplicates) == 3


def test_ids_name_outputs(tmp_path: Path) -> None:
    rows = [{**PAIR, "id": id} for id in (7, "a/b c", "..", "ü", "漢" * 100)]
    outputs = [row.output for row in read(write(tmp_path / "m.jsonl", rows)).rows]
    assert outputs[:4] == ["7.png", "a%2Fb%20c.png", "...png", "%C3%BC.png"]
    assert outputs[4] == hashlib.sha256(("漢" * 100).encode()).hexdigest()[:16] + ".png"
    [row] = read(write(tmp_path / "o.jsonl", [{**PAIR, "output": "2024/May/a.JPG"}])).rows
    assert row.output == "2024/May/a.JPG"


URIS = st.none() | st.text(max_size=20) | st.just('s3://a/"seed":0,')


@given(
    URIS,
    URIS,
    st.fixed_dictionaries(
        {},
        optional={
            "preset": st.sampled_from(["default", "gatys2015", "texture", "reconstruction"]),
            "seed": st.integers(0, 2**63 - 1),
            "init": st.sampled_from(["noise", 'a/"seed":0,.png', "s3://b/ä\\.png"]),
            "range_weight": st.just(0.0) | st.floats(1e-30, 1e9),
            "iterations": st.lists(st.integers(1, 9), min_size=1, max_size=1),
        },
    ),
)
def test_an_id_is_the_rows_meaning(content: str | None, style: str | None, given_parameters: dict[str, Any]) -> None:
    params = StyleParams.of(given_parameters)
    parameters = {name: value for name, value in params.to_json().items() if name != "preset"}
    named = (
        style and "|".join(part.strip() for part in style.split("|") if part.strip()) if "|" in (style or "") else style
    )
    meaning = {"content": content, "style": named, "params": parameters, "encoder_sha256": ENCODER}
    text = json.dumps(meaning, sort_keys=True, separators=(",", ":"))
    assert derive_id(content, style, params, ENCODER) == hashlib.sha256(text.encode()).hexdigest()[:16]


def test_ids_are_the_same_every_night_and_differ_with_the_meaning() -> None:
    params = StyleParams.of({"style_weight": 2})
    assert derive_id("a", "b", StyleParams.of({"range_weight": -0.0}), ENCODER) == derive_id(
        "a", "b", StyleParams(), ENCODER
    )
    others = [("x", "b", params), ("a", "x", params), ("a", "b", StyleParams.of({"seed": 1})), ("a", None, params)]
    assert len({derive_id(content, style, asked, ENCODER) for content, style, asked in others}) == 4


def test_a_preset_only_names_values(tmp_path: Path) -> None:
    texture = {"style": "b", "preset": "texture"}
    spelled = {**StyleParams.of({"preset": "texture"}).to_json(), "preset": "default", "style": "b"}
    assert read(write(tmp_path / "a.jsonl", [texture, spelled])).duplicates[0].number == 2


@pytest.mark.parametrize("asked", [{"size": 64, "params": {"size": "64"}}, {"alpha": 1, "content_weight": "1.0"}])
def test_saying_the_same_twice_is_no_problem(tmp_path: Path, asked: dict[str, object]) -> None:
    assert len(read(write(tmp_path / "m.jsonl", [{**PAIR, **asked}])).rows) == 1


def test_nan_from_pandas_counts_as_not_given(tmp_path: Path) -> None:
    rows = [
        {**PAIR, "size": 64.0, "params": {"seed": 1.0}},
        {**PAIR, "size": float("nan"), "params": {"seed": float("nan")}},
    ]
    read_rows = read(write(tmp_path / "m.parquet", rows)).rows
    assert [(row.params.size, row.params.seed) for row in read_rows] == [(64, 1), (512, 0)]


def test_twenty_thousand_rows(tmp_path: Path) -> None:
    file = write(tmp_path / "m.csv", [{"content": f"{i}.jpg", "style": "b.jpg", "seed": i % 7} for i in range(20_000)])
    rows = list(read(file).rows)
    assert len({row.id for row in rows}) == 20_000
    assert [row.params.seed for row in rows] == [i % 7 for i in range(20_000)]
    assert rows[-1].number == 20_001


def test_memory_is_bounded_by_what_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small gzip of an endless line, and of lines that repeat one row."""
    monkeypatch.setattr(expansion, "MAX_EXPANSION", 1000)
    longest = 2**20
    monkeypatch.setattr("pipeline.manifest.text.MAX_LINE", longest)
    line = (json.dumps(PAIR) + " " * 5000 + "\n").encode()
    data = bytes(5 * longest) + b"\n" + line * 1000
    (tmp_path / "m.jsonl.gz").write_bytes(gzip.compress(data, compresslevel=1))
    tracemalloc.start()
    try:
        items = [type(item) for item in iter_rows(str(tmp_path), encoder_sha256=ENCODER)]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert [items.count(kind) for kind in (RowProblem, Row, Duplicate)] == [1, 1, 999]
    assert peak < 4 * longest


def test_relative_pictures_to_start_from_are_those_of_their_own_folder(tmp_path: Path) -> None:
    """Rows of equal words share their parameters, but not those of another folder."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write(tmp_path / name / "rows.csv", [{**PAIR, "init": "start.png"}])
    found = read([str(tmp_path / name / "rows.csv") for name in ("one", "two")]).rows
    assert [row.params.init for row in found] == [str(tmp_path / name / "start.png") for name in ("one", "two")]
