"""Files that are no manifest: what each is, by its name or its beginning, and what to do about it."""

import re

from pipeline import storage
from pipeline.manifest.row import EXTENSIONS

_AS_CSV = "save it as CSV, in Excel as 'CSV UTF-8 (Comma delimited)'"

_BY_EXTENSION = (
    ((".xlsx", ".xlsm", ".xlsb", ".xls", ".ods", ".numbers"), f"a spreadsheet is not read: {_AS_CSV}"),
    ((".tsv", ".tab", ".psv", ".txt"), "separate its columns by commas and call it .csv"),
    ((".json",), "write one JSON object on a line, without commas between them, and call it .jsonl"),
    ((".parq", ".pq"), "call it .parquet"),
    ((".gz", ".zip", ".bz2", ".xz", ".zst"), "unpack it, or compress text by gzip, as .csv.gz or .jsonl.gz"),
)

_BY_BEGINNING = (
    (b"PK\x03\x04", f"text, not a zipped file such as a spreadsheet: {_AS_CSV}"),
    (b"\xd0\xcf\x11\xe0", f"text, not an Excel workbook: {_AS_CSV}"),
    (b"PAR1", "text, not Parquet: call it .parquet"),
    (b"\x1f\x8b", "text that is not compressed: add .gz to the name"),
)

_UTF_16 = f"text in UTF-8, not in UTF-16 as Excel's 'Unicode Text' is: {_AS_CSV}"

_OLD_MAC = (
    "lines that end in line feeds, not in carriage returns alone as old Macs and Excel's 'CSV (Macintosh)' write them: "
    f"{_AS_CSV}"
)

_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}


def expected_name(file: str) -> str:
    """Return what the name of a manifest must end in, and what to do about a file of another kind."""
    name = storage.without_query(file).lower()
    advice = next((advice for ends, advice in _BY_EXTENSION if name.endswith(ends)), "")
    return f"a name that ends in {', '.join(EXTENSIONS)}" + (f"; {advice}" if advice else "")


def foreign(beginning: bytes) -> str:
    """Return what was expected in the place of bytes that are no text in UTF-8; empty if they may be such."""
    for mark, expected in _BY_BEGINNING:
        if beginning.startswith(mark):
            return expected
    most, least = sorted((half.count(0) for half in (beginning[::2], beginning[1::2])), reverse=True)
    if beginning.startswith((b"\xff\xfe", b"\xfe\xff")) or most > 4 * least + len(beginning) / 8:
        return _UTF_16
    return ""


def old_mac(line: bytes) -> str:
    """Return what was expected in the place of a first line that holds a whole text; empty where it is a line."""
    return _OLD_MAC if not line.endswith(b"\n") and b"\r" in line.rstrip(b"\r") else ""


def foreign_header(line: str, cells: list[str]) -> str:
    """Return what was expected in the place of a header that is none, or whose columns no commas separate.

    Args:
        line: the first line of a CSV file.
        cells: of that line, as commas separate them; empty ones at the end are left out.
    """
    declared = re.fullmatch(r'\s*"?sep=(.?),*"?\s*', line, re.IGNORECASE)
    if declared:
        rest = f", and separate columns by commas, not by {declared[1]!r}" if declared[1] not in ("", ",") else ""
        return f"a header line with the names of columns: delete this line, which Excel alone understands{rest}"
    if re.match(r"\s*(kind|name|manifest|photos|contents)\s*:", line):
        return (
            "a header with the columns content and style; this looks like a job file: give it a name that ends in .yaml"
        )
    mark = next((mark for mark in _SEPARATORS if len(cells) == 1 and mark in cells[0]), "")
    if mark:
        return (
            f"columns separated by commas, not by {_SEPARATORS[mark]}, which spreadsheets write where a comma marks "
            "decimals: choose the comma as separator when saving it, and write numbers with a point"
        )
    return ""
