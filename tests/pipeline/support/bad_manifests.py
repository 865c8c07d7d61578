"""Manifests that cannot be used, as data: name: (file name, its bytes, what the error must say)."""

import gzip
import io
import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

HUGE = "x" * 10_000_000
MANY = 1_000_000


def _csv(*lines: str, header: str = "content,style,size,id,output") -> bytes:
    return "".join(f"{line}\n" for line in (header, *lines)).encode()


def _jsonl(*rows: object) -> bytes:
    return "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows).encode()


def _parquet(table: Any) -> bytes:
    if isinstance(table, list):
        table = pa.Table.from_pylist(table)
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


PAIR = {"content": "a.jpg", "style": "b.jpg"}
FAR = "a name that is longer than any that there is: number "
"""What names begin with that none is near to, which is seen by their length."""
GOOD = _csv("a.jpg,b.jpg,256,,", *(f"{i}.jpg,b.jpg,,," for i in range(500)))
# Incompressible, so that half of it is not the end of it.
GZIP = gzip.compress(_jsonl(*({**PAIR, "seed": (i * 2654435761) % 2**32} for i in range(3000))), mtime=0)
PARQUET = _parquet([{**PAIR, "seed": i} for i in range(5000)])
NOT_UTF8_PARQUET = _parquet(
    pa.table(
        {
            "content": pa.Array.from_buffers(
                pa.string(), 2, [None, pa.py_buffer(b"\0\0\0\0\1\0\0\0\2\0\0\0"), pa.py_buffer(b"a\xff")]
            ),
            "style": ["b.jpg", "b.jpg"],
        }
    )
)

