"""What does a body ask of the allocator? Exact: the bytes handed out in all, and the most in use at once.

Counted above what was there before, after a warm-up: parameters, inputs, gradients of the last step and cached masks
are not in it. On the CPU every allocation is an event of the profiler; CUDA's allocator counts for itself; MPS offers
neither, and its cases are skipped.
"""

from benchmarks import devices, observe
from benchmarks.bodies import Body
from benchmarks.cases import case
from benchmarks.common import measures, runs


@runs("head counted")
class Forward:
    """Memory of one head's forward."""

    @measures("allocated", unit="bytes", exact=True)
    def track_allocated(self, variant: str, name: str) -> int:
        return memory(case("memory.Forward.track_allocated", "head", variant, name)).allocated

    @measures("peak", unit="bytes", exact=True)
    def track_peak(self, variant: str, name: str) -> int:
        return memory(case("memory.Forward.track_peak", "head", variant, name)).peak


@runs("kernel counted")
class Kernels:
    """Memory of a causal kernel's forward."""

    @measures("peak", unit="bytes", exact=True)
    def track_peak(self, variant: str, name: str) -> int:
        return memory(case("memory.Kernels.track_peak", "kernel", variant, name)).peak


@runs("backward counted")
class Backward:
    """Memory of a causal kernel's forward and backward."""

    @measures("peak", unit="bytes", exact=True)
    def track_peak(self, variant: str, name: str) -> int:
        return memory(case("memory.Backward.track_peak", "backward", variant, name)).peak


@runs("decode counted")
class Decode:
    """Memory of one query beside a context."""

    @measures("peak", unit="bytes", exact=True)
    def track_peak(self, variant: str, name: str) -> int:
        return memory(case("memory.Decode.track_peak", "decode", variant, name)).peak


@runs("local counted")
class Local:
    """Memory of a window of positions."""

    @measures("peak", unit="bytes", exact=True)
    def track_peak(self, variant: str, name: str) -> int:
        return memory(case("memory.Local.track_peak", "local", variant, name)).peak


@runs("cache counted")
class Cache:
    """Memory of a decode step through a cache."""

    @measures("peak", unit="bytes", exact=True)
    def track_peak(self, variant: str, name: str) -> int:
        return memory(case("memory.Cache.track_peak", "cache", variant, name)).peak


@runs("train counted")
class TrainStep:
    """Memory of one training step; the peak is what decides the batch that fits."""

    @measures("peak", unit="bytes", exact=True)
    def track_peak(self, variant: str, name: str) -> int:
        return memory(case("memory.TrainStep.track_peak", "train", variant, name)).peak


def memory(body: Body) -> observe.Memory:
    """Read the device's own account of one call."""
    if devices.device() == "mps":
        devices.skip("MPS keeps no count of allocations")
    return observe.cuda_memory(body) if devices.device() == "cuda" else observe.cpu_memory(body)
