"""What must be done at least? Floating-point operations and bytes, by formulas: what rates are derived from.

The suite's own formulas travel with its timings as attributes; they count every pair of query and key, and float32. The
series are what the measured commit's `attention.cost` says: exact, and another number means another formula.
"""

from benchmarks.cases import counted
from benchmarks.common import measures, runs
from benchmarks.workloads import (
    DECODE_INPUTS,
    HEAD_INPUTS,
    KERNEL_INPUTS,
    LOCAL_INPUTS,
    PROJECTION_INPUTS,
    ROTARY_INPUTS,
    STRIDED_INPUTS,
    KernelInput,
    SparseInput,
)

SIZE = 4  #: bytes of a float32

#: Multiply-adds of every form count as two; what a causal kernel may leave out is not subtracted.
HEAD_FLOPS = {
    name: 8.0 * size.batch * size.length * size.width**2 + 4.0 * size.batch * size.length**2 * size.width
    for name, size in HEAD_INPUTS.items()
}
KERNEL_FLOPS = {
    name: 4.0 * size.batch * size.heads * size.length**2 * size.head_width for name, size in KERNEL_INPUTS.items()
}
#: Forward, and two and a half times that: two products where the forward has one, and the scores once more.
BACKWARD_FLOPS = {name: 3.5 * flops for name, flops in KERNEL_FLOPS.items()}
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
#: Queries, keys and values of every token.
PROJECTION_FLOPS = {name: 6.0 * size.batch * size.length * size.width**2 for name, size in PROJECTION_INPUTS.items()}


def _four(size: KernelInput | SparseInput) -> float:
    """q, k and v read and the result written, once each."""
    return 4.0 * SIZE * size.batch * size.heads * size.length * size.head_width


KERNEL_BYTES = {name: _four(size) for name, size in KERNEL_INPUTS.items()}
LOCAL_BYTES = {name: _four(size) for name, size in LOCAL_INPUTS.items()}
STRIDED_BYTES = {name: _four(size) for name, size in STRIDED_INPUTS.items()}
#: The cached keys and values, once for all queries that share them.
DECODE_BYTES = {
    name: 2.0 * SIZE * size.batch * size.kv_heads * size.length * size.head_width
    for name, size in DECODE_INPUTS.items()
}
ROTARY_BYTES = {
    name: 2.0 * SIZE * size.batch * size.heads * size.length * size.head_width for name, size in ROTARY_INPUTS.items()
}


@runs("kernel cost")
class Kernels:
    """A causal kernel's forward."""

    @measures("flops", unit="FLOP", exact=True)
    def track_flops(self, variant: str, name: str) -> float:
        return counted("costs.Kernels.track_flops", "kernel flops", variant, name)

    @measures("bytes", unit="bytes", exact=True)
    def track_bytes(self, variant: str, name: str) -> float:
        return counted("costs.Kernels.track_bytes", "kernel bytes", variant, name)


@runs("decode cost")
class Decode:
    """One query of each head beside a context."""

    @measures("flops", unit="FLOP", exact=True)
    def track_flops(self, variant: str, name: str) -> float:
        return counted("costs.Decode.track_flops", "decode flops", variant, name)

    @measures("bytes", unit="bytes", exact=True)
    def track_bytes(self, variant: str, name: str) -> float:
        return counted("costs.Decode.track_bytes", "decode bytes", variant, name)
