"""Precision of the convolutions. Pixels, Gram matrices, losses and the optimiser's state stay in fp32."""

import contextlib
from collections.abc import Iterator
from typing import Literal

import torch

Precision = Literal["fp32", "tf32", "bf16"]

TYPES: dict[Precision, torch.dtype] = {"fp32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16}


def resolve_precision(wanted: Literal["auto", "fp32", "tf32", "bf16"], device: torch.device) -> Precision:
    """Return the precision that a device computes in: for `auto`, bf16 where it has instructions for it, else fp32.

    Final losses with bf16 convolutions are within 1 % of fp32's (tests/bench/README.md, parity).
    """
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    return "bf16" if device.type == "cpu" and _cpu_has_bf16() else "fp32"


def _cpu_has_bf16() -> bool:
    """Return whether this CPU has AVX512-BF16 or AMX.

    torch has no public function for it, so a release without these private ones counts as no.
    """
    questions = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, question, bool)() for question in questions)


@contextlib.contextmanager
def computing_in(precision: Precision, *, often: bool = True) -> Iterator[None]:
    """Let CUDA round the inputs of fp32 convolutions to TF32 for `tf32` only; it does by default.

    With `often`, cuDNN tries its algorithms for every new shape in bf16. It may choose another one the next time, so
    that on a GPU pictures repeat to rounding, not to the bit. In fp32 it would try some that take a hundred times the
    memory, for minutes, and end where it is without.
    """
    tries = often and precision == "bf16"
    with torch.backends.cudnn.flags(enabled=True, benchmark=tries, allow_tf32=precision == "tf32"):
        yield
