"""Messages of native code are hidden; those of Python, and Python's own stream in a notebook, are not."""

import subprocess
import sys

PROGRAM = """
import io, os, sys
from pipeline.process import is_native, native_stderr_hidden
with native_stderr_hidden():
    os.write(2, b"native\\n")
    print("python", file=sys.stderr)
with native_stderr_hidden(unless=True):
    os.write(2, b"wanted\\n")
notebook = sys.stderr = io.StringIO()
assert not is_native(notebook)
with native_stderr_hidden(unless=is_native(sys.stderr)):
    assert sys.stderr is notebook
    os.write(2, b"native\\n")
assert sys.stderr is notebook
os.write(2, b"after\\n")
"""


def test_native_code_is_hidden_and_python_is_not() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stderr.split() == ["python", "wanted", "after"]
