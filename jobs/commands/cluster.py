"""`nst submit`, `status`, `logs`, `cancel`, `jobs`: jobs on a Ray cluster, through Ray's Jobs API."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from jobs.console import json_lines, out, printable
from jobs.exit_codes import ExitCode, explains_exit_codes
from pipeline.words import counted

if TYPE_CHECKING:
    from jobs.submit import Cluster, Submission

Address = Annotated[
    str | None,
    typer.Option(
        help="Of the cluster's dashboard, such as http://head:8265; else the job file's, RAY_API_SERVER_ADDRESS, "
        "or this machine's."
    ),
]
JobWord = Annotated[str, typer.Argument(metavar="JOB", help="The job file, its name, or the id of a submission.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line, for programs.")]


STARTED_BY_VARIABLE = "NST_STARTED_BY"
"""Environment variable of a pod that makes a job: the name of whoever started it, for whom it makes one job alone."""


@explains_exit_codes("submit")
def submit(
    file: Annotated[Path, typer.Argument(metavar="JOB.yaml", help="A job file; its `cluster` section says where.")],
    address: Address = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Show its log until it is over.")] = False,
    kubernetes: Annotated[
        bool, typer.Option(help="From a pod: make a cluster for this job, by `cluster.kubernetes`; --follow waits.")
    ] = False,
) -> None:
    """Run a job file on a Ray cluster. The same job again attaches to the one that runs, or goes on where it ended.

    Example: nst submit night.yaml --address http://head:8265 --follow
    """
    from jobs.submit import Cluster, request

    if kubernetes:
        _submit_to_kubernetes(file, follow=follow)
    prepared = request(file)
    cluster = Cluster.at(address, of_job=prepared.address)
    submission, new = cluster.submit(prepared)
    if not new:
        _say(f"{submission.id} is {submission.status} already: attached to it.")
    elif submission.attempt > 1:
        _say(f"{submission.id}: attempt {submission.attempt}; what is done stays done. Results: {submission.output}")
    else:
        _say(f"{submission.id}: submitted to {cluster.address}. Results: {submission.output}")
    if follow:
        _follow(cluster, submission)
    else:
        _say(f"How far it is: nst status {submission.name}; what it writes: nst logs; its end: nst cancel.")


def _submit_to_kubernetes(file: Path, *, follow: bool) -> NoReturn:
    """Make a RayJob of a job file, and end the command; with `follow` once that is over."""
    from jobs.submit import Kubernetes, has_succeeded, platform, ray_job, section_of

    section = section_of(file, platform())
    there = Kubernetes.of_this_pod(section.namespace)
    who = os.environ.get(STARTED_BY_VARIABLE, "")
    trace = os.environ.get(json_lines.TRACE_VARIABLE, "")
    name, new = there.submit(lambda attempt: ray_job(file, section, attempt=attempt, started_by=who, trace=trace))
    _say(f"{name}: {'made' if new else 'runs already: attached to it'}, in {section.namespace}.")
    code = ExitCode.OK
    if follow and not has_succeeded(there.ended(name)):
        code = ExitCode.BROKEN_OFF
    raise typer.Exit(code)


def status(
    job: Annotated[
        str | None,
        typer.Argument(metavar="[JOB]", help="As for nst logs; by default what runs, or else what ran last."),
    ] = None,
    address: Address = None,
    as_json: AsJson = False,
) -> None:
    """Show how far jobs are: rows done, failed, rate, time left, as the pipeline itself says.

    Example: nst status night
    """
    if job:
        cluster, chosen = _find(job, address)
        shown = [chosen]
    else:
        from jobs.submit import Cluster

        cluster = Cluster.at(address)
        known = cluster.submissions()
        shown = [submission for submission in known if not submission.over] or known[-1:]
    if not shown and not as_json:
        _say(f"No jobs at {cluster.address}: nst submit JOB.yaml starts one.")
    for submission in shown:
        _print(submission, as_json=as_json)


def logs(
    job: JobWord,
    address: Address = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job is over.")] = False,
) -> None:
    """Show what a job wrote.

    Exit code with --follow: as `nst submit --follow`.

    Example: nst logs night --follow
    """
    cluster, submission = _find(job, address)
    if follow:
        _follow(cluster, submission)
    else:
        typer.echo(printable(cluster.logs(submission.id), lines=True), nl=False)


def cancel(job: JobWord, address: Address = None) -> None:
    """Stop a job in order: finished rows are kept, its output is free for the next run.

    Example: nst cancel night
    """
    cluster, submission = _find(job, address)
    if submission.over:
        _say(f"{submission.id} is {submission.status} already.")
    else:
        _say(f"Stopping {submission.id} …")
        submission = cluster.cancel(submission.id)
    _print(submission)
    if submission.status == "STOPPED":
        _say("Submitting it again goes on from there.")


def jobs(address: Address = None, as_json: AsJson = False) -> None:
    """List the jobs of a cluster, the last ones first.

    Example: nst jobs --address http://head:8265
    """
    from rich.markup import escape
    from rich.table import Column, Table

    from jobs.submit import Cluster, Status

    cluster = Cluster.at(address)
    known = cluster.submissions()[::-1]
    if as_json:
        for submission in known:
            _print(submission, as_json=True)
        return
    if not known:
        _say(f"No jobs at {cluster.address}: nst submit JOB.yaml starts one.")
        return
    took = Column("took", justify="right", no_wrap=True)
    table = Table(Column("job", overflow="fold"), Column("state", no_wrap=True), "began", took, "rows", show_edge=False)
    for submission in known:
        state = Status.of(submission)
        began = f"{submission.began_at:%m-%d %H:%M}" if submission.began_at else ""
        table.add_row(submission.id, submission.status, began, state.took, escape(state.words))
    out.print(table)
    _say(f"{counted(len(known), 'job')}, times in UTC. nst status JOB says more of one, nst logs JOB what it writes.")


def _find(job: str, address: str | None) -> tuple[Cluster, Submission]:
    """Find a job by its file, name or id, and connect to its cluster."""
    from jobs.jobfile import load
    from jobs.submit import Cluster

    if not job.endswith((".yaml", ".yml")):
        cluster = Cluster.at(address)
        return cluster, cluster.find(job)
    job_file = load(Path(job))
    cluster = Cluster.at(address, of_job=job_file.cluster.address)
    return cluster, cluster.find(job_file.name)


def _follow(cluster: Cluster, submission: Submission) -> None:
    """Show the log to its end; the command ends with the exit code of the run."""
    try:
        submission = cluster.follow(submission.id, lambda text: typer.echo(printable(text, lines=True), nl=False))
    except KeyboardInterrupt:
        _say(f"\nThe job goes on. nst logs {submission.id} --follow is back at it, nst cancel {submission.id} ends it.")
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    _print(submission)
    if submission.status == "STOPPED":
        raise typer.Exit(ExitCode.INTERRUPTED)
    if submission.status == "FAILED":
        raise typer.Exit(submission.exit_code or ExitCode.PROBLEMS)


def _print(submission: Submission, *, as_json: bool = False) -> None:
    """Print a job and its progress."""
    from jobs.submit import Status

    state = Status.of(submission)
    if as_json:
        typer.echo(json.dumps(state.to_json(), allow_nan=False))
        return
    began = f", began {submission.began_at:%Y-%m-%d %H:%M:%SZ}" if submission.began_at else ""
    took = f", {state.took}" if state.took else ""
    _say(f"{submission.id}: {submission.status}{began}{took}")
    _say(f"  {state.words}")
    if why := state.why:
        _say(f"  {why}")
    _say(f"  results: {submission.output}")
    _say(f"  next: {state.next}")


def _say(line: str) -> None:
    out.print(line, markup=False, highlight=False, soft_wrap=True)
