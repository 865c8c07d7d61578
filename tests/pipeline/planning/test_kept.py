"""The plan of a large run in its output: the same batches, and rows that are read again once anything has changed."""

import dataclasses
import json
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

import pyarrow.parquet as pq
import pytest
from hypothesis import given

from pipeline import layout, storage
from pipeline.manifest import Manifest, Origin, Row, Rows, origin, reader
from pipeline.manifest.formats import Records
from pipeline.options import DEFAULT_DECODING, Decoding, RunOptions
from pipeline.planning import Failure, Limits, kept, kept_batches, plan, validated
from pipeline.planning.kept import kept_manifest
from pipeline.planning.plan_files import FILE
from tests.pipeline.planning.test_by_columns import LIMITS, RANDOM, SHAPES, history_of, identities, manifests
from tests.pipeline.support import row_by_row

ORIGIN = Origin("0" * 64, [], ("a remark",))


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plans of any size are kept, three rows to a file."""
    monkeypatch.setattr(kept, "WORTH_KEEPING", 0)
    monkeypatch.setattr(kept, "ROWS_OF_A_FILE", 3)
    monkeypatch.setattr(origin, "WORTH_KEEPING", 0)


def by_id(rows: Sequence[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: row.id)


@given(manifests(most=15), LIMITS, RANDOM)
def test_a_plan_is_what_it_was_in_its_output(
    tmp_path_factory: pytest.TempPathFactory, asked: list[Row], limits: Limits, random: Random
) -> None:
    output = str(tmp_path_factory.mktemp("kept"))
    known, shapes = identities(random), {row.id: random.choice(SHAPES) for row in asked}
    marks = {row.id: row_by_row.fingerprint(row, "e", known) for row in asked}
    rows = Rows.of(asked, "e")
    rows.origin = ORIGIN
    how: dict[str, Any] = {"encoder_sha256": "e", "limits": limits, "identify": lambda _: known}
    work = plan(
        rows, history=history_of(asked, marks, random), shape_of=lambda some: [shapes[row.id] for row in some], **how
    )
    batches = kept_batches(work, rows, output, DEFAULT_DECODING)
    assert list(batches) == list(work.batches)
    assert [batches[place] for place in range(-len(batches), 0)] == list(work.batches)
    assert list(batches[1:4]) == list(work.batches[1:4])
    manifest = kept_manifest(output, ORIGIN.digest, DEFAULT_DECODING)
    if not work.rows or work.batches.planned.rows.table is not rows.table:  # some have their former names
        assert manifest is None
        return
    assert manifest is not None
    assert by_id(manifest.rows) == by_id(asked)
    assert manifest.remarks == ORIGIN.remarks
    # Of rows whose fingerprint is what it was, no shape is asked for again; batches are those of a plan from scratch.
    again, sought = history_of(asked, marks, random), list[str]()

    def shape_of(some: Sequence[Row]) -> list[tuple[int, int] | Failure]:
        sought.extend(row.id for row in some)
        return [shapes[row.id] for row in some]

    fresh = plan(rows, history=again, shape_of=lambda some: [shapes[row.id] for row in some], **how)
    later = plan(manifest.rows, history=again, shape_of=shape_of, **how)
    assert list(later.batches) == list(fresh.batches)
    had = {row.row.id for batch in work.batches for row in batch.rows if row.shape}
    gone = {uri for uri, identity in known.items() if isinstance(identity, storage.StorageError)}
    assert not {row.id for row in asked if row.id in had and not gone & {*row.uris()}} & {*sought}


class Studio:
    """A manifest of a few rows, and everything that its rows follow from."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.output = folder, str(folder / "out")
        self.asked: dict[str, Any] = {}
        self.options: dict[str, Any] = {"output": self.output}
        (folder / "size=64").mkdir()
        self.manifest = folder / "size=64" / "rows.csv"
        self.manifest.write_text("content,style\n" + "".join(f"../{n}.png,../s.png\n" for n in range(9)))

    def read(self) -> tuple[Manifest, bool]:
        """The manifest, and whether its files were read."""
        with patch.object(reader, "_read", side_effect=reader._read) as reading:
            valid = validated(str(self.folder), RunOptions(**self.options), **self.asked)
        return valid, bool(reading.call_count)

    def plan(self) -> None:
        """Plan its rows into the output."""
        valid, _ = self.read()
        assert isinstance(valid.rows, Rows)
        work = plan(
            valid.rows,
            encoder_sha256=valid.rows.encoder_sha256,
            limits=Limits(rows=2),
            shape_of=lambda some: [(48, 64) for _ in some],
            identify=lambda uris: dict.fromkeys(uris, "1") | {str(self.folder / "5.png"): storage.StorageError("gone")},
        )
        kept_batches(work, valid.rows, self.output, DEFAULT_DECODING)


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    return Studio(tmp_path)


