"""Numbers to work on: drawn from the seed at hand, on the CPU, so that every device gets the same."""

import torch
from torch import Tensor

from benchmarks import devices
from benchmarks.workloads import KernelInput, SparseInput


def normal(*shape: int) -> Tensor:
    """Standard normal numbers of this shape, on the device under measurement."""
    return torch.randn(*shape).to(devices.device())


def alike(size: KernelInput | SparseInput) -> tuple[Tensor, ...]:
    """q, k and v of one shape [batch, heads, length, head_width]."""
    return normal(3, size.batch, size.heads, size.length, size.head_width).unbind()
