"""Which photos are taken, which styles they get, what results are called; originals are never in danger."""

import os
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline import storage
from pipeline.archives.chooser import Chooser
from pipeline.archives.photos import Photo, Selection, photos
from pipeline.archives.rows import check_originals_are_safe, output_name, row_of
from pipeline.manifest.columns import bad_output
from pipeline.specs import globs
from pipeline.specs.archive import ArchiveSpec
from pipeline.storage.entry import Entry


def spec(**fields: Any) -> ArchiveSpec:
    return ArchiveSpec.model_validate({"photos": "/photos", "styles": ["s.jpg"], **fields})


def plant(folder: Path, *paths: str, size: int = 10) -> None:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(bytes(size))


def taken(folder: Path, **fields: Any) -> set[str]:
    return {photo.path for photo in photos(spec(photos=str(folder), **fields))}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    plant(
        tmp_path, "a.jpg", "b/c.JPG", "b/d.png", "b/e.txt", "drafts/f.jpg", "b/._c.JPG", ".trash/g.jpg", "b/h_thumb.jpg"
    )
    return tmp_path


def test_a_folder_stands_for_its_pictures(folder: Path) -> None:
    assert taken(folder) == {"a.jpg", "b/c.JPG", "b/d.png", "drafts/f.jpg", "b/h_thumb.jpg"}


def test_patterns_take_and_leave_out(folder: Path) -> None:
    everywhere = {photo.path for photo in photos(spec(photos=f"{folder}/**/*.jpg"))}
    assert everywhere == {"a.jpg", "b/c.JPG", "drafts/f.jpg", "b/h_thumb.jpg"}
    assert taken(folder, exclude=["drafts/**", "*_thumb.*"]) == {"a.jpg", "b/c.JPG", "b/d.png"}
    assert taken(folder, include=["b/*", "a.*"], exclude=["*.png"]) == {"a.jpg", "b/c.JPG", "b/h_thumb.jpg"}
    assert {p.path for p in photos(spec(photos=f"{folder}/a.jpg"))} == {"a.jpg"}


def test_what_is_passed_over_is_counted(folder: Path) -> None:
    selection = Selection()
    found = list(photos(spec(photos=str(folder), exclude=["drafts/**"]), selection))
    assert selection.taken == len(found) == 4
    assert selection.passed_over.to_json() == {
        "hidden": {"files": {".jpg": 1}, "folders": 1, "named": [".trash"]},
        "another name": {"files": {".txt": 1}, "folders": 0, "named": []},
        "excluded": {"files": {}, "folders": 1, "named": ["drafts"]},
    }


def test_sizes_and_dates(tmp_path: Path) -> None:
    for number, size in enumerate((10, 20, 30)):
        plant(tmp_path, f"{number}.jpg", size=size)
        when = datetime(2026, 1, 1 + number, 12, tzinfo=UTC).timestamp()
        os.utime(tmp_path / f"{number}.jpg", (when, when))
    assert taken(tmp_path, min_bytes=20) == {"1.jpg", "2.jpg"}
    assert taken(tmp_path, max_bytes=20) == {"0.jpg", "1.jpg"}
    assert taken(tmp_path, after="2026-01-02") == {"1.jpg", "2.jpg"}
    assert taken(tmp_path, before="2026-01-02T12:00:00") == {"0.jpg"}
    assert taken(tmp_path, after="2026-01-02T13:00:00+01:00", before="2026-01-03") == {"1.jpg"}


def test_a_name_that_is_no_text_is_passed_over(tmp_path: Path) -> None:
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.jpg"))).write_bytes(b"x")
    plant(tmp_path, "a.jpg")
    selection = Selection()
    assert [photo.path for photo in photos(spec(photos=str(tmp_path)), selection)] == ["a.jpg"]
    assert str(selection.passed_over) == "a name that is no UTF-8: 1 .jpg"


