"""What runs on a cluster: the job of a file in the working directory, or of the environment where no folder travels."""

import json
import os
import sys
from pathlib import Path

from jobs import runner
from jobs.console import Shown, complain, err, json_lines, logs_json, remark, show_traceback
from jobs.ending import leave
from jobs.exit_codes import ExitCode
from jobs.jobfile import job_in, load

RAYS_NAME = "job_submission_id"
"""The note, among those that Ray keeps with a job, that says what it is called on its cluster."""


def main() -> None:
    """Run the job of the file that is named, or else of the environment; errors are one clear line."""
    from pipeline.specs import options_of
    from pipeline.storage import StorageError

    _note_submission()
    shown = Shown(quiet=logs_json())
    if shown.quiet:
        json_lines.begin()
    try:
        if len(sys.argv) > 1:
            job = load(Path(sys.argv[1]))
        else:  # not by way of a file, whose folder an operator need not have listed
            job = job_in(os.environ[runner.JOB_VARIABLE], name="job.yaml", base=str(Path.cwd()))
        code = runner.run(job, options_of(job), shown=shown)
    except (ValueError, StorageError) as error:
        complain(err, str(error))
        code = ExitCode.NOTHING_STARTED
    except Exception as error:  # exit code 1 would say that rows have failed
        show_traceback(type(error), error, error.__traceback__)
        complain(err, f"{type(error).__name__}: {' '.join(str(error).split())[:500]}")
        code = ExitCode.NOTHING_STARTED
    if code == ExitCode.PROBLEMS and os.environ.get(runner.SUCCESS_VARIABLE) == "1":
        remark(err, f"Exit code 0 in the place of {code.value}: {code.sentence}; another try would not mend them.")
        code = ExitCode.OK
    leave(code)


def _note_submission() -> None:
    """Take over what Ray calls this job, unless it was told a name: each run of a schedule has its own."""
    notes = json.loads(os.environ.get(json_lines.INJECTED_VARIABLE) or "{}").get("metadata") or {}
    if RAYS_NAME in notes:
        os.environ.setdefault(runner.SUBMISSION_VARIABLE, notes[RAYS_NAME])


if __name__ == "__main__":
    main()
