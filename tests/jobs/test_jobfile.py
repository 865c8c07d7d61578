"""Job files: what is wrong with one is said with its line and field; editors know what may stand there."""

import json
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from jobs.commands._job import named
from jobs.jobfile import load
from pipeline.options.interruptions import Interruptions
from pipeline.options.resources import Resources
from pipeline.specs.job import ArchiveJob, GridJob, JobFileError, ManifestJob, job_of, schema
from pipeline.specs.run_options import options_of, with_options
from tests.support import REPOSITORY

EXAMPLES = sorted((REPOSITORY / "jobs" / "examples").glob("*.yaml"))

MANIFEST = "kind: manifest\nname: a\nmanifest: x.csv\noutput: out\n"
ARCHIVE = "kind: archive\nname: a\nphotos: p\nstyles: s.jpg\noutput: o\n"
GRID = "kind: grid\nname: g\ncontents: c.jpg\nstyles: s.jpg\noutput: o\n"


def nested_aliases(*, levels: int, each: int) -> str:
    """Lists of aliases of lists of aliases: each level stands for `each` times as many values as the one before."""
    lines = [f"x{n}: &x{n} [{', '.join([f'*x{n - 1}' if n else '1'] * each)}]" for n in range(levels)]
    return "\n".join(lines) + "\n"


