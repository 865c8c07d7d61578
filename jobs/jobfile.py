"""Read job files: YAML files that describe a job to be run again and again."""

from pathlib import Path

from jobs.yaml_lines import YamlError, parse
from pipeline import storage
from pipeline.manifest import shown
from pipeline.specs import JobFile, JobFileError, JobProblem, job_of

EXTENSIONS = (".yaml", ".yml")


def is_job_file(path: str) -> bool:
    """Return whether a name is that of a job file, rather than of a manifest."""
    return storage.without_query(path).lower().endswith(EXTENSIONS)


def load(path: Path | str) -> JobFile:
    """Read the job of a file; relative paths in it start at the file's folder.

    Args:
        path: of a YAML file, at any URI.

    Raises:
        JobFileError: with every problem: file, line, field, value and what was expected.
    """
    uri = storage.absolute(str(path))
    try:
        with storage.neighbours_named():
            text = storage.read_bytes(uri).decode("utf-8")
    except UnicodeDecodeError as error:
        raise JobFileError([JobProblem(str(path), None, "", "", f"UTF-8 text: {error}")]) from error
    except storage.StorageError as error:
        raise JobFileError([JobProblem(str(path), None, "", "", f"a job file: {error}")]) from error
    return job_in(text, name=str(path), base=storage.parent(uri))


def job_in(text: str, *, name: str, base: str) -> JobFile:
    """Return the job that the text of a job file describes.

    Args:
        text: of the file.
        name: of it, for messages.
        base: the folder at which relative paths start.

    Raises:
        JobFileError: with every problem: file, line, field, value and what was expected.
    """
    try:
        document = parse(text)
    except YamlError as error:
        problem = JobProblem(name, error.line, error.field, error.value and shown(error.value), str(error))
        raise JobFileError([problem]) from error
    if not isinstance(document.value, dict):
        expected = "fields such as kind: manifest, name: …"
        first = str(document.value).lower().replace(";", ",").split(" ")[0].split(",")
        if {"content", "style"} & set(first):
            expected += "; this looks like a manifest, which is given to nst run and has a name that ends in .csv"
        raise JobFileError([JobProblem(name, 1, "", shown(document.value), expected)])
    return job_of(document.value, base=base, file=name, line_of=document.line)
