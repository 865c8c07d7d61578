"""Precision of the convolutions. Pixels, Gram matrices, losses and the optimiser's state stay in fp32."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import torch
from torch import Tensor

Precision = Literal["fp32", "tf32", "bf16"]

TYPES: dict[Precision, torch.dtype] = {"fp32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16}


def resolve_precision(wanted: Literal["auto", "fp32", "tf32", "bf16"], device: torch.device) -> Precision:
    """Return the precision that a device computes in: for `auto`, bf16 where it is faster in it, else fp32.

    Final losses with bf16 convolutions are within 1 % of fp32's (tests/bench/README.md, parity).
    """
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    return "bf16" if device.type == "cpu" and _cpu_computes_faster_in_bf16() else "fp32"


def type_of_activations(x: Tensor, precision: Precision) -> torch.dtype:
    """Return the type that activations of pixels x have; float64 pixels are computed in float64."""
    return x.dtype if x.dtype == torch.float64 else TYPES[precision]


def _cpu_computes_faster_in_bf16() -> bool:
    """Return whether this CPU has AMX, or AVX512-BF16 that is faster than fp32.

    Intel's CPUs take four times as long for an instruction of AVX512-BF16 as for one in fp32, so that convolutions take
    twice as long where their AMX is switched off, as it is on some virtual machines. A release of torch that does not
    tell whose CPU it is counts one without AMX as slower.
    """
    if not hasattr(torch.cpu, "get_capabilities"):
        return bool(torch.cpu._is_amx_tile_supported())
    about: Mapping[str, Any] = torch.cpu.get_capabilities()
    is_intel = "intel" in str(about.get("cpu_name")).lower()
    return bool(about.get("amx_bf16") or (about.get("avx512_bf16") and not is_intel))


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