def test_a_filter_that_the_store_cannot_answer_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "walk", lambda *_, **__: iter([Entry("/photos/a.jpg", None, None, "x")]))
    with pytest.raises(ValueError, match="tells no size"):
        list(photos(spec(min_bytes=1)))


NAMES = st.lists(
    st.sampled_from(["a", "b.c", "IMG 1", ".x", "..", "", "a\\b", "é" * 120, "a~", "a.tif", "a.jpg"]), max_size=3
)
FILE = st.tuples(
    st.sampled_from(["a", "a.tif", "a.png", "IMG~", "é" * 125, "b.jpeg", "a.jpg.png", "a.b"]),
    st.sampled_from(["", ".jpg", ".JPG", ".png", ".tif", ".webp", ".jpeg", ".x"]),
).map("".join)


@given(
    st.sets(st.tuples(NAMES, FILE).map(lambda parts: "/".join([*parts[0], parts[1]])), max_size=20),
    st.sampled_from(["keep", "png", "jpg", "webp", "tif", "avif"]),
)
def test_no_two_photos_have_one_name_and_every_name_can_be_written(paths: set[str], format: str) -> None:
    names = {path: output_name(path, format) for path in paths}
    assert len(set(names.values())) == len(names)
    for name in names.values():
        assert list(bad_output(name)) == []
        assert format == "keep" or name.lower().endswith(
            (f".{format}", {"jpg": ".jpeg", "tif": ".tiff"}.get(format, f".{format}"))
        )


@pytest.mark.parametrize(
    ("path", "format", "name"),
    [
        ("2019/july/a.jpg", "keep", "2019/july/a.jpg"),
        ("a.JPEG", "jpg", "a.JPEG"),
        ("a.tif", "keep", "a.tif.png"),
        ("a.png", "jpg", "a.png.jpg"),
        ("a.jpg", "jpg", "a.jpg"),
        ("scan", "keep", "scan~.png"),
        ("a.avif", "keep", "a.avif.png"),
        ("a.TIFF", "tif", "a.TIFF"),
        ("a.jpg", "avif", "a.jpg.avif"),
    ],
)
def test_names_are_what_people_expect(path: str, format: str, name: str) -> None:
    assert output_name(path, format) == name


PATHS = st.sets(st.text("abc/.", min_size=1, max_size=8), min_size=1, max_size=30)


@given(PATHS, PATHS, st.integers(0, 5))
def test_new_photos_do_not_reshuffle_old_ones(old: set[str], new: set[str], seed: int) -> None:
    archive = spec(styles=["s.jpg", "t.jpg", "u.jpg"], choose="random", seed=seed)
    before = {path: Chooser(archive, archive.styles)(path) for path in sorted(old)}
    choose = Chooser(archive, archive.styles)
    after = {path: choose(path) for path in sorted(old | new)}
    assert {path: after[path] for path in old} == before


@given(PATHS)
def test_a_new_style_takes_photos_from_others_and_moves_none_between_them(paths: set[str]) -> None:
    few, more = (spec(styles=[f"{name}.jpg" for name in names], choose="random") for names in ("st", "stu"))
    for path in paths:
        (before,), (after,) = Chooser(few, few.styles)(path), Chooser(more, more.styles)(path)
        assert after in (before, "u")


def test_chance_is_fair_and_the_seed_matters() -> None:
    counts = Counter[str]()
    changed = 0
    one, other = (spec(styles=["s.jpg", "t.jpg", "u.jpg"], choose="random", seed=seed) for seed in (1, 2))
    for n in range(3000):
        (name,) = Chooser(one, one.styles)(f"{n}.jpg")
        counts[name] += 1
        changed += Chooser(other, other.styles)(f"{n}.jpg") != (name,)
    assert all(900 < count < 1100 for count in counts.values())
    assert 1800 < changed < 2200