BAD_MANIFESTS: dict[str, tuple[str, bytes, str]] = {
    # The file as a whole
    "empty csv": ("m.csv", b"", "rows, not an empty file"),
    "empty jsonl": ("m.jsonl", b"", "rows, not an empty file"),
    "empty parquet": ("m.parquet", b"", "rows, not an empty file"),
    "blank csv": ("m.csv", b"\n \n\n", "header line with the names of columns"),
    "blank jsonl": ("m.jsonl", b"\n \n\n", "at least one row"),
    "blank gzip": ("m.jsonl.gz", gzip.compress(b""), "at least one row"),
    "header only": ("m.csv", _csv(), "at least one row"),
    "parquet without rows": ("m.parquet", _parquet(pa.table({"content": pa.array([], pa.string())})), "at least one"),
    "unknown extension": ("m.xlsx", b"PK\x03\x04", "m.xlsx: expected a name that ends in .csv"),
    "no pictures in header": ("m.csv", _csv("1,2", header="foto,stil"), "line 1: 'foto, stil': expected a header"),
    "no header": ("m.csv", _csv("c.jpg,d.jpg", header="a.jpg,b.jpg"), "line 1: 'a.jpg, b.jpg': expected a header"),
    "semicolons": ("m.csv", _csv("a.jpg;b.jpg", header="content;style"), "separated by commas"),
    "no pictures in parquet": ("m.parquet", _parquet([{"x": 1}]), "m.parquet: 'x': expected a header"),
    "html as csv": (
        "m.csv",
        b"<!DOCTYPE html>\n<html><body>404</body></html>\n",
        "line 1: '<!DOCTYPE html>': expected",
    ),
    "html as jsonl": ("m.jsonl", b"<!DOCTYPE html>\n", "line 1: '<!DOCTYPE html>': expected a JSON object"),
    "html as parquet": ("m.parquet", b"<!DOCTYPE html><html>404</html>\n", "expected an intact Parquet file"),
    "html as gzip": ("m.csv.gz", b"<!DOCTYPE html>\n", "expected an intact gzip file"),
    "truncated gzip": ("m.jsonl.gz", GZIP[: len(GZIP) // 2], "expected an intact gzip file"),
    "flipped gzip": ("m.jsonl.gz", GZIP[:9000] + b"\xff" * 9 + GZIP[9009:], "expected an intact gzip file"),
    "truncated parquet": ("m.parquet", PARQUET[: len(PARQUET) // 2], "expected an intact Parquet file"),
    "parquet of a footer": ("m.parquet", b"PAR1" + PARQUET[-200:], "expected an intact Parquet file"),
    "parquet with torn pages": ("m.parquet", PARQUET[:40] + bytes(400) + PARQUET[440:], "intact Parquet file"),
    "gzip named csv": ("m.csv", GZIP, "line 1: "),
    "utf-16": ("m.csv", GOOD.decode().encode("utf-16"), "line 1: "),
    "utf-16 without mark": ("m.csv", GOOD.decode().encode("utf-16-le"), "line 1: "),
    "carriage returns": ("m.csv", b"content,style\ra,b\r", "line 1: 'content,style': expected lines that end in"),
    "million columns": (
        "m.csv",
        (",".join(map(str, range(MANY))) + "\n1\n").encode(),
        "at most 1000 columns, not 1,000,000",
    ),
    "hundred thousand keys": (
        "m.jsonl",
        _jsonl({str(i): 0 for i in range(MANY // 10)}),
        "at most 1000 columns, not 100,000",
    ),
    "many keys": (
        "m.jsonl",
        _jsonl(*({FAR + str(i): 0} for i in range(1100))),
        "line 1001: expected at most 1000 columns",
    ),
    "wide parquet": ("m.parquet", _parquet(pa.table({f"k{i}": [0] for i in range(1001)})), "at most 1000 columns"),
    "long line": ("m.csv", _csv("a,b,256,1,", "y" * 17_000_000, "c,d,0,2,"), "line 3: expected a line of at most"),
    # Columns
    "unknown column": (
        "m.csv",
        _csv("a,b,1", header="content,style,stlye_weight"),
        "column stlye_weight: expected a known name; did you mean style_weight?",
    ),
    "capitals": (
        "m.csv",
        _csv("a,b,64", header="content,style,Size"),
        "column Size: expected a known name; did you mean size?",
    ),
    "unknown key": ("m.jsonl", _jsonl(PAIR, {**PAIR, "iters": 3}), "line 2, column iters: expected"),
    "unknown nested": (
        "m.jsonl",
        _jsonl({**PAIR, "params": {"sizee": 64}}),
        "column params.sizee: expected a known name; did you mean size?",
    ),
    "unknown in parquet": ("m.parquet", _parquet([{**PAIR, "breadth": 3}]), "m.parquet, column breadth: expected"),
    "half a shape": (
        "m.jsonl",
        _jsonl({**PAIR, "width": 3}),
        "column height: expected a number too, since the other side of the content picture is given; or neither",
    ),
    "shape in words": (
        "m.csv",
        _csv("a,b,640 px,480", header="content,style,width,height"),
        "line 2, column width: '640 px': expected pixels of the content picture",
    ),
    "shape of nothing": (
        "m.csv",
        _csv("a,b,640,0", header="content,style,width,height"),
        "line 2, column height: '0': expected pixels of the content picture",
    ),
    "shape without a picture": (
        "m.csv",
        _csv(",b,640,480,texture", header="content,style,width,height,preset"),
        "line 2, column width: 640: expected nothing: it is the content picture's, and the row has none",
    ),
    "control characters in name": ("m.csv", _csv("a,b,1", header="content,style,\x1b[2J"), "column '\\x1b[2J'"),
    "column twice": (
        "m.csv",
        _csv("a,b,c", header="content,style,content"),
        "line 1, column content: expected a column of this name once",
    ),
    "key twice": ("m.jsonl", b'{"content": "a", "content": "b", "style": "c"}\n', "'content' stands there twice"),
    "parquet column twice": (
        "m.parquet",
        _parquet(pa.table([["a"], ["b"]], names=["content", "content"])),
        "once in the header",
    ),
    "nameless column": ("m.csv", _csv("x,a,b", header=",content,style"), "a name for column 1 in the header"),
    # Rows
    "ragged short": ("m.csv", _csv("a,b,256,1,", "a,b"), "line 3: 'a,b': expected 5 cells as in the header, not 2"),
    "ragged long": ("m.csv", _csv("a,b,256,1,,conv1_1,conv2_1"), "expected 5 cells as in the header, not 7; quote"),
    "unclosed quote": (
        "m.csv",
        _csv('"a,b,256,1,', "c,d,1,2,"),
        "line 2: '\"a,b,256,1,': expected the quote that opens",
    ),
    "stray quote": ("m.csv", _csv('"a"x,b,256,1,'), "line 2: '\"a\"x,b,256,1,': expected a CSV row"),
    "malformed json": (
        "m.jsonl",
        _jsonl(PAIR, '{"content": "a"', PAIR),
        'line 2: \'{"content": "a"\': expected a JSON object',
    ),
    "json list": ("m.jsonl", _jsonl(["a", "b"]), 'line 1: \'["a", "b"]\': expected a JSON object such as'),
    "json array of objects": ("m.jsonl", json.dumps([PAIR], indent=1).encode(), "line 1: '[': expected a JSON object"),
    "json null": ("m.jsonl", _jsonl(PAIR, "null"), "line 2: 'null': expected a JSON object such as"),
    "nested too deep": ("m.jsonl", _jsonl(PAIR, "[" * 100_000), "nested too deep"),
    "deep parameter": (
        "m.jsonl",
        _jsonl(f'{{"content": "a", "style": "b", "upscale": {"[" * 900}{"]" * 900}}}'),
        "line 1",
    ),
    "huge number": ("m.jsonl", _jsonl(f'{{"content": "a", "style": "b", "seed": {"9" * 5000}}}'), "line 1: "),
    "not utf-8": (
        "m.csv",
        _csv("a,b,256,1,") + b"caf\xe9.jpg,b,256,2,\n",
        "line 3: 'caf\ufffd.jpg,b,256,2,': expected text in UTF-8 (byte 4",
    ),
    "not utf-8 json": (
        "m.jsonl",
        b'{"content": "caf\xe9"}\n',
        'line 1: \'{"content": "caf\ufffd"}\': expected text in UTF-8',
    ),
    "not utf-8 parquet": ("m.parquet", NOT_UTF8_PARQUET, "m.parquet, row 2: expected values that can be read"),
    # Cells
    "no pictures": ("m.csv", _csv(",,256,1,"), "line 2: expected a picture"),
    "no content": (
        "m.csv",
        _csv(" ,b,256,1,"),
        "line 2, column content: expected a URI, since content_weight is not 0",
    ),
    "no style": (
        "m.jsonl",
        _jsonl({"content": "a"}),
        "line 1, column style: expected a URI, since style_weight is not 0",
    ),
    "no content to start from": (
        "m.jsonl",
        _jsonl({"style": "a", "content_weight": 0}),
        "a URI, since init is content",
    ),
    "no content whose colours are kept": (
        "m.jsonl",
        _jsonl({"style": "a", "preset": "texture", "preserve_color": "match"}),
        "a URI, since preserve_color is match",
    ),
    "null style": (
        "m.parquet",
        _parquet([PAIR, {"content": "a", "style": None}]),
        "row 2, column style: expected a URI",
    ),
    "nul byte": ("m.csv", _csv("a\0,b,256,1,"), "line 2, column content: 'a\\x00': expected a URI"),
    "escape sequence": ("m.csv", _csv("a,\x1b[31mb,256,1,"), "column style: '\\x1b[31mb': expected a URI"),
    "list as uri": (
        "m.jsonl",
        _jsonl(PAIR, {"content": ["a"], "style": "b"}),
        "line 2, column content: ['a']: expected a URI",
    ),
    "number as uri": ("m.jsonl", _jsonl({"content": 7, "style": "b"}), "column content: 7: expected a URI"),
    "lone surrogate": (
        "m.jsonl",
        _jsonl({"content": "\ud800", "style": "b"}),
        "column content: '\\ud800': expected a URI",
    ),
    "surrogate init": ("m.jsonl", _jsonl({**PAIR, "init": "\udfff.png"}), "column init: '\\udfff.png': expected a URI"),
    "bytes as uri": (
        "m.parquet",
        _parquet([{"content": b"a", "style": "b"}]),
        "row 1, column content: b'a': expected a URI",
    ),
    "numbers as uris": (
        "m.parquet",
        _parquet([{"content": 1.5, "style": "b"}]),
        "row 1, column content: 1.5: expected",
    ),
    "huge cell": ("m.csv", _csv(f"{HUGE},b,256,1,", "a,b,0,2,"), "line 2: 'xxxxx"),
    "huge uri": ("m.jsonl", _jsonl({"content": HUGE, "style": "b"}), "line 1, column content: 'xxxxx"),
    "huge parameter": (
        "m.parquet",
        _parquet([{**PAIR, "size": HUGE}]),
        "row 1: expected values that can be read (a text of",
    ),
    "wrong type": ("m.csv", _csv("a,b,big,1,"), "line 2, column size: 'big': expected a whole number from 16 to 16384"),
    "mixed types": (
        "m.jsonl",
        _jsonl({**PAIR, "size": 256}, {**PAIR, "size": [256]}),
        "line 2, column size: [256]: expected",
    ),
    "truth as number": ("m.jsonl", _jsonl({**PAIR, "size": True}), "column size: True: expected a whole number"),
    "nan in csv": ("m.csv", _csv("a,b,NaN,1,"), "column size: 'NaN': expected a whole number"),
    "nan in json": ("m.jsonl", b'{"content": "a", "style": "b", "style_weight": NaN}\n', "column style_weight: nan"),
    "infinity": (
        "m.parquet",
        _parquet([{**PAIR, "alpha": float("inf")}]),
        "row 1, column alpha: inf: expected a finite number",
    ),
    "unknown layer": (
        "m.csv",
        _csv("a,b,conv9_9", header="content,style,style_layers"),
        "column style_layers: 'conv9_9'",
    ),
    "unknown preset": (
        "m.csv",
        _csv("a,b,gatys", header="content,style,preset"),
        "column preset: 'gatys': expected default or gatys2015",
    ),
    "weights do not fit layers": (
        "m.csv",
        _csv('a,b,"1,2"', header="content,style,layer_weights"),
        "column layer_weights: (1.0, 2.0): expected 4 numbers",
    ),
    "column against nested": (
        "m.jsonl",
        _jsonl({**PAIR, "size": 64, "params": {"size": 65}}),
        "column params.size: 65: expected what column size says, 64",
    ),
    "alias against name": (
        "m.csv",
        _csv("a,b,1,2", header="content,style,alpha,content_weight"),
        "column content_weight: '2': expected what column alpha says, '1'",
    ),
    "params not json": (
        "m.csv",
        _csv("a,b,size=64", header="content,style,params"),
        "column params: 'size=64': expected style parameters by name",
    ),
    "params a list": (
        "m.jsonl",
        _jsonl({**PAIR, "params": ["size", 64]}),
        "column params: ['size', 64]: expected style parameters",
    ),
    "params key twice": (
        "m.csv",
        _csv("""a,b,"{""size"":1,""size"":2}\"""", header="content,style,params"),
        "'size' stands there twice",
    ),
    "params too deep": ("m.csv", _csv("a,b," + "[" * 100_000, header="content,style,params"), "nested too deep"),
    "nested value": (
        "m.jsonl",
        _jsonl({**PAIR, "params": {"size": "big"}}),
        "line 1, column params.size: 'big': expected",
    ),
    "surrogates as names": (
        "m.jsonl",
        _jsonl({**PAIR, "params": {chr(0xD800): 1, chr(0xD801): 2}}, {**PAIR, "\ud802": 3}),
        "line 2, column '\\ud802': expected one of",
    ),
    # Ids and outputs
    "id a list": ("m.jsonl", _jsonl({**PAIR, "id": ["a"]}), "column id: ['a']: expected text of at most 200"),
    "id a float": ("m.parquet", _parquet([{**PAIR, "id": 1.0}]), "row 1, column id: 1.0: expected text"),
    "id too long": ("m.csv", _csv(f"a,b,256,{'i' * 201},"), "column id: 'iiii"),
    "id with a tab": ("m.csv", _csv("a,b,256,i\tj,"), "column id: 'i\\tj': expected text"),
    "id twice": ("m.csv", _csv("a,b,256,i,", "a,b,257,i,"), "m.csv, line 2 has this one and asks for something else"),
    "id twice, number and text": (
        "m.jsonl",
        _jsonl({**PAIR, "id": 7}, {**PAIR, "id": "7", "size": 64}),
        "line 2, column id: '7': expected an id of its own",
    ),
    "output twice": (
        "m.csv",
        _csv("a,b,256,1,o.png", "a,b,256,2,o.png"),
        "line 3, column output: 'o.png': expected a name of its own",
    ),
    "output of another's id": (
        "m.csv",
        _csv("a,b,256,1,", "a,b,256,2,1.png"),
        "line 3, column output: '1.png': expected a name of its own",
    ),
    "same row to two outputs": (
        "m.csv",
        _csv("a,b,256,,1.png", "a,b,256,,2.png"),
        "column output: '2.png': expected '1.png', since",
    ),
    "output outside": (
        "m.csv",
        _csv("a,b,256,1,../o.png"),
        "column output: '../o.png': expected a path below OUTPUT/images/",
    ),
    "output absolute": ("m.csv", _csv("a,b,256,1,/srv/o.png"), "column output: '/srv/o.png': expected a path below"),
    "output a uri": ("m.csv", _csv("a,b,256,1,s3://b/o.png"), "column output: 's3://b/o.png': expected a path below"),
    "output with backslash": (
        "m.csv",
        _csv("a,b,256,1,a\\o.png"),
        "column output: 'a\\\\o.png': expected a path below",
    ),
    "output without extension": ("m.csv", _csv("a,b,256,1,o"), "column output: 'o': expected a name that ends in .png"),
    "output a gif": ("m.csv", _csv("a,b,256,1,o.gif"), "column output: 'o.gif': expected a name that ends in .png"),
    "output only an extension": (
        "m.csv",
        _csv("a,b,256,1,.png"),
        "column output: '.png': expected a name that ends in",
    ),
    "output name too long": ("m.csv", _csv(f"a,b,256,1,{'ü' * 126}.png"), "expected names of at most 255 bytes"),
    "output a number": ("m.jsonl", _jsonl({**PAIR, "output": 5}), "column output: 5: expected a file name"),
}