def test_what_has_not_changed_is_not_read_again(studio: Studio) -> None:
    first, was_read = studio.read()
    assert was_read
    studio.plan()
    again, was_read = studio.read()
    assert not was_read
    assert by_id(again.rows) == by_id(first.rows)
    studio.plan()
    assert studio.read() == (again, False)


def _bytes(studio: Studio, _: pytest.MonkeyPatch) -> None:
    studio.manifest.write_text(studio.manifest.read_text().replace("3.png", "x.png"))


def _further_file(studio: Studio, _: pytest.MonkeyPatch) -> None:
    (studio.folder / "more.csv").write_text("content,style\nmore.png,s.png\n")


def _folder(studio: Studio, _: pytest.MonkeyPatch) -> None:
    (studio.folder / "size=64").rename(studio.folder / "size=65")


def _defaults(studio: Studio, _: pytest.MonkeyPatch) -> None:
    studio.asked["defaults"] = {"iterations": 7}


def _settings(studio: Studio, _: pytest.MonkeyPatch) -> None:
    studio.options |= {"settings": {"size": 64}}


def _override(studio: Studio, _: pytest.MonkeyPatch) -> None:
    studio.options |= {"override": True}


def _encoder(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    module = import_module("pipeline.manifest.validate")
    other = dataclasses.replace(module.outline_of("embedded"), sha256="f" * 64)
    monkeypatch.setattr(module, "outline_of", lambda _: other)


def _code(_: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(origin, "code", lambda: "another version")


def _output(studio: Studio, _: pytest.MonkeyPatch) -> None:
    studio.options |= {"output": str(studio.folder / "another")}


def _gone_file(studio: Studio, _: pytest.MonkeyPatch) -> None:
    next(Path(studio.output, "plan").glob("*.parquet")).unlink()


def _torn_file(studio: Studio, _: pytest.MonkeyPatch) -> None:
    one, another, *others = Path(studio.output, "plan").glob("*.parquet")
    assert others
    one.write_bytes(another.read_bytes())


def _torn_index(studio: Studio, _: pytest.MonkeyPatch) -> None:
    Path(layout.plan_index(studio.output)).write_text("{")


def _version(studio: Studio, _: pytest.MonkeyPatch) -> None:
    index = Path(layout.plan_index(studio.output))
    index.write_text(json.dumps({**json.loads(index.read_text()), "version": 0}))


CHANGES = [
    *(_bytes, _further_file, _folder, _defaults, _settings, _override, _encoder, _code),
    *(_output, _gone_file, _torn_file, _torn_index, _version),
]


@pytest.mark.parametrize("change", CHANGES)
def test_what_has_changed_is_read_again(
    studio: Studio, monkeypatch: pytest.MonkeyPatch, change: Callable[[Studio, pytest.MonkeyPatch], None]
) -> None:
    studio.plan()
    assert not studio.read()[1]
    change(studio, monkeypatch)
    assert studio.read()[1]


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        ("a.png,styles/,\n", "a folder of styles, of which there may be others the next time"),
        ("https://me:password@example.com/a.png,s.png,\n", "a password"),
        ("https://example.com/a.png?X-Amz-Signature=abc,s.png,\n", "a signature"),
        ("a.png,https://me:password@example.com/s.png,\n", "a password of a style"),
        ('a.png,s.png,"{""init"": ""https://me:password@example.com/i.png""}"\n', "a password of a parameter"),
    ],
)
def test_what_cannot_be_relied_upon_or_must_not_be_written_is_not_kept(studio: Studio, rows: str, what: str) -> None:
    (studio.folder / "size=64" / "styles").mkdir()
    (studio.folder / "size=64" / "styles" / "s.png").touch()
    studio.manifest.write_text("content,style,params\n" + rows)
    studio.plan()
    assert not storage.exists(layout.plan_index(studio.output)), what
    assert studio.read()[1]