@given(st.lists(st.sets(st.integers(0, 60)), min_size=1, max_size=5))
def test_turns_are_even_and_kept_from_run_to_run(nights: list[set[int]]) -> None:
    archive = spec(styles=["s.jpg", "t.jpg", "u.jpg"], choose="round-robin")
    known: dict[str, str] = {}
    for night in nights:
        choose = Chooser(archive, archive.styles, before=known.get, given=Counter(known.values()))
        before = dict(known)
        known |= {str(n): choose(str(n))[0] for n in sorted(night)}
        assert {path: known[path] for path in before} == before
        counts = Counter(dict.fromkeys(archive.styles, 0)) + Counter(known.values())
        given_to = [counts[name] for name in archive.styles]
        assert max(given_to) - min(given_to) <= 1


def test_a_style_that_is_gone_gives_its_photos_away() -> None:
    archive = spec(styles=["s.jpg"], choose="round-robin")
    assert Chooser(archive, archive.styles, before=lambda _: "old", given={"old": 9})("a") == ("s",)


def test_a_row_keeps_its_place_when_parameters_change() -> None:
    from nst_kernel import StyleParams

    photo = Photo(Entry("/photos/b/a.tif", 1, None, "x"), "b/a.tif")
    both = spec(styles=["s.jpg", "t.jpg"])
    rows = {
        (style, size): row_of(both, photo, style, both.styles[style], StyleParams(size=size)).row
        for style in "st"
        for size in (64, 96)
    }
    assert len({row.id for row in rows.values()}) == 2
    assert rows["s", 64].id == rows["s", 96].id
    assert {row.output for row in rows.values()} == {"s/b/a.tif.png", "t/b/a.tif.png"}
    chosen = spec(styles=["s.jpg", "t.jpg"], choose="random")
    one, other = (row_of(chosen, photo, style, "/u", StyleParams()).row for style in "st")
    assert (one.id, one.output) == (other.id, "b/a.tif.png")


