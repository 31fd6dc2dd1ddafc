"""How long does one attention forward take? A whole head, bare kernels, one query beside a context, sparse patterns."""

from benchmarks import best
from benchmarks.cases import case
from benchmarks.common import Timed, measures, runs
from benchmarks.costs import (
    DECODE_BYTES,
    DECODE_FLOPS,
    HEAD_FLOPS,
    KERNEL_BYTES,
    KERNEL_FLOPS,
    LOCAL_BYTES,
    LOCAL_FLOPS,
    STRIDED_BYTES,
    STRIDED_FLOPS,
)


@runs("head")
class Forward(Timed):
    """Seed 000's head at B=4, T=256 in its five forms: projections, mask, attention, output."""

    @measures("time", unit="seconds", flops=HEAD_FLOPS)
    def time_forward(self, variant: str, name: str) -> None:
        best.call(case("forward.Forward.time_forward", "head", variant, name))


@runs("kernel")
class Kernels(Timed):
    """Attention alone: q, k, v given, causal."""

    @measures("time", unit="seconds", flops=KERNEL_FLOPS, bytes=KERNEL_BYTES)
    def time_kernel(self, variant: str, name: str) -> None:
        best.call(case("forward.Kernels.time_kernel", "kernel", variant, name))


@runs("decode")
class Decode(Timed):
    """One query that shares key heads with others: repeated, by index, as rows."""

    @measures("time", unit="seconds", flops=DECODE_FLOPS, bytes=DECODE_BYTES)
    def time_decode(self, variant: str, name: str) -> None:
        best.call(case("forward.Decode.time_decode", "decode", variant, name))


@runs("local")
class Local(Timed):
    """A window of positions: by a mask over all of them, or by blocks."""

    @measures("time", unit="seconds", flops=LOCAL_FLOPS, bytes=LOCAL_BYTES)
    def time_local(self, variant: str, name: str) -> None:
        best.call(case("forward.Local.time_local", "local", variant, name))


@runs("strided")
class Strided(Timed):
    """Every so-many-th position: by a mask over all of them, or regrouped."""

    @measures("time", unit="seconds", flops=STRIDED_FLOPS, bytes=STRIDED_BYTES)
    def time_strided(self, variant: str, name: str) -> None:
        best.call(case("forward.Strided.time_strided", "strided", variant, name))
