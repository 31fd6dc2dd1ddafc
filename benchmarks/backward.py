"""How long do gradients take? Forward and backward together: what a kernel keeps for the one costs the other."""

from benchmarks import best
from benchmarks.cases import case
from benchmarks.common import Timed, measures, runs
from benchmarks.costs import BACKWARD_FLOPS


@runs("backward")
class Kernels(Timed):
    """Attention alone, and the gradients of q, k and v."""

    @measures("time", unit="seconds", flops=BACKWARD_FLOPS)
    def time_kernel(self, variant: str, name: str) -> None:
        best.call(case("backward.Kernels.time_kernel", "backward", variant, name))