BAD: list[tuple[str, str]] = [
    ("", "line 1: None: expected fields such as kind"),
    ("- a\n", "line 1: ['a']: expected fields such as kind"),
    ("name: a\n", "line 1: kind: expected one of manifest, archive, grid"),
    ("kind: manifst\n", "line 1: kind = 'manifst': expected a known name; did you mean manifest?"),
    ("kind: [a]\n", "line 1: kind = \"['a']\": expected one of manifest, archive, grid"),
    ("kind: manifest\n", "line 1: name: expected a value: this field is needed"),
    ("kind: manifest\nname: [\n", "line 3: expected YAML: while parsing a flow node"),
    ("a: 1\nb: 2\na: 3\n", "line 3: expected a once; it is given twice"),
    (MANIFEST + "limits:\n  row_timeout: 3\n  row_timeout: 4\n", "line 7: expected limits.row_timeout once"),
    ("a: \x01\n", "expected YAML: unacceptable character"),
    (MANIFEST + "---\na: 1\n", "expected YAML: expected a single document"),
    (MANIFEST + "outptu: b\n", "line 5: outptu: expected a known name; did you mean output?"),
    (MANIFEST + "zzz: b\n", "line 5: zzz: expected one of name, output, defaults"),
    (MANIFEST.replace("name: a", "name: a b"), "line 2: name = 'a b': expected at most 63 letters"),
    (MANIFEST.replace("x.csv", "3"), "line 3: manifest = 3: expected a list"),
    (MANIFEST.replace("x.csv", "[]"), "line 3: manifest = []: expected"),
    (MANIFEST.replace("x.csv", "[a.csv, 3]"), "line 3: manifest.1 = 3: expected text"),
    (MANIFEST + "defaults: {sise: 3}\n", "line 5: defaults.sise = 3: expected a known name; did you mean size?"),
    (MANIFEST + "defaults:\n  size: 64\n  seed: -1\n", "line 7: defaults.seed = -1: expected a whole number from 0"),
    (MANIFEST + "defaults:\n  alpha: x\n", "line 6: defaults.alpha = 'x': expected a finite number of at least 0"),
    (MANIFEST + "defaults: [size]\n", "line 5: defaults = ['size']: expected names with values"),
    (
        MANIFEST + "resources:\n  num_actors: 0\n",
        "line 6: resources.num_actors = 0: expected greater than or equal to 1",
    ),
    (
        MANIFEST + "resources: {num_actor: 1}\n",
        "line 5: resources.num_actor: expected a known name; did you mean num_a",
    ),
    (
        MANIFEST + "resources: {num_actors: 1, max_actors: 2}\n",
        "line 5: resources = {'max_actors': 2, 'num_actors': 1}: expected num_actors, a fixed number, or min_actors",
    ),
    (MANIFEST + "resources: {device: tpu}\n", "line 5: resources.device = 'tpu': expected 'auto', 'gpu' or 'cpu'"),
    (MANIFEST + "resources: {num_actors: many}\n", "line 5: resources.num_actors = 'many': expected a whole number"),
    (MANIFEST + "limits: {stall_timeout: 0}\n", "line 5: limits.stall_timeout = 0: expected greater than 0"),
    (MANIFEST + "limits: {max_failures: some}\n", "limits.max_failures = 'some': expected a number of rows, such as"),
    (
        MANIFEST + "access:\n  allow_read: [photos]\n",
        "line 6: access.allow_read = ['photos']: expected default, an absolu",
    ),
    (MANIFEST + "access: {allow_write: s3://b}\n", "line 5: access.allow_write = 's3://b': expected a list"),
    (MANIFEST + "access: {max_file_bytes: 0}\n", "access.max_file_bytes = 0: expected greater than or equal to 1"),
    (MANIFEST + "cluster: {adress: x}\n", "line 5: cluster.adress: expected a known name; did you mean address?"),
    (MANIFEST + "report: {hourly_price: -1}\n", "report.hourly_price = -1: expected greater than or equal to 0"),
    (ARCHIVE + "choose: any\n", "line 6: choose = 'any': expected 'all', 'round-robin' or 'random'"),
    (ARCHIVE + "after: 2024-13-01\n", "line 6: after = '2024-13-01': expected a valid datetime"),
    (ARCHIVE + "quality: 101\n", "line 6: quality = 101: expected less than or equal to 100"),
    (
        ARCHIVE.replace("s.jpg", "[a/s.jpg, b/s.jpg]"),
        "line 4: styles.1 = 'b/s.jpg': expected a name of its own, as a/s.jpg",
    ),
    (ARCHIVE.replace("s.jpg", "{a/b: s.jpg}"), "line 4: styles.a/b = 'a/b': expected a name that a file may have"),
    (GRID + "parameters:\n  size: [64, big]\n", "line 7: parameters.size.1 = 'big': expected a whole number from 16"),
    (GRID + "parameters:\n  tv_weight: {linspce: [0, 1, 2]}\n", "line 7: parameters.tv_weight.linspce"),
    (GRID + "parameters:\n  tv_weight: {uniform: [0, 1]}\n", "samples: expected count: how often tv_weight"),
    (
        GRID + "exclude:\n  - size: 64\n  - sise: 64\n",
        "line 8: exclude.1.sise = 64: expected a known name; did you mean size",
    ),
    (GRID + "keep: {}\n", "line 6: keep = {}: expected runs: how many, or days: how long"),
    (GRID + "keep: {nights: 3}\n", "line 6: keep.nights: expected one of runs, days"),
    (MANIFEST + "limits: {row_timeout: .inf}\n", "line 5: limits.row_timeout = '.inf': expected a finite number"),
    (MANIFEST + "limits:\n  row_timeout: 1e999\n", "line 6: limits.row_timeout = '1e999': expected a"),
    (GRID + "parameters:\n  tv_weight: [0, .nan]\n", "line 7: parameters.tv_weight.1 = '.nan': expected a finite"),
    (MANIFEST + "defaults:\n  seed: !!int x\n", "line 6: defaults.seed = 'x': expected a value that YAML reads as int"),
    (MANIFEST + f"defaults: {{seed: {'9' * 5000}}}\n", "line 5: defaults.seed = '9999"),
    (
        MANIFEST + "defaults: {seed: !!bool x}\n",
        "line 5: defaults.seed = 'x': expected a value that YAML reads as bool",
    ),
    (MANIFEST + "defaults: {seed: !!timestamp x}\n", "line 5: defaults.seed: expected plain YAML"),
    (MANIFEST + "defaults: {seed: !!binary aGVsbG8=}\n", "line 5: defaults.seed: expected plain YAML"),
    (MANIFEST + "defaults: !!set {seed}\n", "line 5: defaults: expected plain YAML"),
    (MANIFEST + "defaults: !!python/object/apply:os.system [ls]\n", "line 5: defaults: expected plain YAML"),
    (MANIFEST + "!!int x: 1\n", "line 5: "),
    (MANIFEST + "? [a, b]\n: 1\n", "line 5: expected a name, not a list or mapping in its place"),
    (MANIFEST + "defaults: &x [*x]\n", "line 5: expected *x outside of what &x stands for"),
    (MANIFEST + "defaults: *x\n", "line 5: expected YAML: found undefined alias"),
    (MANIFEST + f"defaults:\n  {'[' * 5000}{']' * 5000}\n", "line 6: expected lists and mappings nested at most 50"),
    (MANIFEST + nested_aliases(levels=60, each=1), "expected lists and mappings nested at most 50"),
    (MANIFEST + nested_aliases(levels=9, each=9), "line 10: expected at most 300,000 values"),
    (GRID + "samples: {counts: 3}\n", "line 6: samples.counts: expected a known name; did you mean count?"),
]


