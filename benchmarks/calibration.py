"""What can this machine do, whatever the code? The limits that rates are held against, and a witness of its drift."""

from benchmarks import best
from benchmarks.cases import case
from benchmarks.common import Timed, measures, runs
from benchmarks.workloads import GEMM_SIZES, READ_SIZES


@runs("gemm", names="size")
class Gemm(Timed):
    """A product of two square matrices."""

    @measures("time", unit="seconds", flops={str(size): 2.0 * size**3 for size in GEMM_SIZES})
    def time_gemm(self, variant: str, size: int) -> None:
        best.call(case("calibration.Gemm.time_gemm", "gemm", variant, size))


@runs("read", names="mebibytes")
class Read(Timed):
    """One pass over memory: from the cache, or from behind it."""

    @measures("time", unit="seconds", bytes={str(size): size * 2.0**20 for size in READ_SIZES})
    def time_read(self, variant: str, mebibytes: int) -> None:
        best.call(case("calibration.Read.time_read", "read", variant, mebibytes))


@runs("dispatch", names="size")
class Dispatch(Timed):
    """An operator on one number."""

    @measures("time", unit="seconds")
    def time_dispatch(self, variant: str, size: int) -> None:
        best.call(case("calibration.Dispatch.time_dispatch", "dispatch", variant, size))
