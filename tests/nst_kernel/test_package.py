import subprocess
import sys

import pytest

import nst_kernel


def test_every_public_name_is_there() -> None:
    assert all(getattr(nst_kernel, name) is not None for name in nst_kernel.__all__)
    name = "nothing_of_the_kind"
    with pytest.raises(AttributeError, match=name):
        getattr(nst_kernel, name)


def test_parameters_need_no_torch() -> None:
    code = "import sys; from nst_kernel import StyleParams; StyleParams.of({}); sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