def test_rows_at_hand_and_few_rows_are_not_kept(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    records = Records([{"content": "/a.png", "style": "/s.png"}])
    rows = validated(records, RunOptions(output=studio.output)).rows
    assert isinstance(rows, Rows)
    assert rows.origin is None
    monkeypatch.setattr(kept, "WORTH_KEEPING", 10)
    studio.plan()
    assert not storage.exists(layout.plan_index(studio.output))


def test_a_manifest_that_is_changed_while_it_is_read_is_not_kept(studio: Studio) -> None:
    def changing(*arguments: Any) -> Any:
        _bytes(studio, pytest.MonkeyPatch())
        return read(*arguments)

    read = reader._read
    with patch.object(reader, "_read", side_effect=changing):
        rows = validated(str(studio.folder), RunOptions(**studio.options)).rows
    assert isinstance(rows, Rows)
    assert rows.origin is None


def test_shapes_are_looked_for_again_with_another_limit_of_decoding(studio: Studio) -> None:
    studio.plan()
    assert _rows(studio).has_earlier
    studio.options["decoding"] = Decoding(max_megapixels=1)
    assert not _rows(studio).has_earlier


def _rows(studio: Studio) -> Rows:
    rows = studio.read()[0].rows
    assert isinstance(rows, Rows)
    return rows


def test_only_headers_of_pictures_that_changed_are_read_again(studio: Studio) -> None:
    studio.plan()
    rows, sought = _rows(studio), list[str]()
    gone = storage.StorageError("gone")
    changed = {str(studio.folder / f"{n}.png"): identity for n, identity in ((3, "2"), (4, gone), (5, gone))}

    def shape_of(some: Sequence[Row]) -> list[tuple[int, int] | Failure]:
        sought.extend(Path(str(row.content)).name for row in some)
        return [(64, 48) for _ in some]

    work = plan(
        rows,
        encoder_sha256=rows.encoder_sha256,
        shape_of=shape_of,
        identify=lambda uris: {uri: changed.get(uri, "1") for uri in uris},
    )
    assert sorted(sought) == ["3.png", "4.png", "5.png"]
    shapes = {Path(str(row.row.content)).name: row.shape for batch in work.batches for row in batch.rows}
    assert shapes == {f"{n}.png": (64, 48) if n in (3, 4, 5) else (48, 64) for n in range(9)}


def test_a_plan_is_no_manifest_and_leaves_no_old_files(studio: Studio) -> None:
    studio.plan()
    before = {path.name for path in Path(studio.output, "plan").iterdir()}
    _bytes(studio, pytest.MonkeyPatch())
    assert len(studio.read()[0].rows) == 9  # the output is below the folder that is the manifest
    studio.plan()
    index = json.loads(Path(layout.plan_index(studio.output)).read_text())
    there = {path.name for path in Path(studio.output, "plan").iterdir()}
    assert there == {"plan.json", *(f"rows-{digest}.parquet" for digest in index["files"])}
    assert there != before
    files = [str(path) for path in Path(studio.output, "plan").iterdir()]
    assert all(layout.is_written_by_runs(studio.output, file) for file in files)


def test_a_plan_has_the_columns_that_the_readme_lists(studio: Studio) -> None:
    studio.plan()
    file = next(Path(studio.output, "plan").glob("*.parquet"))
    assert pq.read_schema(file).names == FILE.names
