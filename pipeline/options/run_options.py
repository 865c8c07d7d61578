"""All options of a run."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator

from pipeline import storage
from pipeline.options.access import Access
from pipeline.options.decoding import Decoding
from pipeline.options.encoding import Encoding
from pipeline.options.failure_limit import NO_LIMIT, NONE, FailureLimit
from pipeline.options.model import Options, option
from pipeline.options.resources import Resources


def _limit(written: object, name: str = "max_failures") -> object:
    """Return the limit of failures that a person wrote as a number or a share, and no limit for None."""
    if written is None:
        return NO_LIMIT
    return FailureLimit.parse(str(written), name) if isinstance(written, str | int) else written


def _tolerated(written: object) -> object:
    """Return the limit of rows without a picture that a person wrote, and none at all for None."""
    return NONE if written is None else _limit(written, "tolerate")


def _as_path(output: str) -> str:
    """Return a `file://` URI as the path that it means, so that percent signs in names below are letters."""
    return storage.absolute(output) if output.startswith("file://") else output


class RunOptions(Options):
    """How, with what and where to a run computes its rows.

    Attributes:
        source: where the rows come from, for run.json.
    """

    output: Annotated[str, AfterValidator(_as_path)] = option("", "Folder for images/ and results/, any URI.")
    weights: str = option(
        "embedded",
        "embedded, imagenet, or the path or URI of a .pth or .safetensors file; #sha256=… behind it is the digest it "
        "must have.",
    )
    resources: Resources = Resources()
    overwrite: bool = option(False, "Compute rows again that are done.")
    override: bool = option(
        False,
        "Let --set outrank what rows, or the parameters of a grid, give themselves; in a notebook, let `defaults`.",
    )
    settings: Mapping[str, Any] = option({}, "Style parameters of --set, by name.", library=True)
    max_attempts: int = option(
        2, "Crashes of its process after which a row is quarantined: left alone until nst retry.", ge=1
    )
    # An iteration at 4096 px takes half a minute of a slow CPU, and a download ends before (`storage.Policy`).
    stall_timeout: float = option(
        600.0,
        "Seconds without a sign of life after which a process at work on rows is ended, which counts as a crash.",
        unit="seconds",
        gt=0,
    )
    max_failures: Annotated[FailureLimit, BeforeValidator(_limit)] = option(
        NO_LIMIT,
        "Stop once more rows failed or are quarantined: so many, or a share of those to do such as 5%.",
        metavar="N|P%",
        written=str | None,
    )
    tolerate: Annotated[FailureLimit, BeforeValidator(_tolerated)] = option(
        NONE,
        "Rows without a good picture, at most, with which the exit code is still 0: so many, or a share such as 1%.",
        metavar="N|P%",
        written=str | None,
    )
    force: bool = option(False, "Take the lock of the output from another run, which is dead for certain.")
    source: Mapping[str, Any] = option({}, "Where the rows come from, for run.json.", library=True)
    release: bool = option(
        False, "Whether quarantined rows are tried again, as if none of their processes had crashed.", library=True
    )
    decoding: Decoding = Decoding()
    encoding: Encoding = Encoding()
    access: Access = Access()


MAX_ATTEMPTS: int = RunOptions.model_fields["max_attempts"].default
STALL_TIMEOUT: float = RunOptions.model_fields["stall_timeout"].default
