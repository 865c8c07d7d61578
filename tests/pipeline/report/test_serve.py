"""The served page: loopback, read-only, nothing but its own output, and up to date."""

import http.client
import json
import re
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline import storage
from pipeline.outputs import provenance
from pipeline.report import Served, write_report
from pipeline.report import serve as serving
from tests.pipeline.report.support import samples

pytestmark = pytest.mark.usefixtures("without_plotly")


@pytest.fixture
def output(tmp_path: Path) -> Path:
    made = samples.make(tmp_path, good=2, failed=1, diverged=0)
    write_report(str(made))
    return made


def ask(served: Served, path: str, *, method: str = "GET", host: str | None = None) -> tuple[int, bytes, str]:
    port = int(served.address.rstrip("/").rpartition(":")[2])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, path, headers={"Host": host or f"127.0.0.1:{port}"})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body, answer.headers.get_content_type()


def test_page_pictures_and_nothing_else(output: Path) -> None:
    (output.parent / "secret.txt").write_text("secret")
    (output / "run.lock").write_text("secret")
    (output / "images" / "link.png").symlink_to(output.parent / "secret.txt")
    with Served(lambda: str(output)) as served:
        assert served.address.startswith("http://127.0.0.1:")
        code, page, kind = ask(served, "/report/")
        assert (code, kind) == (200, "text/html")
        assert b"live.js" not in page
        code, body, kind = ask(served, "/images/made0.png")
        assert (code, kind, body) == (200, "image/png", (output / "images" / "made0.png").read_bytes())
        for name in page.decode().split('src="')[1:]:
            assert ask(served, f"/report/{name.split(chr(34))[0]}")[0] == 200
        assert ask(served, "/images/made0.png", method="HEAD")[:2] == (200, b"")
        for path in (
            "/run.lock",
            "/results/",
            "/images/../run.lock",
            "/images/%2e%2e/run.lock",
            "/report/../../secret.txt",
            "/images/link.png",
            "/../secret.txt",
            "//etc/passwd",
            "/images/gone.png",
        ):
            code, body, _ = ask(served, path)
            assert (code, b"secret" in body) == (404, False), path
        for method in ("POST", "PUT", "DELETE"):
            assert ask(served, "/report/", method=method)[0] == 501
        assert ask(served, "/report/", host="evil.example")[0] == 421
        assert ask(served, "/report/", host="localhost:1")[0] == 200
    with pytest.raises(ConnectionError):
        ask(served, "/report/")


def wait_for(what: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not what():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_live_page_waits_and_then_follows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "EVERY_SECONDS", 0.05)
    monkeypatch.setattr(serving, "QUIET_SECONDS", 0.05)
    monkeypatch.setattr(serving, "SHARE", 10.0)
    output = tmp_path / "output"
    with Served(lambda: str(output), progress=str(output / "progress.json")) as served:
        page = ask(served, "/report/")[1].decode()
        assert "No row has finished yet" in page
        assert 'src="/live.js" data-stamp=""' in page
        assert b"location.reload" in ask(served, "/live.js")[1]
        assert ask(served, "/progress.json")[0] == 404
        samples.make(tmp_path, good=2, failed=0, diverged=0)
        (output / "progress.json").write_text(json.dumps({"state": "running"}))
        wait_for(lambda: b'data-stamp="2' in ask(served, "/report/")[1])
        page = ask(served, "/report/")[1].decode()
        assert "connect-src 'self'" in page
        assert json.loads(ask(served, "/progress.json")[1]) == {"state": "running"}
    assert "connect-src" not in (output / "report" / "index.html").read_text()


def files_of(page: str) -> list[str]:
    """Addresses of the scripts that a page names."""
    named = [f"/report/{name.split(chr(34))[0]}" for name in page.split('src="')[1:]]
    return [path for path in named if "live.js" not in path]


def test_a_page_is_never_without_its_styles(output: Path) -> None:
    page = (output / "report" / "index.html").read_text("utf-8")
    assert "stylesheet" not in page
    assert ".bar" in page.split("<style>")[1].split("</style>")[0]
    assert not list((output / "report" / "code").glob("*.css"))


