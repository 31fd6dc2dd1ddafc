"""What does a single part cost by the way it is made? First the causal mask, which seed 004 took for the bottleneck."""

from benchmarks import best
from benchmarks.cases import case
from benchmarks.common import Timed, measures
from benchmarks.workloads import MASK_LENGTHS, MASK_VARIANTS, grid


class Mask(Timed):
    """An additive float32 causal mask of [length, length]."""

    params = (MASK_VARIANTS, MASK_LENGTHS[grid()])
    param_names = ("variant", "length")

    @measures("time", unit="seconds")
    def time_mask(self, variant: str, length: int) -> None:
        best.call(case("components.Mask.time_mask", "mask", variant, length))
