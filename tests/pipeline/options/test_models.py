"""The option models: their messages, that they are values, and what run.json keeps of them."""

import json
import pickle
import subprocess
import sys
from typing import Any, cast

import pytest

from pipeline.options.access import Access
from pipeline.options.encoding import Encoding
from pipeline.options.failure_limit import FailureLimit
from pipeline.options.interruptions import Interruptions
from pipeline.options.model import OptionError, Options
from pipeline.options.names import GIVEN, OPTIONS, run_options
from pipeline.options.resources import Resources
from pipeline.options.run_options import RunOptions
from tests.support import REPOSITORY


@pytest.mark.parametrize(
    ("model", "given", "message"),
    [
        (Resources, {"num_actors": 0}, "num_actors = 0: expected a whole number of at least 1"),
        (Resources, {"num_actors": "two"}, "num_actors = 'two': expected a whole number of at least 1"),
        (Resources, {"device": "tpu"}, "device = 'tpu': expected one of auto, gpu, cpu"),
        (Resources, {"address": 3}, "address = 3: expected text"),
        (Interruptions, {"row_timeout": -1}, "row_timeout = -1: expected seconds, 0 or more"),
        (Encoding, {"quality": 101}, "quality = 101: expected a whole number of at least 1 and at most 100"),
        (RunOptions, {"stall_timeout": 0}, "stall_timeout = 0: expected seconds, more than 0"),
        (RunOptions, {"overwrite": "yes"}, "overwrite = 'yes': expected true or false"),
        (
            RunOptions,
            {"max_failures": "few"},
            "max_failures = 'few': expected a number of rows, such as 100, or a share",
        ),
        (RunOptions, {"resources": 3}, "resources = 3: expected Resources"),
        (Access, {"allow_read": "s3://b"}, "allow_read = 's3://b': expected a list of texts"),
        (Access, {"allow_read": ["photos"]}, "allow_read = ['photos']: expected default, an absolute path, or"),
        (Access, {"max_file_bytes": 0}, "max_file_bytes = 0: expected bytes, 1 or more"),
        (RunOptions, {"outptu": "a"}, "outptu: expected one of output, weights"),
    ],
)
def test_what_cannot_be_used_is_named(model: type[Options], given: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError) as raised:
        model(**given)
    assert str(raised.value).startswith(message)


def test_every_problem_is_named_at_once() -> None:
    with pytest.raises(OptionError, match=r"num_actors = 0: .*; batch_size = -1: "):
        Resources(num_actors=0, batch_size=-1)


def test_options_are_values() -> None:
    options = run_options(num_actors=2, row_timeout=9, max_failures="5%", quality=50, source={"manifest": ["a.csv"]})
    assert options == RunOptions(
        resources=Resources(num_actors=2, interruptions=Interruptions(row_timeout=9)),
        max_failures=FailureLimit(share=0.05),
        encoding=Encoding(quality=50),
        source={"manifest": ["a.csv"]},
    )
    assert pickle.loads(pickle.dumps(options)) == options
    assert options.model_copy(update={"force": True}).force
    with pytest.raises(ValueError, match="frozen"):
        cast(Any, options).force = True
    with pytest.raises(KeyError, match="colour"):
        run_options(colour="red")


@pytest.mark.parametrize("name", ["row_timeout", "stall_timeout", "save_every"])
@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_no_number_is_without_end(name: str, value: float) -> None:
    with pytest.raises(OptionError, match=f"{name} = (inf|nan): expected seconds"):
        run_options(**{name: value})


def test_none_stands_for_the_default() -> None:
    assert run_options(**dict.fromkeys(GIVEN)) == RunOptions()


def test_every_option_is_described_and_named_once() -> None:
    assert [name for name, option in OPTIONS.items() if len(option.description) < 20 or option.name != name] == []
    assert {"num_actors", "row_timeout", "force", "quality", "release"} < OPTIONS.keys()
    assert not {"source", "release", "save_every", "quality"} & GIVEN.keys()


def test_run_json_keeps_its_keys() -> None:
    kept = json.loads(json.dumps(RunOptions(output="out").model_dump()))
    assert kept.keys() == {
        *("output", "weights", "resources", "overwrite", "max_attempts", "stall_timeout", "max_failures", "force"),
        *("source", "release", "encoding", "access", "decoding", "override", "settings", "tolerate"),
    }
    assert kept["resources"].keys() == {
        *("num_actors", "batch_size", "address", "interruptions", "min_actors", "max_actors", "actors_per_gpu"),
        "device",
    }
    assert kept["resources"]["interruptions"] == {"row_timeout": None, "worth_saving": 10.0, "save_every": 60.0}
    assert kept["encoding"] == {"quality": 95, "keep_exif": False, "depth": 8, "color_profile": "srgb"}


def test_options_of_commands_load_neither_torch_nor_ray() -> None:
    code = "import sys, jobs.options; print(*sorted({'torch', 'ray'} & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=True, capture_output=True, text=True)
    assert loaded.stdout.split() == []
