import importlib
import subprocess
import sys

import pytest

import nst_kernel


def test_every_public_name_is_there() -> None:
    assert all(getattr(nst_kernel, name) is not None for name in nst_kernel.__all__)
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        nst_kernel.nothing_of_the_kind  # noqa: B018


def test_stylize_is_the_function_though_a_module_has_its_name() -> None:
    module = importlib.import_module("nst_kernel.stylize")
    assert nst_kernel.stylize is module.stylize


def test_parameters_need_no_torch() -> None:
    code = "import sys; from nst_kernel import StyleParams; StyleParams.of({}); sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
