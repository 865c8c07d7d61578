"""`nst render`: jobs as what other systems start them by."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from jobs.exit_codes import explains_exit_codes

app = typer.Typer(no_args_is_help=True)


class Kind(StrEnum):
    """What is written."""

    JOB = "job"
    CRON = "cron"
    CLUSTER = "cluster"


Platform = Annotated[
    Path | None,
    typer.Option(
        help="File with what all jobs of a platform have, by the names of cluster.kubernetes; by default "
        "/etc/nst/kubernetes.yaml, where there is one."
    ),
]


@app.callback()
def render() -> None:
    """Write a job as what another system starts it by."""


@app.command()
@explains_exit_codes("render kubernetes")
def kubernetes(
    file: Annotated[
        Path | None, typer.Argument(metavar="[JOB.yaml]", help="A job file; none for a cluster alone.")
    ] = None,
    kind: Annotated[
        Kind,
        typer.Option(
            "--as", help="job: a RayJob. cron: a RayCronJob, by the schedule. cluster: a RayCluster without a job."
        ),
    ] = Kind.JOB,
    platform: Platform = None,
    name: Annotated[str, typer.Option(help="Of a cluster without a job.")] = "nst",
) -> None:
    """Write what KubeRay makes a cluster of and runs a job on; what is done stays done if it has to start again.

    Example: nst render kubernetes night.yaml --platform gpu.yaml | kubectl apply -f -
    """
    from jobs import submit

    ours = submit.platform(platform)
    if kind is Kind.CLUSTER:
        if file:
            raise ValueError(f"{file}: --as cluster takes no job; expected nst render kubernetes --as cluster")
        resource = submit.ray_cluster(name, ours)
    elif file is None:
        raise ValueError(f"--as {kind.value}: expected a job file")
    else:
        make = submit.ray_job if kind is Kind.JOB else submit.ray_cron_job
        resource = make(file, submit.section_of(file, ours))
    typer.echo(submit.in_blocks(resource), nl=False)
