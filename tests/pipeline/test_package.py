"""What `import pipeline` gives, and what it costs."""

import subprocess
import sys
from pathlib import Path

import pytest

import pipeline
from pipeline import notebook


def test_the_package_exports_the_notebooks_functions() -> None:
    from pipeline import compare, plan, results, run

    assert (compare, plan, results, run) == (notebook.compare, notebook.plan, notebook.results, notebook.run)
    with pytest.raises(AttributeError, match="no attribute 'rum'"):
        getattr(pipeline, "ru" + "m")


def test_no_module_takes_the_place_of_a_function() -> None:
    """Importing a module sets its name in its package."""
    names = {path.stem for path in Path(str(pipeline.__file__)).parent.iterdir()}
    assert names.isdisjoint(pipeline.__all__)


def test_importing_the_package_loads_nothing() -> None:
    code = "import sys, pipeline; assert not {'ray', 'torch', 'pyarrow', 'pipeline.notebook.api'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
