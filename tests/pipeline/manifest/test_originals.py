"""No picture is written over one that is read, however the two are spelled."""

import os
from pathlib import Path

import pytest

from nst_kernel import StyleParams
from pipeline import storage
from pipeline.manifest import ManifestError, Row, check_originals, same_file
from pipeline.manifest import originals as checked


def row(content: str | None, output: str, *, style: str = "/styles/s.png", init: str = "noise", number: int = 2) -> Row:
    params = StyleParams(init=init)
    return Row(f"id{number}", content, style, output, params, "pairs.csv", number)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose photos lie in images/, as the output of `nst run pairs.csv -o .` would."""
    for name in ("images/cat.png", "images/deep/dog.png", "elsewhere/new.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "link").symlink_to(tmp_path / "images")
    (tmp_path / "elsewhere" / "cat_link.png").symlink_to(tmp_path / "images" / "cat.png")
    return tmp_path


@pytest.mark.parametrize(
    "spelled",
    [
        "{0}/images/cat.png",
        "file://{0}/images/cat.png",
        "local://{0}/images/cat.png",
        "{0}/images/../images//cat.png",
        "/{0}/images/cat.png",
        "{0}/link/cat.png",
        "{0}/elsewhere/cat_link.png",
        "images/cat.png",
    ],
)
@pytest.mark.parametrize("role", ["content", "style", "init"])
def test_an_output_that_is_any_rows_picture_is_refused(
    project: Path, spelled: str, role: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    uri = spelled.format(project)
    reading = {
        "content": row(uri, "a.png"),
        "style": row("/photos/a.jpg", "a.png", style=uri),
        "init": row("/photos/a.jpg", "a.png", init=uri),
    }[role]
    rows = [reading, row("/photos/b.jpg", "cat.png", number=3), row("/photos/c.jpg", "dog.png", number=4)]
    for output in (str(project), f"file://{project}", f"{project}/"):
        with pytest.raises(ManifestError, match=rf"pairs\.csv, line 3, column output: 'cat\.png'.*is the {role} of"):
            check_originals(rows, output)
        with pytest.raises(ManifestError) as caught:
            check_originals(rows, output)
        assert len(caught.value.problems) == 1
    check_originals(rows, f"{project}/out")


def test_a_row_may_not_replace_its_own_content(project: Path) -> None:
    with pytest.raises(ManifestError, match="is the content of pairs"):
        check_originals([row(f"{project}/images/deep/dog.png", "deep/dog.png")], str(project))
    check_originals([row(f"{project}/images/deep/dog.png", "dog.png")], str(project))


def test_a_link_that_is_read_is_not_replaced(project: Path) -> None:
    (project / "images" / "link.png").symlink_to(project / "elsewhere" / "new.png")
    rows = [row(f"{project}/images/link.png", "other.png"), row("/photos/a.jpg", "link.png", number=3)]
    with pytest.raises(ManifestError, match="line 3"):
        check_originals(rows, str(project))


def test_links_are_found_in_large_folders_too(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checked, "_WORTH_LISTING", 3)
    rows = [row(f"{project}/elsewhere/{name}", f"{number}.png", number=number) for number, name in enumerate("abc")]
    check_originals(rows, str(project))
    linked = row(f"{project}/elsewhere/cat_link.png", "cat.png", number=9)
    with pytest.raises(ManifestError, match="line 9"):
        check_originals([*rows, linked], str(project))


def test_a_picture_that_is_not_there_yet_is_refused_too(project: Path) -> None:
    """Else the next night would stylise the stylised."""
    with pytest.raises(ManifestError, match="is the content of"):
        check_originals([row(f"{project}/out/images/new.png", "new.png")], f"{project}/out")


def test_a_picture_that_an_earlier_version_named_is_refused_too(project: Path) -> None:
    """A row that is computed again is written to the place of its picture, which had its id for a name."""
    asked = Row(ID, f"{project}/images/{ID}.png", "/s.png", f"{ID}-s-{ID}.png", StyleParams(), "pairs.csv", 2)
    with pytest.raises(ManifestError, match="is the content of"):
        check_originals([asked], str(project))


ID = "0f1e2d3c4b5a6978"


@pytest.mark.parametrize(
    ("content", "output"),
    [
        ("s3://b/out/images/a.png", "s3a://b/out"),
        ("s3a://b/out//images/a.png", "s3://b/out/"),
        ("gcs://b/images/a.png", "gs://b"),
        ("s3://b/out/images/a.png?versionId=7", "s3://b/out"),
    ],
)
def test_aliases_of_object_stores_hide_nothing(content: str, output: str) -> None:
    with pytest.raises(ManifestError, match="is the content of"):
        check_originals([row(content, "a.png")], output)
    check_originals([row(content, "b.png")], output)
    check_originals([row(content, "a.png")], "s3://other/out")


def test_pictures_of_earlier_runs_stay(project: Path) -> None:
    known = [f"{project}/images/cat.png"]
    with pytest.raises(ManifestError, match="rows of earlier runs"):
        check_originals([row("/photos/a.jpg", "cat.png")], str(project), known=known)
    check_originals([row("/photos/a.jpg", "dog.png")], str(project), known=known)


def test_two_names_of_one_file_are_refused_where_case_does_not_count(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [row("/photos/a.jpg", "new/A.png"), row("/photos/b.jpg", "new/a.PNG", number=3)]
    check_originals(rows, str(project))
    reading = row(f"{project}/IMAGES/Cat.PNG", "other.png", number=4)
    check_originals([row("/photos/a.jpg", "cat.png"), reading], str(project))
    monkeypatch.setattr(Path, "samefile", lambda one, other: str(one).casefold() == str(other).casefold())
    with pytest.raises(ManifestError, match=r"line 3.*case of letters does not count"):
        check_originals(rows, str(project))
    with pytest.raises(ManifestError, match=r"is the content of .*line 4"):
        check_originals([row("/photos/a.jpg", "cat.png"), reading], str(project))


def test_nothing_is_looked_up_where_nothing_lies_near(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many rows, what is looked up are their folders; of links, only where there are pictures already."""
    looked: list[str] = []
    real = os.path.realpath

    def watched(path: str) -> str:
        looked.append(str(path))
        return real(path)

    monkeypatch.setattr(os.path, "realpath", watched)
    monkeypatch.setattr(storage, "is_link", lambda uri: pytest.fail(f"looked at {uri}"))
    rows = [row(f"/photos/{number}.jpg", f"{number}.png", number=number) for number in range(1000)]
    check_originals(rows, str(tmp_path / "out"))
    assert len(looked) < 10


def test_which_picture_a_file_is(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    pictures = ["elsewhere/new.png", f"file://{project}/link/cat.png"]
    assert same_file("images/cat.png", pictures) == pictures[1]
    assert same_file("./elsewhere/../elsewhere/new.png", pictures) == pictures[0]
    assert same_file("images/new.png", pictures) is None
    assert same_file("elsewhere/cat_link.png", pictures) is None  # the link is replaced, and the picture stays
    assert same_file("elsewhere/cat_link.png", ["elsewhere/cat_link.png"])
