"""What does a body ask of the allocator? Exact: the bytes handed out in all, and the most in use at once.

Counted above what was there before, after a warm-up: parameters, inputs, gradients of the last step and cached masks
are not in it. On the CPU every allocation is an event of the profiler; CUDA's allocator counts for itself; MPS offers
neither, and its cases are skipped.
"""

from typing import ClassVar

from benchmarks import devices, observe
from benchmarks.bodies import Body
from benchmarks.cases import case
from benchmarks.common import measures, runs


class _Weighed:
    """Bodies of one kind, whose allocations are counted."""

    kind: ClassVar[str]

    def _memory(self, method: str, variant: str, name: str) -> observe.Memory:
        return memory(case(f"memory.{type(self).__name__}.{method}", self.kind, variant, name))


class _Peak(_Weighed):
    @measures("peak", unit="bytes", exact=True)
    def track_peak(self, variant: str, name: str) -> int:
        return self._memory("track_peak", variant, name).peak


class _Allocated(_Weighed):
    @measures("allocated", unit="bytes", exact=True)
    def track_allocated(self, variant: str, name: str) -> int:
        return self._memory("track_allocated", variant, name).allocated


@runs("head counted")
class Forward(_Allocated, _Peak):
    """One head's forward."""

    kind = "head"


@runs("kernel counted")
class Kernels(_Peak):
    """A causal kernel's forward."""

    kind = "kernel"


@runs("backward counted")
class Backward(_Peak):
    """A causal kernel's forward and backward."""

    kind = "backward"


@runs("decode counted")
class Decode(_Peak):
    """One query beside a context."""

    kind = "decode"


@runs("local counted")
class Local(_Peak):
    """A window of positions."""

    kind = "local"


@runs("cache counted")
class Cache(_Peak):
    """A decode step through a cache."""

    kind = "cache"


@runs("train counted")
class TrainStep(_Peak):
    """One training step; the peak is what decides the batch that fits."""

    kind = "train"


def memory(body: Body) -> observe.Memory:
    """Read the device's own account of one call."""
    if devices.device() == "mps":
        devices.skip("MPS keeps no count of allocations")
    return observe.cuda_memory(body) if devices.device() == "cuda" else observe.cpu_memory(body)
