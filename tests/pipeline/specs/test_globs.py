"""Patterns and lazy listings, held against pathlib's."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import storage
from pipeline.archives.photos import photos
from pipeline.specs import globs
from pipeline.specs.archive import ArchiveSpec
from pipeline.specs.fields import gather

NAME = st.sampled_from(["a", "b", "ab", "a.jpg", "b.jpg", "c.png", "a[1].jpg", "ü.jpg", "a b.JPG", "^x.jpg"])
PATHS = st.lists(st.lists(NAME, min_size=1, max_size=4).map("/".join), max_size=12)
PATTERNS = """
**/*.jpg  *.jpg  a/*.jpg  **/a*  */*  **/a/**/*.jpg  [ab].jpg  **/[!a]*  a?[[]1].jpg  **/a?b.*  **/*.JPG  ab/**/?.jpg
**/[^a]*  a[[]1].jpg
"""
PATTERN = st.sampled_from(PATTERNS.split())


def planted(folder: Path, paths: list[str]) -> None:
    for path in paths:
        file = folder / path
        if not any(parent.is_file() for parent in file.parents) and not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(path.encode())


@given(PATHS, PATTERN)
def test_a_pattern_fits_what_pathlib_finds_in_any_case(paths: list[str], pattern: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        planted(folder, [path.lower() for path in paths])
        search = folder.glob if "/" in pattern else folder.rglob  # a bare name may be in whatever folder
        expected = {str(path) for path in search(pattern.lower()) if path.is_file()}
        below = [(entry.uri, globs.relative(entry.uri, str(folder))) for entry in storage.walk(str(folder))]
        assert {uri for uri, path in below if globs.matches(pattern, path)} == expected
        assert {uri for uri, path in below if globs.matches(pattern.swapcase(), path.swapcase())} == expected


@given(PATHS)
def test_a_walk_meets_every_file_once_and_knows_it(paths: list[str]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        planted(folder, paths)
        expected = {str(path) for path in folder.rglob("*") if path.is_file()}
        entries = list(storage.walk(str(folder)))
        assert sorted(entry.uri for entry in entries) == sorted(expected)
        for entry in entries:
            assert entry.size == len(Path(entry.uri).read_bytes())
            assert entry.identity == storage.identity(entry.uri)
            assert entry.modified is not None
            assert entry.modified.timestamp() == pytest.approx(Path(entry.uri).stat().st_mtime)


def test_links_to_folders_are_not_followed(tmp_path: Path) -> None:
    planted(tmp_path, ["real/a.jpg"])
    (tmp_path / "real" / "loop").symlink_to(tmp_path)
    (tmp_path / "link.jpg").symlink_to(tmp_path / "real" / "a.jpg")
    (tmp_path / "broken.jpg").symlink_to(tmp_path / "gone")
    assert [globs.relative(entry.uri, str(tmp_path)) for entry in storage.walk(str(tmp_path))] == [
        "link.jpg",
        "real/a.jpg",
    ]


def test_what_cannot_be_listed_is_said(tmp_path: Path) -> None:
    with pytest.raises(storage.StorageError, match="nowhere: it does not exist"):
        list(storage.walk(str(tmp_path / "nowhere")))


@pytest.mark.parametrize("scheme", ["memory", "s3"])
def test_object_stores_are_walked_with_what_they_say(scheme: str, bucket: str) -> None:
    folder = storage.join(bucket if scheme == "s3" else "memory://walk", "walked")
    names = [f"{n % 7}/{n}.jpg" for n in range(30)]
    for name in names:
        storage.write_bytes(storage.join(folder, name), name.encode())
    entries = {globs.relative(entry.uri, folder): entry for entry in storage.walk(folder)}
    assert sorted(entries) == sorted(names)
    for name, entry in entries.items():
        assert entry.size == len(name)
        assert entry.modified is not None
        assert entry.identity == storage.identity(entry.uri)


def test_s3_pages_follow_each_other(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline.storage._s3 import S3Store

    folder = storage.join(bucket, "paged")
    for n in range(25):
        storage.write_bytes(storage.join(folder, f"{n:02}"), b"x")
    real, asked = S3Store._list, []

    def small(self: S3Store, path: str, **options: object) -> object:
        asked.append(options)
        return real(self, path, **options, MaxKeys=10)

    monkeypatch.setattr(S3Store, "_list", small)
    walk = storage.walk(folder)
    next(walk)
    assert len(asked) == 1  # nothing is listed before it is needed
    assert [entry.uri[-2:] for entry in walk] == [f"{n:02}" for n in range(1, 25)]
    assert len(asked) == 3


def test_a_folder_is_removed_but_not_what_it_links_to(tmp_path: Path, bucket: str) -> None:
    planted(tmp_path, ["kept/a", "gone/b", "gone/deep/c"])
    (tmp_path / "gone" / "link").symlink_to(tmp_path / "kept")
    storage.remove_folder(str(tmp_path / "gone"), inside=str(tmp_path))
    storage.remove_folder(str(tmp_path / "gone"), inside=str(tmp_path))
    assert [path.name for path in tmp_path.rglob("*")] == ["kept", "a"]
    for name in ("removed/a", "removed/deep/b", "removed2/c"):
        storage.write_bytes(storage.join(bucket, name), b"")
    storage.remove_folder(storage.join(bucket, "removed"), inside=bucket)
    assert [entry.uri for entry in storage.walk(bucket) if "removed" in entry.uri] == [f"{bucket}/removed2/c"]


@pytest.mark.parametrize(
    ("uri", "parts"),
    [
        ("s3://photos/**/*.jpg", ("s3://photos", "**/*.jpg")),
        ("/a/b/c*/d", ("/a/b", "c*/d")),
        ("*.jpg", (".", "*.jpg")),
        ("/*.jpg", ("/", "*.jpg")),
        ("s3://photos/2026", ("s3://photos/2026", None)),
    ],
)
def test_a_pattern_starts_at_a_folder(uri: str, parts: tuple[str, str | None]) -> None:
    assert globs.split(uri) == parts


@pytest.mark.parametrize(
    ("pattern", "folder", "covered"),
    [
        ("out/**", "out", True),
        ("out/**", "out/deep", True),
        ("**/out/**", "a/out/b", True),
        ("**", "out", True),
        ("o*/**", "out", True),
        ("out/*", "out", False),
        ("out/**/*.jpg", "out", False),
        ("out/**", "outer", False),
        ("out/deep/**", "out", False),
        ("out", "out", False),
    ],
)
def test_only_whole_folders_are_covered(pattern: str, folder: str, covered: bool) -> None:
    assert globs.covers(pattern, folder) is covered
    if covered:
        assert globs.matches(pattern, f"{folder}/any/file.x")


@given(st.lists(st.sampled_from([*"ab/*?[]!", "[[]"]), max_size=12).map("".join))
def test_what_is_escaped_is_no_pattern_and_fits_itself(text: str) -> None:
    assert not globs.is_glob(globs.escaped(text))
    assert globs.literal(globs.escaped(text)) == text
    if text and "**" not in text.split("/"):
        assert globs.matches(globs.escaped(text), text)


def test_wildcards_in_the_names_of_folders_above_are_none(tmp_path: Path) -> None:
    home = tmp_path / "studio [v2]?"
    planted(home, ["photos/a.jpg", "s.jpg"])
    (tmp_path / "studio v?").mkdir()
    fields = {"photos": "photos", "styles": ["s.jpg"]}
    for said in (fields, {**fields, "photos": "photos/*.jpg", "styles": ["s*.jpg"]}):
        spec = ArchiveSpec.model_validate(said, context={"base": str(home)})
        assert [photo.path for photo in photos(spec)] == ["a.jpg"]
        assert list(gather(spec.styles).values()) == [str(home / "s.jpg")]