def test_a_page_that_loads_while_another_takes_its_place_has_its_files(output: Path) -> None:
    with Served(lambda: str(output)) as served:
        pages = [ask(served, "/report/")[1].decode()]
        for _ in range(3):
            write_report(str(output), keep_last=True)
            pages.append(ask(served, "/report/")[1].decode())
            assert {ask(served, path)[0] for page in pages[-2:] for path in files_of(page)} == {200}
        assert {ask(served, path)[0] for path in files_of(pages[1]) if "plotly" not in path} == {404}
    write_report(str(output))
    assert len({path.name.split(".")[1] for path in (output / "report" / "data").iterdir()}) == 1


def test_a_page_that_loads_when_the_run_ends_is_loaded_whole(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "QUIET_SECONDS", 2.0)
    served = Served(lambda: str(output), progress=str(output / "progress.json"))
    got: list[int] = []

    def browse() -> None:
        for path in files_of(ask(served, "/report/")[1].decode()):
            loading.set()
            served._over.wait()
            got.append(ask(served, path)[0])

    loading, browser = threading.Event(), threading.Thread(target=browse)
    with served:
        browser.start()
        loading.wait()
    browser.join()
    assert len(got) > 10
    assert set(got) == {200}
    with pytest.raises(ConnectionError):
        ask(served, "/report/")


def test_a_run_that_goes_on_is_not_said_to_have_ended(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its output has the page and the progress of an earlier run, which has."""
    monkeypatch.setattr(serving, "QUIET_SECONDS", 0.05)
    progress = output / "progress.json"
    ended_at = provenance.now() - timedelta(hours=1)
    progress.write_text(json.dumps({"state": "finished", "updated_at": ended_at.isoformat(timespec="milliseconds")}))
    with Served(lambda: str(output), progress=str(progress)) as served:
        page = ask(served, "/report/")[1].decode()
        assert '<p id="live" role="status"' in page
        assert "A run is at work</p>" in page
        assert "inished" not in re.sub("<(style|script).*?</(style|script)>", "", page, flags=re.DOTALL)
        assert ask(served, "/progress.json")[0] == 404
        now = provenance.now().isoformat(timespec="milliseconds")
        progress.write_text(json.dumps({"state": "running", "updated_at": now}))
        assert json.loads(ask(served, "/progress.json")[1])["state"] == "running"


def test_odd_requests_are_answered_and_say_nothing(output: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with Served(lambda: str(output)) as served:
        for path in ("/images/" + "x" * 300, "/images/a%00b"):
            assert ask(served, path)[0] == 404
        with pytest.raises(http.client.HTTPException):
            ask(served, "/report/", host="[x")
        assert ask(served, "/report/")[0] == 200
    said = capfd.readouterr()
    assert (said.out, said.err) == ("", "")


def test_the_output_is_looked_for_again_after_a_failure(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look lists the runs of a grid, and a page asks for many files at once."""
    monkeypatch.setattr(serving, "KNOWN_SECONDS", 0.2)
    monkeypatch.setattr(serving, "QUIET_SECONDS", 0.05)
    looks: list[int] = []

    def place() -> str:
        looks.append(len(looks))
        if len(looks) == 1:
            raise storage.StorageError("it did not answer")
        return str(output)

    with Served(place, progress=str(output.parent / "progress.json")) as served:
        (output.parent / "progress.json").write_text("{}")
        assert b"No row has finished yet" in ask(served, "/report/")[1]
        wait_for(lambda: ask(served, "/images/made0.png")[0] == 200)
        assert ask(served, "/progress.json")[:2] == (200, b"{}")
        before = len(looks)
        for _ in range(5):
            ask(served, "/images/made0.png")
        assert len(looks) <= before + 1


def test_a_port_that_is_taken_is_said(output: Path) -> None:
    with Served(lambda: str(output)) as served:
        port = int(served.address.rstrip("/").rpartition(":")[2])
        with pytest.raises(ValueError, match=f"--port {port}: .*expected one that is free"):
            Served(lambda: str(output), port=port)


def test_ten_reports_leave_one(output: Path) -> None:
    for _ in range(3):
        page = write_report(str(output))
    text = Path(page).read_text()
    files = [path for folder in ("data", "code") for path in (output / "report" / folder).iterdir()]
    stamps = {path.name.split(".")[1] for path in files if not path.name.startswith("plotly")}
    assert len(stamps) == 1
    assert stamps.pop() in text
