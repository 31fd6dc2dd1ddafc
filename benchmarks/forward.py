"""How long does one attention forward take? A whole head, bare kernels, one query beside a context, sparse patterns."""

from benchmarks import best
from benchmarks.cases import case
from benchmarks.common import Timed, measures, runs
from benchmarks.workloads import DECODE_INPUTS, HEAD_INPUTS, KERNEL_INPUTS, LOCAL_INPUTS, STRIDED_INPUTS

#: Multiply-adds of every form count as two; what a causal kernel may leave out is not subtracted.
HEAD_FLOPS = {
    name: 8.0 * size.batch * size.length * size.width**2 + 4.0 * size.batch * size.length**2 * size.width
    for name, size in HEAD_INPUTS.items()
}
KERNEL_FLOPS = {
    name: 4.0 * size.batch * size.heads * size.length**2 * size.head_width for name, size in KERNEL_INPUTS.items()
}
DECODE_FLOPS = {
    name: 4.0 * size.batch * size.heads * size.length * size.head_width for name, size in DECODE_INPUTS.items()
}
#: What a perfect kernel would do: a window, or every span-th position, for each query.
LOCAL_FLOPS = {
    name: 4.0 * size.batch * size.heads * size.length * size.span * size.head_width
    for name, size in LOCAL_INPUTS.items()
}
STRIDED_FLOPS = {
    name: 4.0 * size.batch * size.heads * size.length**2 / size.span * size.head_width
    for name, size in STRIDED_INPUTS.items()
}


@runs("head")
class Forward(Timed):
    """Seed 000's head at B=4, T=256 in its five forms: projections, mask, attention, output."""

    @measures("time", unit="seconds", flops=HEAD_FLOPS)
    def time_forward(self, variant: str, name: str) -> None:
        best.call(case("forward.Forward.time_forward", "head", variant, name))


@runs("kernel")
class Kernels(Timed):
    """Attention alone: q, k, v given, causal."""

    @measures("time", unit="seconds", flops=KERNEL_FLOPS)
    def time_kernel(self, variant: str, name: str) -> None:
        best.call(case("forward.Kernels.time_kernel", "kernel", variant, name))


@runs("decode")
class Decode(Timed):
    """One query that shares key heads with others: repeated, by index, as rows."""

    @measures("time", unit="seconds", flops=DECODE_FLOPS)
    def time_decode(self, variant: str, name: str) -> None:
        best.call(case("forward.Decode.time_decode", "decode", variant, name))


@runs("local")
class Local(Timed):
    """A window of positions: by a mask over all of them, or by blocks."""

    @measures("time", unit="seconds", flops=LOCAL_FLOPS)
    def time_local(self, variant: str, name: str) -> None:
        best.call(case("forward.Local.time_local", "local", variant, name))


@runs("strided")
class Strided(Timed):
    """Every so-many-th position: by a mask over all of them, or regrouped."""

    @measures("time", unit="seconds", flops=STRIDED_FLOPS)
    def time_strided(self, variant: str, name: str) -> None:
        best.call(case("forward.Strided.time_strided", "strided", variant, name))
