"""What does a single part cost by the way it is made? Seed 004's parts, whose bottleneck was said to be the mask."""

from benchmarks import best
from benchmarks.cases import case
from benchmarks.common import Timed, measures, runs
from benchmarks.costs import PROJECTION_FLOPS, ROTARY_BYTES


@runs("mask", names="length")
class Mask(Timed):
    """An additive float32 causal mask of [length, length]."""

    @measures("time", unit="seconds")
    def time_mask(self, variant: str, length: int) -> None:
        best.call(case("components.Mask.time_mask", "mask", variant, length))


@runs("rotary")
class Rotary(Timed):
    """Queries turned by their positions."""

    @measures("time", unit="seconds", bytes=ROTARY_BYTES)
    def time_rotary(self, variant: str, name: str) -> None:
        best.call(case("components.Rotary.time_rotary", "rotary", variant, name))


@runs("projection")
class Projection(Timed):
    """Multi-head attention whose q, k and v come from one product or from three."""

    @measures("time", unit="seconds")
    def time_projection(self, variant: str, name: str) -> None:
        best.call(case("components.Projection.time_projection", "projection", variant, name))


@runs("part")
class Pipeline(Timed):
    """Projection, rotation, scores, mask, softmax, output: each alone, and the whole."""

    @measures("time", unit="seconds")
    def time_part(self, variant: str, name: str) -> None:
        best.call(case("components.Pipeline.time_part", "part", variant, name))


@runs("int8")
class Int8(Timed):
    """The projection to queries, keys and values, with weights of one byte."""

    @measures("time", unit="seconds", flops=PROJECTION_FLOPS)
    def time_projection(self, variant: str, name: str) -> None:
        best.call(case("components.Int8.time_projection", "int8", variant, name))