@pytest.mark.parametrize(("text", "said"), BAD, ids=[said[:60] for _, said in BAD])
def test_what_is_wrong_is_said(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "job.yaml"
    file.write_text(text)
    with pytest.raises(JobFileError) as caught:
        load(file)
    assert any(str(problem).startswith(str(file)) and said in str(problem) for problem in caught.value.problems), str(
        caught.value
    )


def test_aliases_and_merges_of_plain_yaml_are_taken(tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    file.write_text(GRID + "defaults: &d {seed: 3, tv_weight: 0.5}\nparameters: {<<: *d, size: [64, 96]}\n")
    job = load(file)
    assert isinstance(job, GridJob)
    assert dict(job.defaults) == {"seed": 3, "tv_weight": 0.5}
    assert dict(job.parameters) == {"seed": 3, "tv_weight": 0.5, "size": [64, 96]}


def test_everything_wrong_is_said_at_once(tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    file.write_text(
        MANIFEST + "defaults: {size: big, seed: -1}\nresources: {num_actors: 0}\nlimits: {max_failures: x}\n"
    )
    with pytest.raises(JobFileError) as caught:
        load(file)
    found = {(problem.line, problem.field) for problem in caught.value.problems}
    assert found == {
        (5, "defaults.size"),
        (5, "defaults.seed"),
        (6, "resources.num_actors"),
        (7, "limits.max_failures"),
    }


def test_files_that_are_none() -> None:
    with pytest.raises(JobFileError, match=r"gone\.yaml: expected a job file: .* it does not exist"):
        load("gone.yaml")
    with pytest.raises(JobFileError, match="expected UTF-8"):
        load_bytes(b"\xff\xfe\xff")


def load_bytes(data: bytes) -> None:
    from pipeline import storage

    storage.write_bytes("memory://jobs/job.yaml", data)
    load("memory://jobs/job.yaml")


def test_paths_start_at_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "jobs").mkdir()
    file = tmp_path / "jobs" / "job.yaml"
    file.write_text(
        MANIFEST.replace("x.csv", "[x.csv, s3://b/y.csv]") + "weights: ../w.pth\ncluster: {working_dir: .}\n"
    )
    job = load("jobs/job.yaml")
    assert isinstance(job, ManifestJob)
    assert job.manifest == (f"{tmp_path}/jobs/x.csv", "s3://b/y.csv")
    assert job.output == f"{tmp_path}/jobs/out"
    assert job.weights == f"{tmp_path}/w.pth"
    assert job.cluster.working_dir == f"{tmp_path}/jobs"
    file.write_text(ARCHIVE.replace("photos: p", "photos: 'p/**/*.jpg'") + "defaults: {init: i/a.png}\n")
    archive = load(file)
    assert isinstance(archive, ArchiveJob)
    assert archive.photos == f"{tmp_path}/jobs/p/**/*.jpg"
    assert archive.styles == {"s": f"{tmp_path}/jobs/s.jpg"}
    assert archive.defaults["init"] == f"{tmp_path}/jobs/i/a.png"
    file.write_text(GRID + "parameters: {init: [noise, i.png]}\n")
    grid = load(file)
    assert isinstance(grid, GridJob)
    assert grid.parameters["init"] == ["noise", f"{tmp_path}/jobs/i.png"]


@pytest.fixture(scope="module")
def editor() -> Draft202012Validator:
    """What an editor checks a job file with."""
    Draft202012Validator.check_schema(schema())
    return Draft202012Validator(schema())


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: str(file.stem))
def test_examples_are_jobs_for_us_and_for_editors(file: Path, editor: Draft202012Validator) -> None:
    job = load(file)
    assert job.kind == file.stem
    assert job_of(job.model_dump()) == job
    editor.validate(yaml.safe_load(file.read_text()))


@pytest.mark.parametrize(
    "text",
    [
        "kind: manifst\n",
        MANIFEST + "outptu: b\n",
        MANIFEST + "defaults: {sise: 3}\n",
        MANIFEST + "defaults: {optimizer: sgd}\n",
        MANIFEST + "resources: {num_actors: 0}\n",
        ARCHIVE + "choose: any\n",
        ARCHIVE + "quality: 101\n",
        GRID + "parameters: {tv_weight: {linspace: [0, 1]}}\n",
        GRID + "parameters: {pooling: [avg, mix]}\n",
    ],
)
def test_editors_see_mistakes_too(text: str, editor: Draft202012Validator) -> None:
    assert list(editor.iter_errors(yaml.safe_load(text)))


def test_the_schema_describes_every_field() -> None:
    described = json.loads(json.dumps(schema()))["$defs"]
    for name in ("ManifestJob", "ArchiveJob", "GridJob"):
        for field, said in described[name]["properties"].items():
            assert field == "kind" or said.get("description"), (name, field)


def test_options_outrank_the_file(tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    file.write_text(
        MANIFEST + "defaults: {size: 64, seed: 3}\nresources: {num_actors: 2}\nlimits: {max_failures: 5%}\n"
    )
    job = with_options(load(file), {"output": "/else", "batch_size": 4, "row_timeout": 9.0}, {"size": "96"})
    assert (job.output, job.defaults) == ("/else", {"size": "96", "seed": 3})
    assert (job.resources.num_actors, job.resources.batch_size) == (2, 4)
    assert (job.limits.row_timeout, job.limits.max_failures) == (9.0, "5%")
    with pytest.raises(JobFileError, match=r"defaults\.size = 'big': expected a whole number"):
        with_options(load(file), {}, {"size": "big"})


def test_what_a_run_may_use(tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    file.write_text(MANIFEST + "resources: {min_actors: 2, max_actors: 8, device: gpu}\nlimits: {row_timeout: 9}\n")
    pool = options_of(load(file), address="auto").resources
    assert pool == Resources(
        min_actors=2, max_actors=8, device="gpu", address="auto", interruptions=Interruptions(row_timeout=9)
    )


def test_styles_of_a_command_line() -> None:
    assert named(["a/s.jpg", "t.png"]) == ["a/s.jpg", "t.png"]
    assert named(["night=a/s.jpg", "t.png"]) == {"night": "a/s.jpg", "t": "t.png"}
    assert named(["s3://b/x?y=1.jpg"]) == ["s3://b/x?y=1.jpg"]
    for twice in (["night=a.png", "b/night.png"], ["night=a.png", "night=b.png"]):
        with pytest.raises(ValueError, match=r"a name of its own, a\.png is 'night' too"):
            named(twice)


def test_a_pool_takes_the_place_of_a_number_of_actors(tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    file.write_text(MANIFEST + "resources: {num_actors: 4, batch_size: 2}\n")
    job = with_options(load(file), {"max_actors": 8}, {})
    assert (job.resources.num_actors, job.resources.max_actors, job.resources.batch_size) == (None, 8, 2)
    job = with_options(job, {"num_actors": 3}, {})
    assert (job.resources.num_actors, job.resources.max_actors) == (3, None)
