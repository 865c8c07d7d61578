"""The files of a report next to its page: data, code, and the charting library."""

import itertools
import re
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import resources

from pipeline import storage
from pipeline.outputs import layout
from pipeline.report.scripts import script

CODE = (
    "dom",
    "data",
    "address",
    "model",
    "filters",
    "slider",
    "charts",
    "dialog",
    "gallery",
    "matrix",
    "curves",
    "failures",
    "comparison",
    "main",
)
"""Scripts of the page in the order in which they are loaded: each uses those before it."""

STYLES = ("page", "gallery")
"""Style sheets, which are part of the page itself: it is never seen without them."""

_STATIC = resources.files("pipeline.report") / "static"

_AT_ONCE = 8
_BEING_MADE = timedelta(hours=1)
_STAMPED = re.compile(r"\.(\d{8}T\d{12}Z)\.(js|css)$")


def styles() -> str:
    """Return the style sheets of the page as one text."""
    return "\n".join((_STATIC / f"{name}.css").read_text("utf-8") for name in STYLES)


@dataclass(frozen=True)
class Stamps:
    """When the files of reports were made that a folder has.

    Attributes:
        page: of the report whose page is there; empty: none is.
        kept: of the report before it, whose files stay for browsers that were loading its page; empty: they do not.
    """

    page: str = ""
    kept: str = ""


class Files:
    """The data and code of one report; their names end in a stamp of when it was made."""

    def __init__(self, page: str) -> None:
        self.page = page
        self.made_at = datetime.now(UTC)
        self.stamp = f"{self.made_at:%Y%m%dT%H%M%S%f}Z"

    def data_name(self, kind: str, number: int) -> str:
        """Return the name of a file of data, relative to the page."""
        return f"{layout.DATA}/{kind}-{number}.{self.stamp}.js"

    def write_data(self, kind: str, payloads: Iterable[object]) -> int:
        """Write each payload as a script, and return how many there were; few are in memory at once."""
        numbered, count = enumerate(payloads), 0
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            while some := list(itertools.islice(numbered, _AT_ONCE)):
                written = [(self.data_name(kind, k), script(kind, k, payload)) for k, payload in some]
                list(pool.map(lambda file: self._write(*file), written))
                count += len(some)
        return count

    def write_code(self) -> list[str]:
        """Write the page's own scripts, and return their names relative to the page, in order of loading."""
        names = []
        for name in CODE:
            stamped = f"{layout.CODE}/{name}.{self.stamp}.js"
            self._write(stamped, (_STATIC / f"{name}.js").read_bytes())
            names.append(stamped)
        return names

    def write_plotly(self) -> str:
        """Write the charting library, unless it is there, and return its name relative to the page."""
        from plotly.offline import get_plotlyjs, get_plotlyjs_version

        name = f"{layout.CODE}/plotly-{get_plotlyjs_version()}.min.js"
        try:
            storage.identity(storage.join(self.page, name))
        except storage.StorageError:
            self._write(name, get_plotlyjs().encode())
        return name

    def last(self) -> "Stamps":
        """Return the stamps of the report whose page is there now."""
        try:
            page = storage.read_bytes(storage.join(self.page, layout.HOME)).decode(errors="replace")
        except storage.StorageError:
            return Stamps()
        patterns = (rf"{layout.DATA}/index-0\.(\w+)\.js", r'name="nst-kept" content="(\w+)"')
        return Stamps(*(found[1] if (found := re.search(pattern, page)) else "" for pattern in patterns))

    def tidy(self, replaced: Collection[str]) -> None:
        """Delete the data and code of earlier reports in this folder, once the page of this one is written.

        Other files of the last hour stay: they may be of a report that is being made, which no page names yet. A page
        of an earlier one that is open has what it has loaded; what it asks for later is gone until it is reloaded.

        Args:
            replaced: stamps of the reports whose files nobody needs any more.

        Raises:
            StorageError: if they cannot be.
        """
        since = datetime.now(UTC) - _BEING_MADE
        files = [
            entry for folder in (layout.DATA, layout.CODE) for entry in storage.walk(storage.join(self.page, folder))
        ]
        old = [
            entry.uri
            for entry in files
            if (found := _STAMPED.search(entry.uri)) and found[1] != self.stamp
            if found[1] in replaced or not entry.modified or entry.modified < since
        ]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(storage.remove, old))

    def _write(self, name: str, data: bytes) -> None:
        """Write a file, named relative to the page."""
        storage.write_bytes(storage.join(self.page, name), data)
