"""What runs on a cluster: the job of a file in the working directory, or of the environment where no folder travels."""

import os
import sys
import tempfile
from pathlib import Path

from jobs import runner
from jobs.console import complain, err, show_traceback
from jobs.exit_codes import ExitCode
from jobs.jobfile import load


def main() -> None:
    """Run the job of the file that is named, or else of the environment; errors are one clear line."""
    from pipeline.specs import options_of
    from pipeline.storage import StorageError

    with tempfile.TemporaryDirectory() as folder:
        if len(sys.argv) > 1:
            file = Path(sys.argv[1])
        else:
            file = Path(folder) / "job.yaml"
            file.write_text(os.environ[runner.JOB_VARIABLE], "utf-8")
        try:
            job = load(file)
            code = runner.run(job, options_of(job))
        except (ValueError, StorageError) as error:
            complain(err, str(error))
            code = ExitCode.NOTHING_STARTED
        except Exception as error:  # exit code 1 would say that rows have failed
            show_traceback(type(error), error, error.__traceback__)
            complain(err, f"{type(error).__name__}: {' '.join(str(error).split())[:500]}")
            code = ExitCode.NOTHING_STARTED
    sys.exit(code)


if __name__ == "__main__":
    main()
