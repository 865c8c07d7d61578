"""What runs on a cluster: the job of a file in the working directory, or of the environment where no folder travels."""

import os
import sys
import tempfile
from pathlib import Path

from jobs.console import err, out
from jobs.jobfile import load
from jobs.launch import complain, launch

JOB_VARIABLE = "NST_JOB"
"""Environment variable with the text of a job file."""

NOTHING_STARTED = 2


def run(file: Path) -> int:
    """Run a job; the exit code of `nst run`.

    Raises:
        ValueError: for a file that is no job.
    """
    from pipeline.cluster import Resources
    from pipeline.limits import NO_LIMIT, FailureLimit
    from pipeline.run import run as run_pipeline
    from pipeline.stints import Interruptions

    job = load(file)
    limits = job.limits
    return launch(
        lambda on_progress: run_pipeline(
            job.manifest,
            output=job.output,
            defaults=job.defaults,
            weights=job.weights,
            resources=Resources(
                job.resources.num_actors, job.resources.batch_size, interruptions=Interruptions(limits.row_timeout)
            ),
            max_attempts=limits.max_attempts,
            max_failures=FailureLimit.parse(limits.max_failures) if limits.max_failures else NO_LIMIT,
            on_progress=on_progress,
        ),
        job.output,
        out=out,
        err=err,
        debug=False,
    )


def main() -> None:
    """Run the job of the file that is named, or else of the environment; errors are one clear line."""
    from pipeline.storage import StorageError

    with tempfile.TemporaryDirectory() as folder:
        if len(sys.argv) > 1:
            file = Path(sys.argv[1])
        else:
            file = Path(folder) / "job.yaml"
            file.write_text(os.environ[JOB_VARIABLE], "utf-8")
        try:
            code = run(file)
        except (ValueError, StorageError) as error:
            complain(err, str(error))
            code = NOTHING_STARTED
    sys.exit(code)


if __name__ == "__main__":
    main()
