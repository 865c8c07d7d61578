"""What may be opened by its text: places, spellings, links; and who may say so."""

import json
import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import storage
from pipeline.storage import Allowed, Carried, Refused, StorageError, _access


@pytest.fixture(autouse=True)
def by_default() -> Iterator[None]:
    """What holds where nobody has said anything."""
    with storage.allowing(Allowed()):
        yield


@pytest.fixture
def operators_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place for an operator's file that nobody has read yet."""
    file = tmp_path / "access.json"
    monkeypatch.setattr(_access, "OPERATORS_FILE", file)
    return file


@pytest.mark.parametrize(
    "uri",
    [
        "reference://k.png::http://host/evil.json",
        "simplecache::s3://bucket/a.png",
        "filecache::http://127.0.0.1/a.png",
        "blockcache::file:///etc/passwd",
        "zip://a.png::/photos/all.zip",
        "s3::reference://a",
        "memory://a.png",
        "sftp://user:secret@host/a.png",
        "ftp://host/a.png",
        "github://owner:repo@main/a.png",
        "webhdfs://host/a.png",
        "FILE:///etc/passwd",
        "data://text/plain",
        "gopher://host/a",
        "://a",
    ],
)
def test_other_schemes_and_chains_are_refused_before_fsspec_sees_them(
    uri: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("pipeline.storage._call.get_filesystem_class", lambda scheme: pytest.fail(scheme))
    for verb, open_it in (
        ("read", storage.read_bytes),
        ("write", lambda uri: storage.write_bytes(uri, b"")),
        ("look at", storage.identity),
        ("list", storage.list_files),
        ("delete", storage.remove),
    ):
        if uri == "://a":  # a path, whatever it looks like
            continue
        with pytest.raises(Refused, match=f"cannot {verb} ") as refused:
            open_it(uri)
        assert "secret" not in str(refused.value).replace(uri, "")
    assert [str(error) for error in storage.identities([uri]).values()]


def test_a_refusal_says_how_to_allow_it() -> None:
    with pytest.raises(Refused, match="not among the places that may be read") as refused:
        storage.read_bytes("memory://a/b.png")
    assert "give --allow-read default --allow-read memory://, or allow_read in the access section" in str(refused.value)
    for uri in ("simplecache::s3://bucket/a.png", "reference://k.png::http://host/evil.json"):
        with pytest.raises(
            Refused, match=r"chains of file systems \(::\) are never opened: give the address of the file"
        ):
            storage.read_bytes(uri)
    with storage.allowing(Allowed(write=("s3://out/night",))), pytest.raises(Refused, match="--allow-write s3://other"):
        storage.write_bytes("s3://KEY:SECRET@other/a.png", b"")


def test_what_is_allowed_is_open() -> None:
    with storage.allowing(Allowed(("memory://open",), ("memory://open/out",))):
        storage.write_bytes("memory://open/out/a", b"1")
        assert storage.read_bytes("memory://open/out/a") == b"1"
        with pytest.raises(Refused):
            storage.write_bytes("memory://open/a", b"1")
        with pytest.raises(Refused):
            storage.remove("memory://open/outer")
    with storage.allowing(Allowed((), ("memory://open/out",))):
        assert storage.read_bytes("memory://open/out/a") == b"1"  # what may be written may be read
    with pytest.raises(Refused):
        storage.read_bytes("memory://open/out/a")


@pytest.mark.parametrize(
    ("place", "inside", "outside"),
    [
        ("s3://b", ["s3://b/x", "s3a://b/x/y", "S3://b/x", "s3://b//x"], ["s3://bb/x", "gs://b/x", "s3://user@b/x"]),
        ("s3://b/p/", ["s3://b/p/x", "s3a://b/p"], ["s3://b/pp", "s3://b", "s3://b/p/../x", "s3://b/./p/x"]),
        ("gs://b", ["gcs://b/x"], ["s3://b/x"]),
        ("abfs://c@a.dfs.core.windows.net", ["az://c@a.dfs.core.windows.net/x"], ["abfs://c@b.dfs.core.windows.net/x"]),
        ("/data", ["/data/x", "file:///data/x", "local:///data", "/data//x", "/x/../data/x"], ["/data2", "/data/../x"]),
        ("/", ["/x", "file:///x"], ["s3://x"]),
        ("hdfs://host/x", ["hdfs://host/x/y"], ["hdfs://host/y"]),
    ],
)
def test_a_place_covers_what_lies_below_it(place: str, inside: list[str], outside: list[str]) -> None:
    allowed = Allowed((place,), ())
    assert [uri for uri in inside if not allowed.covers(uri, write=False)] == []
    assert [uri for uri in outside if allowed.covers(uri, write=False)] == []
    assert [uri for uri in inside if allowed.covers(uri, write=True)] == []


def test_links_do_not_lead_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("photos", "private"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.jpg").write_bytes(b"1")
    (tmp_path / "photos" / "link").symlink_to(tmp_path / "private")
    (tmp_path / "photos" / "b.jpg").symlink_to(tmp_path / "private" / "a.jpg")
    (tmp_path / "entrance").symlink_to(tmp_path / "photos")
    monkeypatch.chdir(tmp_path)
    with storage.allowing(Allowed((f"{tmp_path}/entrance",), ())):
        for uri in (f"{tmp_path}/photos/a.jpg", "entrance/a.jpg", f"file://{tmp_path}/entrance/a.jpg"):
            assert storage.read_bytes(uri) == b"1"
        for uri in ("photos/b.jpg", "photos/link/a.jpg", "photos/../private/a.jpg", f"{tmp_path}/private/a.jpg"):
            with pytest.raises(Refused, match="not among the places"):
                storage.read_bytes(uri)


WORDS = st.lists(st.sampled_from(["a", "b", "..", ".", "", "a::b", "é", "?x=1", "#", "@", "%2e"]), max_size=5)


@given(WORDS, st.sampled_from(["s3://b/a", "memory://a", "gs://b", "/a/b"]))
def test_nothing_outside_of_a_place_is_covered(words: list[str], place: str) -> None:
    uri = "/".join(["s3://b", *words]) if place.startswith("s3") else "/".join([place, *words])
    if Allowed((place,), ()).covers(uri, write=False):
        assert storage.is_within(storage.canonical(uri), storage.canonical(place))


@pytest.mark.parametrize(
    "place",
    ["photos", "", "./a", "defaults", "s3:bucket", "http://host/path", "http://u@host", "https://h:x", "a::b://c"],
)
def test_what_is_no_place_is_named(place: str) -> None:
    with pytest.raises(ValueError, match="expected default, an absolute path, or the beginning of a URI"):
        Allowed((place,))
    with pytest.raises(ValueError, match="expected bytes, 1 or more"):
        Allowed(max_bytes=0)


def test_an_operator_narrows_what_a_run_allows(operators_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    operators_file.write_text(json.dumps({"allow_read": ["memory://in"], "allow_write": ["memory://out"]}))
    monkeypatch.setenv("NST_ACCESS", json.dumps([{"max_file_bytes": 3}, {"allow_read": ["memory://in", "s3://b"]}]))
    with storage.allowing(Allowed(("memory://",), ("memory://",))):
        storage.write_bytes("memory://out/a", b"1")
        for uri in ("memory://elsewhere/a", "/etc/hostname", "s3://b/a"):  # each must cover it
            with pytest.raises(Refused, match=rf"ask whoever runs this machine to add .* in {operators_file}"):
                storage.read_bytes(uri)
        with pytest.raises(Refused, match="to add memory:// to allow_write in"):
            storage.write_bytes("memory://in/a", b"1")
        with pytest.raises(Refused, match="allow_read in NST_ACCESS"):
            storage.read_bytes("memory://out/a")
        assert _access.max_bytes() == 3
    with storage.allowing(Allowed(("s3://",), ())), pytest.raises(Refused, match="give --allow-read s3://"):
        storage.read_bytes("memory://in/a")  # nor does it widen


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[1]",
        '{"read": []}',
        '{"allow_read": "s3://b"}',
        '{"allow_read": ["b"]}',
        '{"max_file_bytes": "1"}',
        "true",
    ],
)
def test_what_an_operator_says_wrong_opens_nothing(text: str, operators_file: Path) -> None:
    operators_file.write_text(text)
    with pytest.raises(StorageError, match=r"access.json: .* expected JSON such as .* nothing is opened"):
        storage.read_bytes("/etc/hostname")


def test_an_operators_file_that_cannot_be_read_opens_nothing(operators_file: Path) -> None:
    operators_file.mkdir()
    with pytest.raises(StorageError, match="so that nothing may be opened"):
        storage.read_bytes("/etc/hostname")


def test_what_is_allowed_travels(operators_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    operators_file.write_text('{"max_file_bytes": 7}')
    with storage.allowing(Allowed(("s3://b",), ("s3://b/out",), 10)):
        travelling = pickle.dumps(Carried(storage.in_force))
        text = storage.operators_text('{"allow_read": ["/x"]}')
    monkeypatch.setattr(_access, "OPERATORS_FILE", operators_file.with_name("none"))
    undo = storage.allow(*storage.in_force())
    own = Allowed(None, None, 7, by=str(operators_file))
    assert pickle.loads(travelling)() == (own, Allowed(("s3://b",), ("s3://b/out",), 10))
    assert storage.in_force() == (own, Allowed(("s3://b",), ("s3://b/out",), 10))  # in threads of that process too
    undo()
    monkeypatch.setenv("NST_ACCESS", text)
    said = (Allowed(None, None, 7, by="NST_ACCESS"), Allowed(("/x",), None, None, by="NST_ACCESS"))
    assert storage.in_force() == (*said, Allowed())
    monkeypatch.delenv("NST_ACCESS")
    assert storage.operators_text() == ""


def test_blocks_nest() -> None:
    with storage.allowing(Allowed(("s3://a",))):
        with storage.allowing(Allowed(("s3://b",))):
            assert storage.in_force() == (Allowed(("s3://b",)),)
        assert storage.in_force() == (Allowed(("s3://a",)),)
    assert storage.in_force() == (Allowed(),)


def test_a_path_that_looks_like_a_chain_is_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "simplecache::file:").write_bytes(b"1")
    assert storage.read_bytes("simplecache::file:") == b"1"
    assert list(tmp_path.iterdir()) == [tmp_path / "simplecache::file:"]
