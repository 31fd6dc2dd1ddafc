"""What does a body ask of the allocator? Exact: the bytes handed out in all, and the most in use at once.

Counted above what was there before, after a warm-up: parameters, inputs, gradients of the last step and cached masks
are not in it. On the CPU every allocation is an event of the profiler; CUDA's allocator counts for itself; MPS offers
neither, and its cases are skipped.
"""

from benchmarks import devices, observe
from benchmarks.cases import Body, case
from benchmarks.common import measures
from benchmarks.workloads import COUNTED_MODULE_VARIANTS, COUNTED_TRAIN_VARIANTS, GRIDS, grid


class Forward:
    """Memory of one head's forward."""

    params = (COUNTED_MODULE_VARIANTS, GRIDS[grid()]["head"])
    param_names = ("variant", "input")

    @measures("allocated", unit="bytes", exact=True)
    def track_allocated(self, variant: str, name: str) -> int:
        return memory(case("memory.Forward.track_allocated", "head", variant, name)).allocated

    @measures("peak", unit="bytes", exact=True)
    def track_peak(self, variant: str, name: str) -> int:
        return memory(case("memory.Forward.track_peak", "head", variant, name)).peak


class TrainStep:
    """Memory of one training step; the peak is what decides the batch that fits."""

    params = (COUNTED_TRAIN_VARIANTS, GRIDS[grid()]["train"])
    param_names = ("variant", "input")

    @measures("peak", unit="bytes", exact=True)
    def track_peak(self, variant: str, name: str) -> int:
        return memory(case("memory.TrainStep.track_peak", "train", variant, name)).peak


def memory(body: Body) -> observe.Memory:
    """Read the device's own account of one call."""
    if devices.device() == "mps":
        devices.skip("MPS keeps no count of allocations")
    return observe.cuda_memory(body) if devices.device() == "cuda" else observe.cpu_memory(body)
