"""A job file to begin with, made from the declarations of jobs: what is needed, and the rest as comments."""

import textwrap
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, get_args

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from pipeline.specs import ArchiveJob, GridJob, ManifestJob

Kind = Literal["manifest", "archive", "grid"]

MODELS: Mapping[str, type[BaseModel]] = {"manifest": ManifestJob, "archive": ArchiveJob, "grid": GridJob}

PURPOSE = {
    "manifest": "Pairs of a manifest: `nst run FILE`. Again, it computes what is missing, changed or failed.",
    "archive": "Photos of an archive: `nst run FILE`. Again, it computes those that are new or changed.",
    "grid": "A grid of parameters: `nst grid plan FILE`, then `nst grid run FILE`, each time as a run of its own.",
}

WIDTH = 100


def template(kind: Kind, inputs: Sequence[str], styles: Sequence[str], output: str) -> str:
    """Return the text of a job file.

    Args:
        kind: of the job.
        inputs: manifests, photos or contents; empty: an example's.
        styles: style pictures; empty: an example's.
        output: folder of its results.
    """
    given = _given(kind, inputs, styles, output)
    lines = [
        "# yaml-language-server: $schema=job.schema.json",
        "# (which `nst schema job.schema.json` writes, so that the editor completes and checks)",
        f"# {PURPOSE[kind]}",
        "# Paths start at this file's folder. What is commented out is the default, or an example.",
        "",
    ]
    lines += _said(given)
    lines += ["", "# What a row leaves open; `nst params` lists every parameter.", "defaults:", "  size: 512", ""]
    for name, field in MODELS[kind].model_fields.items():
        if name not in given and name != "defaults":
            lines += _commented(name, field)
    return "\n".join(lines).rstrip() + "\n"


def _given(kind: Kind, inputs: Sequence[str], styles: Sequence[str], output: str) -> dict[str, Any]:
    """Return the fields of a job that have a value."""
    name = output.rstrip("/").rpartition("/")[2] or kind
    name = "".join(letter if (letter.isalnum() and letter.isascii()) or letter in "_.-" else "-" for letter in name)
    fields: dict[str, Any] = {"kind": kind, "name": name.strip("_.-") or kind}
    if kind == "manifest":
        if styles:
            raise ValueError("--style: expected with archive or grid; a manifest names the styles of its rows itself")
        fields["manifest"] = _one_or_all(inputs or ["pairs.csv"])
    elif kind == "archive":
        if len(inputs) > 1:
            raise ValueError(
                f"{' '.join(inputs)}: expected one folder or quoted pattern of photos, such as 'photos/**/*.jpg'"
            )
        fields["photos"] = inputs[0] if inputs else "photos"
        fields["styles"] = list(styles or ["styles/night.png"])
    else:
        fields["contents"] = list(inputs or ["photos/lake.jpg"])
        fields["styles"] = list(styles or ["styles/night.png"])
        fields["parameters"] = {"style_weight": [0.5, 1, 2]}
    return {**fields, "output": output}


def _one_or_all(values: Sequence[str]) -> str | list[str]:
    """Return a single value by itself, several as a list."""
    return values[0] if len(values) == 1 else list(values)


def _said(fields: Mapping[str, Any]) -> list[str]:
    """Return fields as lines of YAML."""
    return [f"{name}: {_in_a_line(value)}" for name, value in fields.items()]


def _in_a_line(value: object) -> str:
    """Return a value as YAML in one line."""
    text: str = yaml.safe_dump(value, allow_unicode=True, width=10_000, default_flow_style=True)
    return text.splitlines()[0]


def _commented(name: str, field: FieldInfo) -> Iterator[str]:
    """Yield a field as comments: what it means, and its default."""
    yield from _wrapped(field.description or "")
    if (section := _section(field)) is not None:
        yield f"# {name}:"
        yield from _members(section, "#   ")
    else:
        yield f"# {name}: {_default(field)}"
    yield ""


def _members(section: type[BaseModel], indent: str) -> Iterator[str]:
    """Yield the fields of a section as comments, a line each, and those of sections within it."""
    for name, field in section.model_fields.items():
        inner = _section(field)
        text = f"{indent}{name}: {'' if inner else _default(field)}".rstrip()
        yield f"{text:36}  # {_short(field.description or '')}".rstrip(" #")
        if inner:
            yield from _members(inner, f"{indent}  ")


def _section(field: FieldInfo) -> type[BaseModel] | None:
    """Return the model of a field that is a section of its own, or None."""
    kinds = get_args(field.annotation) if isinstance(field.annotation, types.UnionType) else (field.annotation,)
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)


def _default(field: FieldInfo) -> str:
    """Return the default of a field as YAML in a line; of one that has none, nothing."""
    value = field.get_default(call_default_factory=True) if not field.is_required() else None
    if value is None or value == ():
        return ""
    value = list(value) if isinstance(value, tuple) else dict(value) if isinstance(value, Mapping) else value
    return _in_a_line(value)


def _wrapped(text: str) -> list[str]:
    """Return a sentence as lines of comments."""
    return textwrap.wrap(text, WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)


def _short(text: str) -> str:
    """Return the first sentence of a description."""
    return textwrap.shorten(text.partition(". ")[0].rstrip("."), 80, placeholder=" …")
