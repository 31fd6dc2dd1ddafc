"""How long does one attention forward take? Seed 000's head at B=4, T=256 in its five forms, and the bare kernels."""

from benchmarks import best
from benchmarks.cases import case
from benchmarks.common import Timed, measures
from benchmarks.workloads import GRIDS, HEAD_INPUTS, KERNEL_INPUTS, KERNEL_VARIANTS, TIMED_MODULE_VARIANTS, grid

#: Multiply-adds of every form count as two; what a causal kernel may leave out is not subtracted.
HEAD_FLOPS = {
    name: 8.0 * size.batch * size.length * size.width**2 + 4.0 * size.batch * size.length**2 * size.width
    for name, size in HEAD_INPUTS.items()
}
KERNEL_FLOPS = {
    name: 4.0 * size.batch * size.heads * size.length**2 * size.head_width for name, size in KERNEL_INPUTS.items()
}


class Forward(Timed):
    """A whole head: projections, mask, attention, output."""

    params = (TIMED_MODULE_VARIANTS[grid()], GRIDS[grid()]["head"])
    param_names = ("variant", "input")

    @measures("time", unit="seconds", flops=HEAD_FLOPS)
    def time_forward(self, variant: str, name: str) -> None:
        best.call(case("forward.Forward.time_forward", "head", variant, name))


if GRIDS[grid()]["kernel"]:  # asv knows no benchmark without a case

    class Kernels(Timed):
        """Attention alone: q, k, v given, causal."""

        params = (KERNEL_VARIANTS, GRIDS[grid()]["kernel"])
        param_names = ("variant", "input")

        @measures("time", unit="seconds", flops=KERNEL_FLOPS)
        def time_kernel(self, variant: str, name: str) -> None:
            best.call(case("forward.Kernels.time_kernel", "kernel", variant, name))