@pytest.mark.parametrize(
    ("archive", "output", "fields", "said"),
    [
        ("/photos", "/photos/out", {}, r"exclude: \['out/\*\*'\]"),
        ("/photos", "/photos", {}, "is inside the archive"),
        ("/photos", "/photos/deep/out", {"exclude": ["out/**"]}, "is inside"),
        ("/photos", "/photos/out", {"exclude": ["out/*.jpg"]}, "is inside"),
        ("/data/images", "/data", {}, "take the place of the originals"),
        ("/data/images/2019/*.jpg", "/data", {}, "take the place of the originals"),
        ("s3://b/photos/**/*.jpg", "s3://b/photos/out", {}, "is inside"),
        ("/data/images", "local:///data", {}, "take the place of the originals"),
        ("local:///data/images", "file:///data/", {}, "take the place of the originals"),
        ("s3://b/images", "s3a://b", {}, "take the place of the originals"),
        ("s3://b//images", "s3://b", {}, "take the place of the originals"),
        ("s3a://b/photos", "s3://b//photos/out", {}, r"exclude: \['out/\*\*'\]"),
        ("//photos", "/photos/x/../out", {}, "is inside the archive"),
    ],
)
def test_originals_are_safe(archive: str, output: str, fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        check_originals_are_safe(spec(photos=archive, **fields), output)


@pytest.mark.parametrize(
    ("archive", "output", "fields"),
    [
        ("/photos", "/photos-out", {}),
        ("/photos", "/photos/out", {"exclude": ["out/**"]}),
        ("/photos", "/photos/deep/out", {"exclude": ["deep/**"]}),
        ("s3://b/photos", "s3://b/out", {}),
        ("/data/photos", "/data", {"exclude": []}),
    ],
)
def test_outputs_beside_or_left_out_are_fine(archive: str, output: str, fields: dict[str, Any]) -> None:
    check_originals_are_safe(spec(photos=archive, **fields), output)


def test_a_link_does_not_hide_an_archive(tmp_path: Path) -> None:
    plant(tmp_path, "photos/a.jpg")
    (tmp_path / "link").symlink_to(tmp_path / "photos")
    with pytest.raises(ValueError, match="is inside the archive"):
        check_originals_are_safe(spec(photos=str(tmp_path / "photos")), str(tmp_path / "link" / "out"))


def test_a_link_does_not_lead_pictures_into_an_archive(tmp_path: Path) -> None:
    plant(tmp_path, "photos/a.jpg", "out/run.json")
    (tmp_path / "out" / "images").symlink_to(tmp_path / "photos" / "deep")
    with pytest.raises(ValueError, match="is inside the archive"):
        check_originals_are_safe(spec(photos=str(tmp_path / "photos")), str(tmp_path / "out"))


@pytest.mark.parametrize("scheme", ["file://", "local://", ""])
def test_photos_have_their_paths_however_the_archive_is_spelled(folder: Path, scheme: str) -> None:
    paths = {photo.path for photo in photos(spec(photos=f"{scheme}{folder}"))}
    assert paths == {"a.jpg", "b/c.JPG", "b/d.png", "drafts/f.jpg", "b/h_thumb.jpg"}


def test_photos_have_their_paths_under_another_name_of_their_store(bucket: str) -> None:
    storage.write_bytes(f"{bucket}/alias/a::b.jpg", b"x")
    found = list(photos(spec(photos=f"{bucket.replace('s3:', 's3a:')}/alias")))
    assert [photo.path for photo in found] == ["a::b.jpg"]


@pytest.mark.parametrize(
    ("styles", "where"),
    [
        (["a/s.jpg", "b/s.png"], ("styles", 1)),
        ({"a/b": "s.jpg"}, ("styles", "a/b")),
        ([], ("styles",)),
        ([3], ("styles", 0)),
        (3, ("styles",)),
    ],
)
def test_styles_need_names_that_files_may_have(styles: object, where: tuple[str | int, ...]) -> None:
    with pytest.raises(ValidationError) as caught:
        spec(styles=styles)
    assert caught.value.errors()[0]["loc"] == where


def test_styles_by_pattern(tmp_path: Path) -> None:
    from pipeline.specs.fields import gather

    plant(tmp_path, "s/a.jpg", "s/b.png", "t/a.jpg")
    named = spec(styles=[f"{tmp_path}/s/*"]).styles
    assert gather(named) == {"a": f"{tmp_path}/s/a.jpg", "b": f"{tmp_path}/s/b.png"}
    with pytest.raises(ValueError, match="'a' too"):
        gather(spec(styles=[f"{tmp_path}/*/*"]).styles)
    with pytest.raises(ValueError, match="at least one file that fits"):
        gather(spec(styles=[f"{tmp_path}/*.bmp"]).styles)
    assert globs.is_picture("a.AVIF")


def test_an_archive_on_an_object_store(bucket: str) -> None:
    for name in ("a.jpg", "b/c.jpg", "b/d.png", "b//e.jpg", "/a.jpg", "notes.txt"):
        storage.write_bytes(f"{bucket}/archive/{name}", name.encode())
    archive = spec(photos=f"{bucket}/archive/**/*.jpg", min_bytes=1)
    found = {photo.path: photo.entry for photo in photos(archive)}
    assert set(found) == {"a.jpg", "/a.jpg", "b/c.jpg", "b//e.jpg"}
    assert [output_name(path, "keep") for path in sorted(found)] == ["%/a.jpg", "a.jpg", "b/%/e.jpg", "b/c.jpg"]
    assert {entry.identity for entry in found.values()} == {storage.identity(entry.uri) for entry in found.values()}


@pytest.mark.parametrize("date", ["2026", "20260131", 2026, "1767225600"])
def test_a_bare_number_is_no_date(date: object) -> None:
    with pytest.raises(ValidationError, match="a date such as 2026-01-31"):
        spec(after=date)


def test_results_of_a_pattern_of_styles_have_a_folder_each() -> None:
    assert spec(styles=["s/*.jpg"]).by_style
    assert not spec(styles=["s/*.jpg"], choose="random").by_style
    assert not spec().by_style
